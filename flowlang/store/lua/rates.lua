-- The generic cell rate algorithm at the edge: what is not let through is refused, and nothing waits.
--
-- keys[1]  first part of every key, with the partition's hash tag
-- args[1]  whose rate, hashed
-- args[2]  step between two, us
-- args[3]  how far ahead of the time the state may be, us
-- args[4]  fewer are of no use
-- args[5]  more are not
-- args[6]  `test` where the test clock counts
-- Returns how many were granted, and after how many us as many as are of use will be.

redis.register_function(NAME .. '_spend', function(keys, args)
  begin(keys[1], args[6] == 'test')
  local step, cap, least, want = tonumber(args[2]), tonumber(args[3]), tonumber(args[4]), tonumber(args[5])
  local now = NOW * 1000 + tonumber(redis.call('TIME')[2]) % 1000
  local key = K.rate .. args[1]
  local ahead = math.max(tonumber(redis.call('GET', key) or '0') - now, 0)
  local granted = math.min(want, math.floor((cap - ahead) / step))
  if granted < least then return {0, ahead + least * step - cap} end
  local left = ahead + granted * step
  redis.call('SET', key, string.format('%.0f', now + left), 'PX', math.ceil(left / 1000) + 1000)
  return {granted, 0}
end)
