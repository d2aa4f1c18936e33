-- retire: lowering stock is a purchase by the house, of whatever is on offer.
-- KEYS 1 sale  2 held  3 free  4 retiring
-- ARGV 1 how many units at most; more than 1,000 count as 1,000
-- Answers the units that the house holds and of which the store may not know yet, in no order: first those that an
--   earlier call took, then new ones up to as many as asked for; none if the sale is not loaded.
-- Keeps: buyers keep theirs; nobody can offer a unit of the house, whatever view of the store they have. However often a
--   lowering breaks off, no more units are off the offer than one asked for. Its first write is one that Redis refuses
--   when it is out of memory.
local call = redis.call
local sale = call('HMGET', KEYS[1], 'next', 'top')
if not sale[1] then return {} end
local next, most = tonumber(sale[1]), math.min(tonumber(ARGV[1]), 1000)

local units, gone = {}, {}
for _, unit in ipairs(call('SRANDMEMBER', KEYS[4], 1000)) do
  local list = call('HGET', KEYS[2], unit) == '#retire' and units or gone
  list[#list + 1] = unit
end

local wanted = math.max(most - #units, 0)
local given_back = math.min(wanted, call('SCARD', KEYS[3]))
local ranged = math.min(wanted - given_back, sale[2] - next)
if given_back + ranged > 0 then
  -- Also where it stays the same, for its refusal.
  call('HSET', KEYS[1], 'next', next + ranged)
  local fresh = call('SPOP', KEYS[3], given_back)
  for i = 1, ranged do fresh[#fresh + 1] = next + i end
  for _, unit in ipairs(fresh) do
    call('HSET', KEYS[2], unit, '#retire')
    units[#units + 1] = unit
  end
  -- In this order: a unit that was given back may have been taken again just now.
  if #gone > 0 then call('SREM', KEYS[4], unpack(gone)) end
  call('SADD', KEYS[4], unpack(fresh))
elseif #gone > 0 then
  call('SREM', KEYS[4], unpack(gone))
end
return units
