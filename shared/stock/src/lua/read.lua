-- read: a sale at one moment.
-- KEYS 1 sale  2 free  3 buyers  4 pending  5 retiring
-- Answers {{version, state, top, next, limit, starts, ends, epoch, guarded, healing_until, audit, audited}, units in
--   free, buyers, pending, units that are being retired}, or nil if the sale is not loaded.
local call = redis.call
local sale = call('HMGET', KEYS[1], 'version', 'state', 'top', 'next', 'limit', 'starts', 'ends', 'epoch', 'guarded',
  'healing_until', 'audit', 'audited')
if not sale[2] then return false end
return { sale, call('SCARD', KEYS[2]), call('HLEN', KEYS[3]), call('ZCARD', KEYS[4]), call('SCARD', KEYS[5]) }
