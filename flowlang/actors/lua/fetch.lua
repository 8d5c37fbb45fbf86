#!lua flags=allow-oom
-- fetch: prove that a consumer lives, take back what dead ones held, hand out up to `count` messages.
-- It only frees or moves what is stored, so it also runs when the server's memory is full.
--
-- KEYS  1 queue       list of message ids
--       2 bodies      hash of message id -> encoded message
--       3 wake        list of tokens that idle consumers block on
--       4 held        set of ids that this consumer has taken and not yet settled
--       5 heartbeats  sorted set of "<consumer id>.<queue>" by last proof of life, server ms
--       6 reclaiming  lock that keeps the search for dead consumers rare
-- ARGV  1 member      this consumer in `heartbeats`
--       2 count       most messages to hand out, 0 = heartbeat only
--       3 dead_after  ms without a heartbeat after which a consumer is taken for dead
--       4 ttl         ms after which an untouched queue is forgotten
--       5 wake_ttl    ms after which unused tokens are forgotten
--       6 prefix      what the names of all keys of this broker begin with
-- Returns a flat list: id, body, id, body, ...
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local dead_after = tonumber(ARGV[3])
redis.call('ZADD', KEYS[5], now, ARGV[1])
redis.call('PEXPIRE', KEYS[5], ARGV[4])

-- A consumer serves one queue and its name says which, so its set is found without searching the keys.
local function reclaim(member)
  local name = string.match(member, '^[^.]+%.(.+)$')
  if name then
    local held = ARGV[6] .. ':__acks__.' .. member
    local queue = ARGV[6] .. ':' .. name
    local wake = ARGV[6] .. ':__wake__.' .. name
    for _, id in ipairs(redis.call('SMEMBERS', held)) do
      if redis.call('HEXISTS', queue .. '.msgs', id) == 1 then
        redis.call('RPUSH', queue, id)
        redis.call('PEXPIRE', queue, ARGV[4])
        redis.call('DEL', wake)
        redis.call('RPUSH', wake, '1')
        redis.call('PEXPIRE', wake, ARGV[5])
      end
    end
    redis.call('DEL', held)
  end
  redis.call('ZREM', KEYS[5], member)
end

if redis.call('SET', KEYS[6], '1', 'NX', 'PX', math.ceil(dead_after / 4)) then
  local dead = redis.call('ZRANGEBYSCORE', KEYS[5], '-inf', now - dead_after, 'LIMIT', 0, 16)
  for _, member in ipairs(dead) do
    reclaim(member)
  end
end

local count = tonumber(ARGV[2])
if count == 0 then
  redis.call('PEXPIRE', KEYS[4], ARGV[4])
  return {}
end

local ids = redis.call('LPOP', KEYS[1], count)
local taken = {}
for _, id in ipairs(ids or {}) do
  local body = redis.call('HGET', KEYS[2], id)
  if body then
    redis.call('SADD', KEYS[4], id)
    taken[#taken + 1] = id
    taken[#taken + 1] = body
  end
end
redis.call('PEXPIRE', KEYS[4], ARGV[4])

-- An empty queue needs no tokens; what is left over is for the next idle consumer.
if redis.call('LLEN', KEYS[1]) == 0 then
  redis.call('DEL', KEYS[3])
elseif redis.call('LLEN', KEYS[3]) == 0 then
  redis.call('RPUSH', KEYS[3], '1')
  redis.call('PEXPIRE', KEYS[3], ARGV[5])
end
return taken
