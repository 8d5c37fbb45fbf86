-- Places with a line: at most so many members of a key at a time.

local slots = {}

function slots.take(key, member)
  redis.call('ZREM', K.line .. key, member)
  redis.call('ZADD', K.places .. key, tonumber(string.sub(member, 1, 16)), member)
end

function slots.run(key)
  while true do
    local member = redis.call('ZRANGE', K.line .. key, 0, 0)[1]
    if not member then return end
    local parts = split(member)
    local run = get_run(parts[2])
    if run and run.live and run.slot and run.slot.member == member then
      if redis.call('ZCARD', K.places .. key) >= run.slot.limit then return end
      slots.take(key, member)
      run.slot.state = 'held'
      dirty_slots[run.id] = true
      note('wake', run.id)
    else
      local row, gate = gates.waits_at(member)
      if not row then
        redis.call('ZREM', K.line .. key, member)
      else
        if redis.call('ZCARD', K.places .. key) >= gate.limit then return end
        slots.take(key, member)
        if gate.active then
          local at_work = row.status == 'waiting' and 0 or 1 -- 1: woken while it stood in line
          run.slot = {key = key, limit = gate.limit, member = member, state = 'held', active = at_work, wanting = {}}
          dirty_slots[run.id] = true
        else
          row.slots = row.slots or {}
          row.slots[row.pending.id] = {key, member}
        end
        gates.passes(member, row)
      end
    end
  end
end

function slots.ask(member, gate, score)
  redis.call('ZADD', K.line .. gate.key, score, member)
  slots.run(gate.key)
  if gate.on_limit ~= 'cancel_oldest' then return end
  local untold = K.untold .. gate.key
  redis.call('ZADD', untold, tonumber(string.sub(member, 1, 16)), member)
  for _ = gate.limit + 1, redis.call('ZCARD', untold) do
    local first = redis.call('ZPOPMIN', untold)[1]
    deliver(gates.run_of(first), '', mp_fields(4, 'kind', 'cancel', 'reason', NEWER), true)
  end
end

function slots.free(key, member)
  redis.call('ZREM', K.places .. key, member)
  redis.call('ZREM', K.untold .. key, member)
  redis.call('ZREM', K.line .. key, member)
  slots.run(key)
end

function slots.park(run)
  local slot = run.slot
  if not slot or (slot.state ~= 'held' and slot.state ~= 'free') or slot.active > 0 then return end
  slot.state = 'parked'
  dirty_slots[run.id] = true
  slots.free(slot.key, slot.member)
end

function slots.come_back(run)
  local slot = run and run.live and run.slot
  if not slot or slot.state ~= 'parked' then return end
  slot.state = 'back'
  dirty_slots[run.id] = true
  local main = get_scope(run.id, '')
  redis.call('ZADD', K.line .. slot.key, NOW - main.priority_ms - BACK_AHEAD_MS, slot.member)
  slots.run(slot.key)
end

function slots.wake(run)
  local slot = run and run.live and run.slot
  if not slot then return end
  if slot.state == 'free' then slots.free(slot.key, slot.member) end
  local wanting = slot.wanting
  slot.wanting = {}
  dirty_slots[run.id] = true
  for _, scope_id in ipairs(wanting) do
    local row = get_scope(run.id, scope_id)
    if row.status == 'waiting' then make_ready(run.id, scope_id, row) end
  end
end
