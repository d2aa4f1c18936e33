-- learn: after a conflict Redis takes in what the store says about one unit. Follows take_off.lua.
-- KEYS 1 sale  2 buyers  3 held  4 free
-- ARGV 1 unit  2 its holder by the store: an order, or '#retire'  3 the order's user  4 all units of the order
--   5 the holder that the caller saw, '' for none  6 ms for which nobody may reserve, 0 for none
-- Answers 1, or 0 if Redis shows somebody else by now, or all of this already, or the sale is not loaded.
-- Keeps: only this unit changes hands. The displaced reservation keeps its outbox entry and its buyer's mark, because its
--   event still has to be written, with other units. An audit is asked for where something changes.
local call = redis.call
local unit, truth, user, units, seen = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local sale = call('HMGET', KEYS[1], 'state', 'starts', 'healing_until', 'next')
if not sale[1] then return 0 end
local shown = call('HGET', KEYS[3], unit)
local holder = shown and string.match(shown, '^[^|]*')
if holder and holder ~= seen and holder ~= truth then return 0 end
if holder == truth and unit <= tonumber(sale[4]) and call('SISMEMBER', KEYS[4], unit) == 0
  and (truth == '#retire' or call('HGET', KEYS[2], user) == truth .. '|' .. units) then return 0 end

local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
call('HSET', KEYS[1], 'audit', now)
take_off(KEYS[1], KEYS[4], unit)
if truth == '#retire' then
  call('HSET', KEYS[3], unit, truth)
else
  if holder ~= truth then call('HSET', KEYS[3], unit, truth .. '|' .. user .. '|' .. now) end
  call('HSET', KEYS[2], user, truth .. '|' .. units)
end

local healing = now + math.min(tonumber(ARGV[6]), 2000)
if healing > math.max(now, tonumber(sale[3] or 0)) then
  call('HSET', KEYS[1], 'healing_until', healing)
  if sale[1] == 'open' and healing > tonumber(sale[2]) then call('HSET', KEYS[1], 'opens', healing) end
end
return 1
