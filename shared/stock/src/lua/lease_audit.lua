-- lease_audit: one auditor per spike, for a minute.
-- KEYS 1 sale  2 auditing
-- Answers when the audit begins (ms), or nil if there is another auditor or the sale is not loaded.
local call = redis.call
if call('HEXISTS', KEYS[1], 'state') == 0 then return false end
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
return call('SET', KEYS[2], now, 'NX', 'PX', 60000) and now
