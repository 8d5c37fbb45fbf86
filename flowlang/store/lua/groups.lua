-- Groups: children that run side by side, and their one join.

local function child_of(group, index) return group.prefix .. string.format('%d', index) .. group.suffix end

-- The child that starts next: the lowest that has not started and needs nobody who has not ended.
-- A group with needs has a mark for each child: 0 has not started, 1 is alive, 2 has ended.
local function next_child(group)
  if not group.marks then return group.next < group.total and group.next or nil end
  for i, mark in ipairs(group.marks) do
    local free = mark == 0
    for _, needed in ipairs(group.needs[i]) do free = free and group.marks[needed + 1] == 2 end
    if free then return i - 1 end
  end
end

local function start_children(run_id, group)
  while not group.closed and group.alive < group.max_parallel do
    local index = next_child(group)
    if not index then return end
    local child_id = child_of(group, index)
    local fence = 0
    local before = get_scope(run_id, child_id)
    if before then
      fence = before.fence
      end_scope(run_id, child_id, before)
    end
    local reads = {}
    for i, read in ipairs(group.reads) do reads[i] = read == '=$' and '=' .. child_id or read end
    local child = {
      status = 'waiting', parent = group.parent, queue = group.queue, priority_ms = group.priority_ms,
      state = group.state, reads = reads, group = group.id, index = index,
      fence = fence, lease_ms = 0, lease_end = 0, rescues = 0, inbox = {}, timers = {}, waits = {},
    }
    put_scope(run_id, child_id, child)
    count_stored(run_id, #child.state)
    make_ready(run_id, child_id, child)
    if group.marks then group.marks[index + 1] = 1 end
    group.next = group.next + 1
    group.alive = group.alive + 1
  end
end

local function settle_group(run_id, group)
  if group.fired or group.alive > 0 or not (group.closed or group.next == group.total) then return end
  group.fired = true
  deliver(run_id, group.parent, mp_map({
    T.kind, T.joined, T.group, mp(group.id), T.done, mp(group.done), T.failed, mp(group.failed),
    T.closed, mp(group.closed), T.error, group.error and mp_bin(group.error) or '\192',
    T.winner, group.winner and mp(group.winner) or '\192',
  }))
end

local function tell_children(run_id, group)
  if group.told then return end
  group.told = true
  local fact = mp_fields(2, 'kind', 'cancel')
  if group.marks then
    for i, mark in ipairs(group.marks) do
      if mark > 0 then deliver(run_id, child_of(group, i - 1), fact, true) end
    end
  else
    for index = 0, group.next - 1 do deliver(run_id, child_of(group, index), fact, true) end
  end
end

local function create_group(run_id, parent_id, spec)
  local parent = get_scope(run_id, parent_id)
  local group = {
    id = spec.id, prefix = spec.prefix, suffix = spec.suffix, total = spec.total, max_parallel = spec.max_parallel,
    limit = spec.limit, cancel_rest = spec.cancel_rest, state = spec.state, reads = spec.reads,
    parent = parent_id, queue = parent.queue, priority_ms = parent.priority_ms,
    next = 0, alive = 0, done = 0, failed = 0, strikes = 0,
    closed = false, told = false, fired = false, fatal = false,
  }
  if #spec.needs > 0 then
    group.needs, group.marks = spec.needs, {}
    for i = 1, spec.total do group.marks[i] = 0 end
  end
  group_rows[run_id] = group_rows[run_id] or {}
  group_rows[run_id][spec.id] = group
  touch_group(run_id, spec.id)
  local fields = {}
  for i, input in ipairs(spec.inputs) do
    fields[#fields + 1] = child_of(group, i - 1)
    fields[#fields + 1] = input
    count_stored(run_id, #input)
  end
  set_fields(K.run .. run_id .. RUN.inputs, fields)
  start_children(run_id, group)
  settle_group(run_id, group)
end

local function close_group(run_id, group_id)
  local group = get_group(run_id, group_id)
  if not group or group.fired then return end
  touch_group(run_id, group_id)
  group.closed = true
  tell_children(run_id, group)
  settle_group(run_id, group)
end

-- Without needs it is only known that a child has started.
local function is_alive(group, index)
  if group.marks then return group.marks[index + 1] == 1 end
  return index < group.next
end

local function weigh(group, index, join)
  if join.weight == 0 then return end
  if join.weight == 3 then
    group.closed = true
    group.winner = group.winner or index
    return
  end
  group.failed = group.failed + 1
  if join.weight == 1 then
    group.strikes = group.strikes + 1
    if group.failed == 1 then group.error = join.error end
    if group.strikes > group.limit then group.closed = true end
    return
  end
  group.closed = true
  if not group.fatal then
    group.fatal = true
    group.error = join.error
  end
end

-- child: the row that the ended scope had.
local function join_group(run_id, child, join)
  local group = get_group(run_id, join.group)
  if not group or group.fired or child.group ~= join.group or not is_alive(group, child.index) then return end
  touch_group(run_id, join.group)
  group.alive = group.alive - 1
  group.done = group.done + 1
  if group.marks then group.marks[child.index + 1] = 2 end
  weigh(group, child.index, join)
  if group.closed and group.cancel_rest then tell_children(run_id, group) end
  start_children(run_id, group)
  settle_group(run_id, group)
end
