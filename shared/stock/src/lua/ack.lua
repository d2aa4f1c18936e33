-- ack: takes reservations out of the outbox. For the order-writer after its commit, never for the publisher.
-- KEYS 1 pending
-- ARGV the entries, reservation|user|units each, built from the events
-- Answers how many of them were there.
-- Keeps: exactly these bytes are taken out; an entry of the same reservation with other units stays.
return redis.call('ZREM', KEYS[1], unpack(ARGV))
