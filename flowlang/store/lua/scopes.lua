-- What all operations share: queues, inboxes, timers, and the end of a scope.
-- A scope is in its queue while it is ready, among the leases while it is held, and has timers and waits only until it
-- ends.

local fresh         -- member → queue: rows that this call made ready
local noted_queues  -- queues that this call has added to the set of names

local function member_of(run_id, scope_id) return run_id .. SEP .. scope_id end

local running -- queue → change in the number of rows that are held

local function hold_row(queue, change) running[queue] = (running[queue] or 0) + change end

local function count_held(queue) return tonumber(redis.call('HGET', K.running, queue) or '0') + (running[queue] or 0) end

local function save_running()
  for queue, change in pairs(running) do
    if change ~= 0 and redis.call('HINCRBY', K.running, queue, change) == 0 then redis.call('HDEL', K.running, queue) end
  end
end

-- Counts a scope that becomes active. False: its run has given its place back and must get it again first.
local function is_active(run_id, scope_id)
  local run = get_run(run_id)
  local slot = run and run.slot
  if not slot then return true end
  dirty_slots[run_id] = true
  if slot.state == 'parked' or slot.state == 'back' then
    local known = false
    for _, one in ipairs(slot.wanting) do known = known or one == scope_id end
    if not known then slot.wanting[#slot.wanting + 1] = scope_id end
    note('back', run_id)
    return false
  end
  slot.active = slot.active + 1
  return true
end

-- Counts a scope that is not active any more.
local function rests(run_id)
  local run = get_run(run_id)
  if not run or not run.slot then return end
  run.slot.active = run.slot.active - 1
  dirty_slots[run_id] = true
  counted[#counted + 1] = run_id
end

-- Takes back what a scope asks of gates.
local function withdraw(row)
  local pending = row.pending
  row.pending = nil
  if pending and pending.member ~= '' then note('left', pending.gates[1].type, pending.gates[1].key, pending.member) end
end

-- Gives back all that a scope has of gates, and the run's own place with its main scope.
local function leave_gates(run_id, scope_id, row)
  withdraw(row)
  for _, place in pairs(row.slots or {}) do note('free', place[1], place[2]) end
  row.slots = nil
  local run = get_run(run_id)
  if scope_id == '' and run and run.slot then
    note('free', run.slot.key, run.slot.member)
    run.slot = nil
    dirty_slots[run_id] = true
  end
end

-- ahead: ms of advance before others, beside the run's priority.
local function make_ready(run_id, scope_id, row, ahead)
  if row.status == 'waiting' and not is_active(run_id, scope_id) then return end
  local member = member_of(run_id, scope_id)
  if row.status == 'held' then
    sorted.drop(K.leases, member)
    hold_row(row.queue, -1)
  end
  row.status = 'ready'
  if not noted_queues[row.queue] then
    noted_queues[row.queue] = true
    redis.call('SADD', K.queues, row.queue)
  end
  local since = NOW - row.priority_ms - (ahead or 0)
  sorted.put(K.ready .. row.queue, since * RANKS + math.min(row.index, RANKS - 1), member)
  fresh[member] = row.queue
  touch_scope(run_id, scope_id)
end

-- fact: an encoded map. ends: it reaches a run that has given its place back. ahead: as for make_ready.
local function deliver(run_id, scope_id, fact, ends, ahead)
  local run = get_run(run_id)
  local row = run and run.live and get_scope(run_id, scope_id)
  if not row or row.status == 'ended' then return end
  row.inbox[#row.inbox + 1] = fact
  touch_scope(run_id, scope_id)
  if ends and run.slot and (run.slot.state == 'parked' or run.slot.state == 'back') then
    run.slot.state = 'free'
    dirty_slots[run_id] = true
    note('wake', run_id)
  end
  if row.status == 'waiting' then make_ready(run_id, scope_id, row, ahead) end
end

local function under_living(run_id, row)
  local parent = row.parent
  for _ = 1, SCOPE_DEPTH do
    if not parent then return true end
    local above = get_scope(run_id, parent)
    if not above or above.status == 'ended' then return false end
    parent = above.parent
  end
  return false
end

local function drop_wait(run_id, scope_id, row, wait_id)
  if not row.waits[wait_id] then return end
  row.waits[wait_id] = nil
  touch_scope(run_id, scope_id)
  local key, field = K.run .. run_id .. RUN.waits, scope_id .. SEP .. wait_id
  for _, name in ipairs(split(redis.call('HGET', key, field))) do
    redis.call('ZREM', K.wait .. name, run_id .. SEP .. field)
  end
  redis.call('HDEL', key, field)
end

local function end_scope(run_id, scope_id, row)
  local member = member_of(run_id, scope_id)
  if row.status == 'ended' then return end
  if row.status ~= 'waiting' then rests(run_id) end
  if row.status == 'held' then
    hold_row(row.queue, -1)
    sorted.drop(K.leases, member)
  end
  leave_gates(run_id, scope_id, row)
  if row.status == 'ready' then
    unready(row.queue, member)
    fresh[member] = nil
  end
  for _, timer in ipairs(row.timers) do redis.call('ZREM', K.timers, member .. SEP .. timer) end
  for wait_id in pairs(row.waits) do drop_wait(run_id, scope_id, row, wait_id) end
  count_stored(run_id, -#row.state)
  put_scope(run_id, scope_id, {status = 'ended', fence = row.fence})
end

local function drop_timer(row, timer)
  for i, one in ipairs(row.timers) do
    if one == timer then
      table.remove(row.timers, i)
      return
    end
  end
end

local function set_timer(run_id, scope_id, row, timer)
  drop_timer(row, timer.id)
  row.timers[#row.timers + 1] = timer.id
  redis.call('ZADD', K.timers, timer.at_ms or NOW + timer.delay_ms, member_of(run_id, scope_id) .. SEP .. timer.id)
end

local function clear_timer(run_id, scope_id, row, timer)
  drop_timer(row, timer)
  redis.call('ZREM', K.timers, member_of(run_id, scope_id) .. SEP .. timer)
end

local function fire_timers(limit)
  local due = redis.call('ZRANGEBYSCORE', K.timers, '-inf', NOW, 'LIMIT', 0, limit)
  for _, member in ipairs(due) do
    local parts = split(member)
    local run_id, scope_id, timer = parts[1], parts[2], parts[3]
    redis.call('ZREM', K.timers, member)
    if run_id == '' then -- of a gate: its kind and key
      note('due', scope_id, timer)
    else
      local row = get_run(run_id) and get_scope(run_id, scope_id)
      if row and row.status ~= 'ended' then
        drop_timer(row, timer)
        touch_scope(run_id, scope_id)
      end
      deliver(run_id, scope_id, mp_fields(4, 'kind', 'timer', 'id', timer), ENDING_TIMERS[timer])
    end
  end
  return #due
end

each_call(function() fresh, noted_queues, running = {}, {}, {} end)
