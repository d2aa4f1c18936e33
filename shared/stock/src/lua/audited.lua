-- audited: an audit is complete, or given up.
-- KEYS 1 sale  2 auditing
-- ARGV 1 when it began (ms), as lease_audit answered  2 the units that differed, as text; absent if it is given up
-- Answers 1, or 0 if it is given up, a later audit is complete already, or the sale is not loaded.
-- Keeps: only the lease of this very audit is ended.
local call = redis.call
if call('GET', KEYS[2]) == ARGV[1] then call('DEL', KEYS[2]) end
if not ARGV[2] then return 0 end
local sale = call('HMGET', KEYS[1], 'state', 'audited')
if not sale[1] or tonumber(sale[2] or 0) >= tonumber(ARGV[1]) then return 0 end
call('HSET', KEYS[1], 'audited', ARGV[1], 'differed', ARGV[2])
return 1
