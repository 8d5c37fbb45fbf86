#!lua
-- enqueue: put one message on a queue and ring for one idle consumer.
--
-- KEYS  1 queue    list of message ids
--       2 bodies   hash of message id -> encoded message
--       3 wake     list of tokens that idle consumers block on
-- ARGV  1 id       unique in the queue; the same id again changes nothing, so a resent call is harmless
--       2 body     encoded message, opaque here
--       3 backlog  most messages that may lie on the queue before this one is refused, 0 = no limit
--       4 ttl      ms after which an untouched queue is forgotten
--       5 tokens   most tokens on the wake list
--       6 wake_ttl ms after which unused tokens are forgotten
-- Returns 1 when the message lies on the queue, 0 when it was refused because the backlog is full.
local backlog = tonumber(ARGV[3])
if backlog > 0 and redis.call('LLEN', KEYS[1]) >= backlog then
  return 0
end
if redis.call('HSETNX', KEYS[2], ARGV[1], ARGV[2]) == 1 then
  redis.call('RPUSH', KEYS[1], ARGV[1])
end
redis.call('PEXPIRE', KEYS[1], ARGV[4])
redis.call('PEXPIRE', KEYS[2], ARGV[4])
if redis.call('LLEN', KEYS[3]) < tonumber(ARGV[5]) then
  redis.call('RPUSH', KEYS[3], '1')
end
redis.call('PEXPIRE', KEYS[3], ARGV[6])
return 1
