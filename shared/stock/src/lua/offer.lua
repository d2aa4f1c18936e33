-- offer: raises the stock, and puts on offer what nobody holds and nobody offers.
-- KEYS 1 sale  2 held  3 free
-- ARGV 1 top by the store  2... units that are free in the store
-- Answers how many units it put on offer; 0 if the sale is not loaded.
-- Keeps: top only grows. A unit that somebody holds, the house included, is left alone: the view may be old.
local call = redis.call
local sale = call('HMGET', KEYS[1], 'next', 'top')
if not sale[1] then return 0 end
local next, top, offered = tonumber(sale[1]), tonumber(sale[2]), 0

if tonumber(ARGV[1]) > top then
  offered = ARGV[1] - top
  call('HSET', KEYS[1], 'top', ARGV[1])
end
for first = 2, #ARGV, 1000 do
  local last = math.min(first + 999, #ARGV)
  local holders, free = call('HMGET', KEYS[2], unpack(ARGV, first, last)), {}
  for i = first, last do
    if not holders[i - first + 1] and tonumber(ARGV[i]) <= next then free[#free + 1] = ARGV[i] end
  end
  if #free > 0 then offered = offered + call('SADD', KEYS[3], unpack(free)) end
end
return offered
