-- load: makes a sale that Redis does not have, from the store's claims.
-- KEYS 1 sale  2 buyers  3 held  4 free  5 loading  6 retiring
-- ARGV 1 version  2 state  3 starts  4 ends  5 limit  6 guarded  7 lock  8 top  9 epoch
--   10 'untouched': all units are on offer as a range; or 'known' with 11 free units  12 retired units, both as runs
--   (1-50,53)  13... claims of live orders, order|user|units
-- Answers filled, present if the sale is there already, or late if the loader's lock is no longer its own.
-- Keeps: a sale that is present is never loaded again, and none is made from a view of the store that is older than the
--   lock. Entries of the outbox stay. An audit is asked for. The first write is one that Redis refuses when it is out of
--   memory. Fields that reserve reads come first, because a small hash is searched from its start.
local call = redis.call
if call('HEXISTS', KEYS[1], 'state') == 1 then
  call('DEL', KEYS[5])
  return 'present'
end
if call('GET', KEYS[5]) ~= ARGV[7] then return 'late' end

local function write(command, key, values)
  for first = 1, #values, 1000 do
    call(command, key, unpack(values, first, math.min(first + 999, #values)))
  end
end

local function each(runs, take)
  for first, last in string.gmatch(runs, '(%d+)%-?(%d*)') do
    for unit = first + 0, (last == '' and first or last) + 0 do take(unit) end
  end
end

local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local untouched = ARGV[10] == 'untouched'
call('HSET', KEYS[1], 'next', untouched and 0 or ARGV[8], 'top', ARGV[8],
  'opens', ARGV[2] == 'open' and ARGV[3] or '9000000000000000', 'ends', ARGV[4], 'limit', ARGV[5],
  'guarded', ARGV[6], 'state', ARGV[2], 'starts', ARGV[3], 'version', ARGV[1], 'epoch', ARGV[9], 'audit', now)
call('DEL', KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6])
if untouched then return 'filled' end

local free, held, buyers = {}, {}, {}
each(ARGV[11], function(unit) free[#free + 1] = unit end)
each(ARGV[12], function(unit)
  held[#held + 1] = unit
  held[#held + 1] = '#retire'
end)
for i = 13, #ARGV do
  local order, user, units = string.match(ARGV[i], '^([^|]*)|([^|]*)|(.*)$')
  buyers[#buyers + 1] = user
  buyers[#buyers + 1] = order .. '|' .. units
  local holder = order .. '|' .. user .. '|' .. now
  for unit in string.gmatch(units, '%d+') do
    held[#held + 1] = unit
    held[#held + 1] = holder
  end
end
write('SADD', KEYS[4], free)
write('HSET', KEYS[3], held)
write('HSET', KEYS[2], buyers)
return 'filled'
