-- configure: applies what the store says about a sale.
-- KEYS 1 sale
-- ARGV 1 version  2 state  3 starts  4 ends  5 limit  6 guarded
-- Answers applied, current, not-loaded.
-- Keeps: a newer version is never overwritten by an older one. Closing does not raise the version, so the same version
--   closes, and nothing of that version opens again.
local call = redis.call
local sale = call('HMGET', KEYS[1], 'state', 'version', 'healing_until')
local state = sale[1]
if not state then return 'not-loaded' end
local newer = ARGV[1] - sale[2]
local closes = newer == 0 and ARGV[2] == 'closed' and state ~= 'closed'
if newer <= 0 and not closes then return 'current' end

local opens = ARGV[3]
if ARGV[2] ~= 'open' then
  opens = '9000000000000000'
elseif sale[3] and tonumber(sale[3]) > tonumber(opens) then
  opens = sale[3]
end
call('HSET', KEYS[1], 'opens', opens, 'ends', ARGV[4], 'limit', ARGV[5], 'guarded', ARGV[6],
  'state', ARGV[2], 'starts', ARGV[3], 'version', ARGV[1])
return 'applied'
