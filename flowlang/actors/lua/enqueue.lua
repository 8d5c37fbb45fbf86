#!lua
-- enqueue: put one message on a queue and ring for one idle consumer.
--
-- KEYS  1 queue    list of message ids
--       2 bodies   hash of message id -> encoded message
--       3 wake     list of tokens that idle consumers block on
-- ARGV  1 id       unique in the queue; the same id again changes nothing, so a resent call is harmless
--       2 body     encoded message, opaque here
--       3 ttl      ms after which an untouched queue is forgotten
--       4 tokens   most tokens on the wake list
--       5 wake_ttl ms after which unused tokens are forgotten
if redis.call('HSETNX', KEYS[2], ARGV[1], ARGV[2]) == 1 then
  redis.call('RPUSH', KEYS[1], ARGV[1])
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
if redis.call('LLEN', KEYS[3]) < tonumber(ARGV[4]) then
  redis.call('RPUSH', KEYS[3], '1')
end
redis.call('PEXPIRE', KEYS[3], ARGV[5])
