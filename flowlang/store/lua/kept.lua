-- What is kept for a while or for later: names that are held, outputs in the cache, delayed events.

-- Reads a string `expiry:value`; returns the value while it has not expired.
local function held_by(key)
  local text = redis.call('GET', key)
  if not text then return nil end
  local at = string.find(text, ':', 1, true)
  if tonumber(string.sub(text, 1, at - 1)) <= NOW then return nil end
  return string.sub(text, at + 1)
end

local function hold(key, value, ttl)
  redis.call('SET', key, string.format('%d', NOW + ttl) .. ':' .. value, 'PX', ttl + GRACE_MS)
end

local function delay_event(event)
  redis.call('ZADD', K.delayed, NOW + event.delay_ms, event.id)
  redis.call('HSET', K.delayed_rows, event.id, event.body)
end

-- Takes a delayed event off; of all that route it, one wins.
local function take_delayed(id)
  redis.call('HDEL', K.delayed_rows, id)
  return redis.call('ZREM', K.delayed, id) == 1
end

local function keep_output(entry) hold(K.cache .. entry.key, entry.body, entry.ttl_ms) end

local function look_up(run_id, scope_id, asked)
  local body = held_by(K.cache .. asked.key)
  deliver(run_id, scope_id, mp_map({
    T.kind, T.cached, T.id, mp(asked.id), T.body, body and mp_bin(body) or '\192',
  }))
end
