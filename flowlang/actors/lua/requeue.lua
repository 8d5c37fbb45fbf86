#!lua flags=allow-oom
-- requeue: hand back messages that were taken and not begun, at the head of the queue; optionally leave for good.
--
-- KEYS  1 queue       list of message ids
--       2 bodies      hash of message id -> encoded message
--       3 wake        list of tokens that idle consumers block on
--       4 held        set of ids that the consumer has taken
--       5 heartbeats  sorted set of consumers by last proof of life
-- ARGV  1 member      the consumer in `heartbeats`
--       2 leave       1 = forget the consumer when it holds nothing more; if it does, its death is noticed later
--       3 ttl         ms after which an untouched queue is forgotten
--       4 wake_ttl    ms after which unused tokens are forgotten
--       5... ids      oldest first
-- Returns the number of messages handed back.
local back = 0
for i = #ARGV, 5, -1 do
  if redis.call('SREM', KEYS[4], ARGV[i]) == 1 and redis.call('HEXISTS', KEYS[2], ARGV[i]) == 1 then
    redis.call('LPUSH', KEYS[1], ARGV[i])
    back = back + 1
  end
end
if back > 0 then
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
  if redis.call('LLEN', KEYS[3]) == 0 then
    redis.call('RPUSH', KEYS[3], '1')
  end
  redis.call('PEXPIRE', KEYS[3], ARGV[4])
end
if ARGV[2] == '1' and redis.call('SCARD', KEYS[4]) == 0 then
  redis.call('ZREM', KEYS[5], ARGV[1])
end
return back
