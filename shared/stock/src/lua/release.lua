-- release: gives units back after a durable transition, and forgets the reservation. The house's units, too.
-- KEYS 1 sale  2 buyers  3 held  4 pending  5 free
-- ARGV 1 reservation, or '#retire'  2 user  3 units that the order keeps, '' if it is over
--   4, 5 outbox entries that the reservation may have  6... units to give back
-- Answers {how many units are on offer again, 1 if the buyer's mark went}; zeros if the sale is not loaded.
-- Keeps: only what Redis shows as this reservation's is touched, so a late or repeated call does nothing. Its first
--   write takes something out, which works even when Redis is out of memory.
local call = redis.call
local reservation, user, keep = ARGV[1], ARGV[2], ARGV[3]
local top = call('HGET', KEYS[1], 'top')
if not top then return { 0, 0 } end

local function is_ours(value)
  return value and string.match(value, '^[^|]*') == reservation
end

local offered, forgotten = 0, 0
for i = 6, #ARGV do
  local unit = ARGV[i]
  if is_ours(call('HGET', KEYS[3], unit)) then
    call('HDEL', KEYS[3], unit)
    if unit + 0 <= top + 0 then offered = offered + call('SADD', KEYS[5], unit) end
  end
end

call('ZREM', KEYS[4], ARGV[4], ARGV[5])
local hold = call('HGET', KEYS[2], user)
if is_ours(hold) then
  call('ZREM', KEYS[4], reservation .. '|' .. user .. string.sub(hold, #reservation + 1))
  if keep == '' then
    call('HDEL', KEYS[2], user)
    forgotten = 1
  else
    call('HSET', KEYS[2], user, reservation .. '|' .. keep)
  end
end
return { offered, forgotten }
