#!lua flags=allow-oom
-- ack: forget a message that was processed. A consumer that was taken for dead changes nothing.
--
-- KEYS  1 held    set of ids that the consumer has taken
--       2 bodies  hash of message id -> encoded message
-- ARGV  1 id
-- Returns 1 when the message was forgotten, 0 when somebody else owns it now.
if redis.call('SREM', KEYS[1], ARGV[1]) == 0 then
  return 0
end
return redis.call('HDEL', KEYS[2], ARGV[1])
