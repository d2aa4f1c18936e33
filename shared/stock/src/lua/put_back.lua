-- put_back: an outbox entry that is missing, of a reservation that stands; due at once.
-- KEYS 1 sale  2 held  3 pending  4 buyers
-- ARGV 1 reservation  2 entry, reservation|user|units  3 user  4 units, as text  5... its units
-- Answers 1, or 0 if it is there, or Redis shows neither just these units as the buyer's mark nor all of them as this
--   reservation's.
-- Keeps: an entry that is there keeps its time.
local call = redis.call
if call('HEXISTS', KEYS[1], 'state') == 0 then return 0 end
if call('HGET', KEYS[4], ARGV[3]) ~= ARGV[1] .. '|' .. ARGV[4] then
  for i = 5, #ARGV do
    local holder = call('HGET', KEYS[2], ARGV[i])
    if not holder or string.match(holder, '^[^|]*') ~= ARGV[1] then return 0 end
  end
end
local time = call('TIME')
return call('ZADD', KEYS[3], 'NX', time[1] * 1000 + math.floor(time[2] / 1000), ARGV[2])
