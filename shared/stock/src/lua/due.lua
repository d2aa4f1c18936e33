-- due: outbox entries whose publish time has come, each moved on: after as long again as it is old, 5 s to 10 min.
-- KEYS 1 pending  2 held
-- ARGV 1 how many at most
-- Answers {{entry, age in ms}...}, longest overdue first.
-- Keeps: an entry leaves the outbox by ack or release only. Taking it out before it is put in again is a first write
--   that works when Redis is out of memory: publishing is what frees memory then.
local call = redis.call
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local due = call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])
for i, entry in ipairs(due) do
  -- Redis' own note of when the units were handed out; else the time within the reservation's id (UUIDv7).
  local reservation, unit = string.match(entry, '^([^|]*)|[^|]*|(%d+)')
  local holder, since = string.match(unit and call('HGET', KEYS[2], unit) or '', '^([^|]*)|[^|]*|(%d+)$')
  if holder ~= reservation then since = nil end
  since = since or tonumber(string.sub(entry, 1, 8) .. string.sub(entry, 10, 13), 16) or now
  local age = math.max(now - since, 0)
  call('ZREM', KEYS[1], entry)
  call('ZADD', KEYS[1], now + math.min(math.max(age, 5000), 600000), entry)
  due[i] = { entry, age }
end
return due
