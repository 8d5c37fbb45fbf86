#!lua flags=allow-oom
-- nack: keep a message that no actor could take, for a person to look at; the newest 1000 of a queue are kept.
--
-- KEYS  1 held         set of ids that the consumer has taken
--       2 bodies       hash of message id -> encoded message
--       3 dead         sorted set of dead message ids by time, server ms
--       4 dead_bodies  hash of dead message id -> encoded message
-- ARGV  1 id
--       2 ttl          ms after which dead messages are forgotten, counted from the last one
-- Returns 1 when the message was moved, 0 when somebody else owns it now.
if redis.call('SREM', KEYS[1], ARGV[1]) == 0 then
  return 0
end
local body = redis.call('HGET', KEYS[2], ARGV[1])
if not body then
  return 0
end
local time = redis.call('TIME')
redis.call('ZADD', KEYS[3], tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000), ARGV[1])
redis.call('HSET', KEYS[4], ARGV[1], body)
redis.call('HDEL', KEYS[2], ARGV[1])
for _, old in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1001)) do
  redis.call('ZREM', KEYS[3], old)
  redis.call('HDEL', KEYS[4], old)
end
redis.call('PEXPIRE', KEYS[3], ARGV[2])
redis.call('PEXPIRE', KEYS[4], ARGV[2])
return 1
