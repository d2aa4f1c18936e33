-- ack: takes a reservation out of the outbox. For the order-writer after its commit, never for the publisher.
-- KEYS 1 pending
-- ARGV 1 the entry, reservation|user|units, built from the event
-- Answers 1, or 0 if no such entry is there.
-- Keeps: exactly these bytes are taken out; an entry of the same reservation with other units stays.
return redis.call('ZREM', KEYS[1], ARGV[1])
