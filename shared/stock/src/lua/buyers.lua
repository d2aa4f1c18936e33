-- buyers: the users who have a reservation or a live order.
-- KEYS 1 buyers
-- ARGV 1 how many at most
-- Answers their ids in no order, or nil if they are more.
if redis.call('HLEN', KEYS[1]) > tonumber(ARGV[1]) then return false end
return redis.call('HKEYS', KEYS[1])
