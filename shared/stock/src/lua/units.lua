-- units: who has which unit, at one moment.
-- KEYS 1 sale  2 held  3 free
-- ARGV 1 first unit  2 last unit, at most 1,000 in all
-- Answers one text per unit: its value in held, '+' if it is on offer, '' if it is nobody's; nil if the sale is not
--   loaded.
local call = redis.call
local sale = call('HMGET', KEYS[1], 'next', 'top')
if not sale[1] then return false end
local next, top, units = tonumber(sale[1]), tonumber(sale[2]), {}
for unit = tonumber(ARGV[1]), tonumber(ARGV[2]) do units[#units + 1] = unit end
if #units == 0 then return units end

-- One question per unit that nobody holds: SMISMEMBER would ask for all at once, and needs Redis 6.2.
local holders = call('HMGET', KEYS[2], unpack(units))
for i, unit in ipairs(units) do
  local state = holders[i]
  if not state then
    local on_offer = unit > next and unit <= top or call('SISMEMBER', KEYS[3], unit) == 1
    state = on_offer and '+' or ''
  end
  units[i] = state
end
return units
