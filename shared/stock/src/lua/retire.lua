-- retire: lowering stock is a purchase by the house, of whatever is on offer.
-- KEYS 1 sale  2 held  3 free
-- ARGV 1 how many units at most
-- Answers the units that the house holds now, in no order; none if nothing is on offer or the sale is not loaded.
-- Keeps: buyers keep theirs; nobody can offer a unit of the house, whatever view of the store they have.
local call = redis.call
local sale = call('HMGET', KEYS[1], 'next', 'top')
if not sale[1] then return {} end
local next, most = tonumber(sale[1]), tonumber(ARGV[1])
local given_back = math.min(most, call('SCARD', KEYS[3]))
local ranged = math.min(most - given_back, sale[2] - next)

-- Also where it stays the same: a write that Redis refuses when it is out of memory, before anything has changed.
call('HSET', KEYS[1], 'next', next + ranged)
local units = call('SPOP', KEYS[3], given_back)
for i = 1, ranged do units[#units + 1] = next + i end
for _, unit in ipairs(units) do call('HSET', KEYS[2], unit, '#retire') end
return units
