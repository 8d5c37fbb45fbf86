-- What the holder of a scope does: commit, renew, release, and the check that it is still the holder.

-- Returns run, row; or nil and why the scope is not the caller's.
local function held_row(run_id, scope_id, fence)
  local run = get_run(run_id)
  if not run then return nil, 'no such run' end
  if not run.live then return nil, 'the run has ended' end
  local row = get_scope(run_id, scope_id)
  if not row then return nil, 'no such scope' end
  if row.status ~= 'held' or row.fence ~= fence then return nil, 'not the holder' end
  if not under_living(run_id, row) then return nil, 'an ancestor has ended' end
  return run, row
end

local function lost(why) return mp_fields(4, 'type', 'lost', 'why', why) end

local function committed(facts, accepted)
  return mp_map({
    T.type, T.committed, T.facts, mp_array(facts), T.accepted, mp_array(accepted),
  })
end

local function write_turn(run_id, row, op)
  local left = {}
  for i = op.consumed + 1, #row.inbox do left[#left + 1] = row.inbox[i] end
  local run = get_run(run_id)
  count_stored(run_id, #op.state - #row.state)
  row.inbox, row.state, row.reads, row.rescues = left, op.state, op.reads, 0
  touch_scope(run_id, op.scope)
  set_records(run_id, op.records)
  append(run_id, RUN.journal, op.journal)
  if #op.undos > 0 then
    mark_more(run)
    append(run_id, RUN.undos, op.undos)
  end
  if op.steps > 0 then
    run.steps = run.steps + op.steps
    dirty_counts[run_id] = true
  end
  for _, timer in ipairs(op.cleared) do clear_timer(run_id, op.scope, row, timer) end
  for _, timer in ipairs(op.timers) do set_timer(run_id, op.scope, row, with_defaults(timer, 'Timer')) end
  for _, wait_id in ipairs(op.unwaits) do drop_wait(run_id, op.scope, row, wait_id) end
  for _, wait in ipairs(op.waits) do register_wait(run_id, op.scope, row, with_defaults(wait, 'Wait')) end
  for _, asked in ipairs(op.takes) do take_event(run_id, op.scope, asked) end
  for _, event in ipairs(op.delayed) do delay_event(with_defaults(event, 'Delayed')) end
  for _, entry in ipairs(op.cached) do keep_output(entry) end
  for _, asked in ipairs(op.lookups) do look_up(run_id, op.scope, asked) end
end

-- The ids of a run's scopes, those that this call has made included.
local function all_scopes(run_id)
  local names = redis.call('HKEYS', K.run .. run_id .. RUN.scopes)
  local known = {}
  for _, name in ipairs(names) do known[name] = true end
  for name, row in pairs(scope_rows[run_id] or {}) do
    if row and not known[name] then names[#names + 1] = name end
  end
  return names
end

-- Tells a run's main scope that it has more than it may; once, for it will end.
local function tell_limits(run, op)
  if run.over or not run.live then return end
  local name, count, limit = 'run', run.stored, op.max_stored
  if not limit or count <= limit then name, count, limit = 'steps', run.steps, op.max_steps end
  if not limit or count <= limit then return end
  run.over = true
  dirty_counts[run.id] = true
  deliver(run.id, '', mp_fields(8, 'kind', 'limit', 'name', name, 'count', count, 'limit', limit), true)
end

local function finish_run(run, finish)
  set_run_status(run, finish.status)
  count_stored(run.id, #finish.result)
  for _, field in ipairs(run.more and redis.call('HKEYS', K.run .. run.id .. RUN.waits) or {}) do
    local parts = split(field)
    drop_wait(run.id, parts[1], get_scope(run.id, parts[1]), parts[2])
  end
  redis.call('HSET', K.run .. run.id, 'status', finish.status, 'result', finish.result, 'ended_ms', NOW)
  if finish.merged_into then redis.call('HSET', K.run .. run.id, 'merged_into', finish.merged_into) end
  if run.gated then
    for _, scope_id in ipairs(all_scopes(run.id)) do
      local row = get_scope(run.id, scope_id)
      if row.status ~= 'ended' then
        leave_gates(run.id, scope_id, row)
        touch_scope(run.id, scope_id)
      end
    end
  end
  part(run, finish)
  if finish.dead then bury(finish.dead) else expire_run(run) end
end

local function commit(op)
  local run, row = held_row(op.run, op.scope, op.fence)
  if not run then return lost(row) end
  for _, one in ipairs(op.accepts) do
    if one.epoch ~= EPOCH then return stale_epoch() end
  end
  write_turn(op.run, row, op)
  gates.write(run, row, op)
  for _, group in ipairs(op.groups) do create_group(op.run, op.scope, with_defaults(group, 'Group')) end
  for _, group_id in ipairs(op.cancels) do close_group(op.run, group_id) end
  if op.status == 'ended' then end_scope(op.run, op.scope, row) end
  if op.join then join_group(op.run, row, with_defaults(op.join, 'Join')) end
  if op.finish then finish_run(run, with_defaults(op.finish, 'Finish')) end
  for _, one in ipairs(op.cancel_runs) do
    deliver(one[1], '', mp_fields(4, 'kind', 'cancel', 'reason', one[2]), true)
    if not get_run(one[1]) then tell_parent(op.run, op.scope, one[3], one[1], 'gone', '') end
  end
  local accepted = {}
  for i, one in ipairs(op.accepts) do accepted[i] = accept_current(with_defaults(one, 'Accept')) end
  tell_limits(run, op)
  if op.status == 'held' then
    if row.lease_end - NOW < row.lease_ms / 2 then
      row.lease_end = NOW + row.lease_ms
      sorted.put(K.leases, row.lease_end, member_of(op.run, op.scope))
    end
    return committed(row.inbox, accepted)
  end
  if op.status == 'ready' or (op.status == 'waiting' and #row.inbox > 0) then
    make_ready(op.run, op.scope, row)
  elseif op.status == 'waiting' then
    row.status = 'waiting'
    hold_row(row.queue, -1)
    sorted.drop(K.leases, member_of(op.run, op.scope))
    rests(op.run)
  end
  return committed({}, accepted)
end

local function renew(op)
  local said = redis.call('HGET', K.workers, op.worker)
  if said then
    redis.call('HSET', K.workers, op.worker, seen_now(said))
  end
  local holds = {}
  for i, hold_of in ipairs(op.holds) do
    local run, row = held_row(hold_of[1], hold_of[2], hold_of[3])
    if run then
      if row.lease_ms ~= op.lease_ms then
        row.lease_ms = op.lease_ms
        touch_scope(hold_of[1], hold_of[2])
      end
      if op.alone then
        row.alone = true
        touch_scope(hold_of[1], hold_of[2])
      end
      sorted.put(K.leases, NOW + op.lease_ms, member_of(hold_of[1], hold_of[2]))
      holds[i] = mp_map({T.ok, mp(true), T.facts, mp_array(row.inbox)})
    else
      holds[i] = mp_fields(2, 'ok', false)
    end
  end
  return mp_map({T.type, T.renewed, T.holds, mp_array(holds)})
end

local function release(op)
  local run, row = held_row(op.run, op.scope, op.fence)
  if not run then return lost(row) end
  make_ready(op.run, op.scope, row)
  return committed({}, {})
end
