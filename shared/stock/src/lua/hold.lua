-- hold: one buyer's reservation.
-- KEYS 1 buyers  2 pending
-- ARGV 1 user
-- Answers {reservation|units, 1 if it is in the outbox, else 0}, or nil if the user has none.
local hold = redis.call('HGET', KEYS[1], ARGV[1])
if not hold then return false end
local bar = string.find(hold, '|', 1, true)
local member = string.sub(hold, 1, bar) .. ARGV[1] .. string.sub(hold, bar)
return { hold, redis.call('ZSCORE', KEYS[2], member) and 1 or 0 }
