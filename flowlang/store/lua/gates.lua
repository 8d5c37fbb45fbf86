-- Gates: what a run passes before it starts, and a scope before an attempt.
--
-- An operation only notes what it means for gates (`note`), and `gates.settle` does it when the operation is done: so a
-- place is given on once the commit that gave it back is complete.

function gates.ask(run_id, scope_id, pending)
  local run, row = get_run(run_id), get_scope(run_id, scope_id)
  row.pending = pending
  touch_scope(run_id, scope_id)
  if scope_id ~= '' and not run.gated then
    run.gated = true
    mark_more(run)
    redis.call('HSET', K.run .. run_id, 'gated', 1)
  end
  note('walk', run_id, scope_id)
end

-- The part of a commit that is about gates and queues.
function gates.write(run, row, op)
  for _, id in ipairs(op.frees) do
    local place = row.slots and row.slots[id]
    if place then
      row.slots[id] = nil
      note('free', place[1], place[2])
    end
    if row.pending and row.pending.id == id then withdraw(row) end
  end
  if op.meta then
    redis.call('HSET', K.run .. op.run, 'meta', op.meta)
    count_stored(op.run, #op.meta)
  end
  if op.priority_ms then row.priority_ms = op.priority_ms end
  if op.queue then
    hold_row(row.queue, -1)
    row.queue = op.queue
    hold_row(row.queue, 1)
  end
  if op.gate_id then gates.ask(op.run, op.scope, {id = op.gate_id, gates = op.gates, more = false, member = ''}) end
end

function gates.passed(run, scope_id, row)
  local pending = row.pending
  row.pending = nil
  touch_scope(run.id, scope_id)
  if pending.more then
    local metas = {}
    for i, meta in ipairs(pending.metas) do metas[i] = mp_bin(meta) end
    deliver(run.id, scope_id, mp_map({T.kind, T.batch, T.metas, mp_array(metas)}), false, MAX_AHEAD_MS)
  elseif pending.id == '' then
    run.admitting = false
    redis.call('HDEL', K.run .. run.id, 'admitting')
    deliver(run.id, scope_id, mp_fields(2, 'kind', 'start'))
  else
    deliver(run.id, scope_id, mp_fields(4, 'kind', 'passed', 'id', pending.id))
  end
end

function gates.walk(run_id, scope_id)
  local run = get_run(run_id)
  local row = run and run.live and get_scope(run_id, scope_id)
  if not row or row.status == 'ended' or not row.pending or row.pending.member ~= '' then return end
  local pending = row.pending
  if #pending.gates == 0 then return gates.passed(run, scope_id, row) end
  local gate = gates.first(pending)
  touch_scope(run_id, scope_id)
  if gate.type == 'pace' and not gate.wait then
    if paces.spend(gate) > 0 then return gates.end_unstarted(run_id, gate.refusal) end
    table.remove(pending.gates, 1)
    return note('walk', run_id, scope_id)
  end
  local member = string.format('%016d', redis.call('INCR', K.tickets)) .. SEP .. run_id .. SEP .. scope_id
  pending.member = member
  if gate.type == 'pace' then
    paces.ask(member, gate, NOW - row.priority_ms)
  elseif gate.type == 'window' then
    windows.ask(member, gate)
  else
    slots.ask(member, gate, NOW - row.priority_ms)
    if gate.on_limit == 'skip' and pending.member ~= '' then gates.end_unstarted(run_id, gate.refusal) end
  end
end

local SETTLE = {
  walk = gates.walk,
  free = slots.free,
  left = function(kind, key, member)
    if kind == 'slot' then return slots.free(key, member) end
    redis.call('ZREM', K.line .. key, member)
    if kind == 'pace' then return paces.run(key) end
    if redis.call('EXISTS', K.line .. key) == 0 then windows.forget(key) end
  end,
  due = function(kind, key)
    if kind == 'window' then windows.close(key) else paces.run(key) end
  end,
  back = function(run_id) slots.come_back(get_run(run_id)) end,
  wake = function(run_id) slots.wake(get_run(run_id)) end,
}

-- Does what operations have noted, until nothing is left; then runs without work give their places back.
function gates.settle()
  while true do
    while agenda.at <= #agenda do
      local noted = agenda[agenda.at]
      agenda.at = agenda.at + 1
      SETTLE[noted[1]](noted[2], noted[3], noted[4])
    end
    local idle = counted
    if #idle == 0 then return end
    counted = {}
    for _, run_id in ipairs(idle) do
      local run = get_run(run_id)
      if run and run.live then slots.park(run) end
    end
  end
end
