-- The generic cell rate algorithm with a line: never more than `burst` + time x rate pass.

local paces = {}

-- Passes once. Returns 0, or the time from which on one may pass.
function paces.spend(gate)
  local key = K.pace .. gate.key
  local used_up = math.max(tonumber(redis.call('GET', key) or '0'), NOW)
  local step = gate.period_ms / gate.limit
  local from = used_up - (gate.burst - 1) * step
  if from > NOW then return from end
  redis.call('SET', key, string.format('%.17g', used_up + step), 'PX', math.ceil(used_up + step - NOW) + GRACE_MS)
  return 0
end

function paces.run(key)
  local timer = SEP .. 'pace' .. SEP .. key
  while true do
    local member = redis.call('ZRANGE', K.line .. key, 0, 0)[1]
    if not member then break end
    local row, gate = gates.waits_at(member)
    if row then
      local from = paces.spend(gate)
      if from > 0 then
        redis.call('ZADD', K.timers, math.ceil(from), timer)
        return
      end
    end
    redis.call('ZREM', K.line .. key, member)
    if row then gates.passes(member, row) end
  end
  redis.call('ZREM', K.timers, timer)
end

function paces.ask(member, gate, score)
  redis.call('ZADD', K.line .. gate.key, score, member)
  paces.run(gate.key)
end
