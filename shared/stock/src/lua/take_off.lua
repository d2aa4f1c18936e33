-- take_off, shared by learn and reassign: takes a unit off the offer, out of the set or out of the range.
-- A unit cut out of the range leaves those below it in the set. A unit above `top` raises `top`: the store knows the
--   unit, so this Redis is behind; what lies between is left to the audit.
-- Keeps: units 1..next are in `free`, in `held` or nobody's; units next + 1..top are on offer and in neither.
local function take_off(sale, free, unit)
  local bounds = redis.call('HMGET', sale, 'next', 'top')
  local next, top = tonumber(bounds[1]), tonumber(bounds[2])
  if unit <= next then return redis.call('SREM', free, unit) end
  local last = math.min(unit - 1, top)
  for first = next + 1, last, 1000 do
    local run = {}
    for below = first, math.min(first + 999, last) do run[#run + 1] = below end
    redis.call('SADD', free, unpack(run))
  end
  redis.call('HSET', sale, 'next', unit, 'top', math.max(unit, top))
end

