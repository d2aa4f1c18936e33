-- reassign: replaces those units of a reservation that the store gave to others. Follows take_off.lua.
-- KEYS 1 sale  2 buyers  3 held  4 pending  5 free
-- ARGV 1 reservation  2 user  3 units of the event, as text  4 how many of them are kept  5... those, then the taken ones
-- Answers {units, all units that the reservation has now}, {sold-out}, {not-loaded}; the last two change nothing.
-- Keeps: idempotent by reservation: where Redis shows other units for it, those are the answer. Taken units are the
--   store's to give and are not put on offer here. A kept unit that another holds stays contested.
local call = redis.call
local reservation, user, units, kept = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local buyer = reservation .. '|' .. user .. '|'
local sale = call('HMGET', KEYS[1], 'next', 'top')
if not sale[1] then return { 'not-loaded' } end

local standing, assigned = string.match(call('HGET', KEYS[2], user) or '', '^([^|]*)|(.*)$')
if standing == reservation and assigned ~= units then return { 'units', assigned } end

local next, top = tonumber(sale[1]), tonumber(sale[2])
local left = top - next + call('SCARD', KEYS[5])
for i = 5, 4 + kept do
  local unit = tonumber(ARGV[i])
  if unit > next and unit <= top or call('SISMEMBER', KEYS[5], unit) == 1 then left = left - 1 end
end
local wanted = #ARGV - 4 - kept
if left < wanted then return { 'sold-out' } end

-- The same value again: a write that Redis refuses when it is out of memory, before anything has changed.
call('HSET', KEYS[1], 'next', next)
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

for i = 5 + kept, #ARGV do
  local holder = call('HGET', KEYS[3], ARGV[i])
  if holder and string.match(holder, '^[^|]*') == reservation then call('HDEL', KEYS[3], ARGV[i]) end
end

local numbers = {}
for i = 5, 4 + kept do
  local unit = tonumber(ARGV[i])
  take_off(KEYS[1], KEYS[5], unit)
  call('HSETNX', KEYS[3], unit, buyer .. now)
  numbers[#numbers + 1] = unit
end

sale = call('HMGET', KEYS[1], 'next', 'top')
next = tonumber(sale[1])
local ranged = math.min(wanted, sale[2] - next)
call('HSET', KEYS[1], 'next', next + ranged)
local fresh = call('SPOP', KEYS[5], wanted - ranged)
for i = 1, ranged do fresh[#fresh + 1] = next + i end
for _, unit in ipairs(fresh) do
  call('HSET', KEYS[3], unit, buyer .. now)
  numbers[#numbers + 1] = tonumber(unit)
end

table.sort(numbers)
local all = table.concat(numbers, ',')
call('HSET', KEYS[2], user, reservation .. '|' .. all)
call('ZREM', KEYS[4], buyer .. units)
call('ZADD', KEYS[4], now + 5000, buyer .. all)
return { 'units', all }
