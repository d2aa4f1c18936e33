-- lease_audit: one auditor per spike, for a little longer than a sweep of the spike may take.
-- KEYS 1 sale  2 auditing
-- Answers {when the audit begins (ms), the units that differed in the last one}, or nil if there is another auditor or the
--   sale is not loaded.
local call = redis.call
if call('HEXISTS', KEYS[1], 'state') == 0 then return false end
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if not call('SET', KEYS[2], now, 'NX', 'PX', 35000) then return false end
return { now, call('HGET', KEYS[1], 'differed') or '' }
