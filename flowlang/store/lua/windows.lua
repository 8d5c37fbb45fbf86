-- Windows: runs gather, one of them passes, the others end with its id; all in one operation, once.

local windows = {}

function windows.forget(key)
  redis.call('HDEL', K.windows, key)
  redis.call('ZREM', K.timers, SEP .. 'window' .. SEP .. key)
end

function windows.close(key)
  local found = {}
  for _, member in ipairs(redis.call('ZRANGE', K.line .. key, 0, -1)) do
    local row, gate = gates.waits_at(member)
    if row then found[#found + 1] = {member = member, row = row, gate = gate} end
  end
  redis.call('DEL', K.line .. key)
  windows.forget(key)
  if #found == 0 then return end
  local size = found[#found].gate.size
  local chosen = size and found[1] or found[#found]
  if size then
    chosen.row.pending.metas = {}
    for i, one in ipairs(found) do
      chosen.row.pending.metas[i] = redis.call('HGET', K.run .. gates.run_of(one.member), 'meta')
    end
  end
  gates.passes(chosen.member, chosen.row)
  for _, one in ipairs(found) do
    if one ~= chosen then
      one.row.pending.member = ''
      gates.end_unstarted(gates.run_of(one.member), one.gate.refusal, gates.run_of(chosen.member))
    end
  end
end

function windows.ask(member, gate)
  redis.call('HSETNX', K.windows, gate.key, NOW)
  local opened = tonumber(redis.call('HGET', K.windows, gate.key))
  redis.call('ZADD', K.line .. gate.key, 0, member)
  if gate.size and redis.call('ZCARD', K.line .. gate.key) >= gate.size then return windows.close(gate.key) end
  local due = (gate.size and opened or NOW) + gate.period_ms
  if not gate.size and gate.max_ms then due = math.min(due, opened + gate.max_ms) end
  redis.call('ZADD', K.timers, due, SEP .. 'window' .. SEP .. gate.key)
end
