#!lua
-- hint: ring for one idle consumer, or for the next one that is. Sent twice, it rings twice, which does no harm.
--
-- KEYS  1 hints    list of actors' names, that idle consumers block on
-- ARGV  1 actor    that the consumer's worker is to call
--       2 backlog  most hints that are kept
--       3 ttl      ms after which hints that nobody takes are forgotten
-- Returns 1 when it is kept, 0 when there are enough.
if redis.call('LLEN', KEYS[1]) >= tonumber(ARGV[2]) then
  return 0
end
redis.call('RPUSH', KEYS[1], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
