-- drop: forgets a sale that is over.
-- KEYS 1 sale  2 pending  3... all other keys of the spike
-- Answers 1, or 0 if the sale is not closed or something is pending.
local call = redis.call
local state = call('HGET', KEYS[1], 'state')
if state and state ~= 'closed' or call('ZCARD', KEYS[2]) > 0 then return 0 end
call('UNLINK', unpack(KEYS))
return 1
