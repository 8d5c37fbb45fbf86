-- The rows of runs, scopes and groups, each read once a call and written once at its end (save_rows).
--
-- A scope's row: first letter of its status, then
--   ended:  its fence in decimal digits
--   others: length of the timer list (4 bytes), timers joined by SEP, and a cmsgpack map of the rest

local run_rows, scope_rows, group_rows
local dirty_scopes, dirty_groups
local STATUS = {r = 'ready', h = 'held', w = 'waiting', e = 'ended'}

local function split(text)
  local parts, from = {}, 1
  while true do
    local at = string.find(text, SEP, from, true)
    if not at then
      parts[#parts + 1] = string.sub(text, from)
      return parts
    end
    parts[#parts + 1] = string.sub(text, from, at - 1)
    from = at + 1
  end
end

local dirty_slots          -- runs whose place has changed
local agenda               -- what gates.settle has to do after an operation
local counted              -- runs that may have become idle
local gates = {}           -- filled by gates.lua; what comes before only notes

local function note(...) agenda[#agenda + 1] = {...} end

local dirty_counts         -- runs of which `stored`, `steps` or `over` have changed

local function read_more(key, row)
  local got = redis.call('HMGET', key, 'admitting', 'gated', 'over', 'slot', 'parent', 'root', 'under')
  row.admitting, row.gated, row.over = got[1] ~= false, got[2] ~= false, got[3] ~= false
  row.slot = got[4] and cmsgpack.unpack(got[4]) or nil
  row.parent, row.root, row.under = got[5] or nil, got[6] or row.id, got[7] and tonumber(got[7]) or nil
end

-- more: it has fields or keys that most runs do not have; nobody looks for them else.
-- Returns {id, status, live, pipeline, created, retention, version, stored, steps, more, root} or false; with more also
-- {admitting, gated, over, slot or nil, parent or nil, under or nil}.
local function get_run(id)
  local row = run_rows[id]
  if row == nil then
    local key = K.run .. id
    local got = redis.call('HMGET', key, 'status', 'pipeline', 'created_ms', 'retention_ms', 'version', 'stored',
      'steps', 'more')
    row = false
    if got[1] then
      row = {
        id = id, status = got[1], pipeline = got[2], created = got[3], retention = tonumber(got[4]), version = got[5],
        stored = tonumber(got[6]), steps = tonumber(got[7]), more = got[8] ~= false, root = id,
      }
      row.live = row.status == 'pending' or row.status == 'running'
      if row.more then read_more(key, row) end
    end
    run_rows[id] = row
  end
  return row
end

-- Whether there is a run, for those who expect none: nothing of it is read.
local function has_run(id)
  if run_rows[id] == nil and redis.call('EXISTS', K.run .. id) == 0 then run_rows[id] = false end
  return run_rows[id] ~= false
end

-- Counts bytes that a run stores from now on, or not any more.
local function count_stored(run_id, change)
  local run = get_run(run_id)
  if not run or change == 0 then return end
  run.stored = run.stored + change
  dirty_counts[run_id] = true
end

-- To be called whenever a run gets something that most runs do not have.
local function mark_more(run)
  if run.more then return end
  run.more = true
  redis.call('HSET', K.run .. run.id, 'more', 1)
end

local version_counts -- version SEP status → runs more or fewer than at the beginning of the call

local function count_run(version, status, change)
  local field = version .. SEP .. status
  version_counts[field] = (version_counts[field] or 0) + change
end

local function set_run_status(run, status)
  sorted.drop(K.by_status .. run.status, run.id)
  sorted.put(K.by_status .. status, run.created, run.id)
  count_run(run.version, run.status, -1)
  count_run(run.version, status, 1)
  run.status = status
  run.live = status == 'running'
end

local function read_scope(text)
  local status = STATUS[string.sub(text, 1, 1)]
  if status == 'ended' then
    return {status = status, fence = tonumber(string.sub(text, 2))}
  end
  local size = struct.unpack('>I4', text, 2)
  local row = cmsgpack.unpack(string.sub(text, 6 + size))
  row.status = status
  row.timers = size > 0 and split(string.sub(text, 6, 5 + size)) or {}
  return row
end

local function write_scope(row)
  if row.status == 'ended' then return 'e' .. string.format('%d', row.fence) end
  local timers = table.concat(row.timers, SEP)
  local status, list = row.status, row.timers
  row.status, row.timers = nil, nil
  local text = string.sub(status, 1, 1) .. struct.pack('>I4', #timers) .. timers .. cmsgpack.pack(row)
  row.status, row.timers = status, list
  return text
end

local function get_scope(run_id, scope_id)
  local of_run = scope_rows[run_id]
  if not of_run then
    of_run = {}
    scope_rows[run_id] = of_run
  end
  local row = of_run[scope_id]
  if row == nil then
    local text = redis.call('HGET', K.run .. run_id .. RUN.scopes, scope_id)
    row = text and read_scope(text) or false
    of_run[scope_id] = row
  end
  return row
end

local function touch_scope(run_id, scope_id)
  local of_run = dirty_scopes[run_id]
  if not of_run then
    of_run = {}
    dirty_scopes[run_id] = of_run
  end
  of_run[scope_id] = true
end

local function put_scope(run_id, scope_id, row)
  scope_rows[run_id] = scope_rows[run_id] or {}
  scope_rows[run_id][scope_id] = row
  touch_scope(run_id, scope_id)
end

local function get_group(run_id, group_id)
  local of_run = group_rows[run_id]
  if not of_run then
    of_run = {}
    group_rows[run_id] = of_run
  end
  local row = of_run[group_id]
  if row == nil then
    local text = redis.call('HGET', K.run .. run_id .. RUN.groups, group_id)
    row = text and cmsgpack.unpack(text) or false
    of_run[group_id] = row
  end
  return row
end

local function touch_group(run_id, group_id)
  local of_run = dirty_groups[run_id]
  if not of_run then
    of_run = {}
    dirty_groups[run_id] = of_run
  end
  of_run[group_id] = true
end

-- Writes fields to a hash, some at a time: a call takes only so many arguments.
local function set_fields(key, fields)
  for from = 1, #fields, 1000 do
    redis.call('HSET', key, unpack(fields, from, math.min(from + 999, #fields)))
  end
end

-- Appends entries to a list that a run stores.
local function append(run_id, part, entries)
  for from = 1, #entries, 1000 do
    redis.call('RPUSH', K.run .. run_id .. part, unpack(entries, from, math.min(from + 999, #entries)))
  end
  local size = 0
  for _, entry in ipairs(entries) do size = size + #entry end
  count_stored(run_id, size)
end

local function set_records(run_id, records)
  local fields = {}
  for instance, record in pairs(records) do
    count_stored(run_id, #record)
    fields[#fields + 1] = instance
    fields[#fields + 1] = record
  end
  set_fields(K.run .. run_id .. RUN.records, fields)
end

local expire_runs -- run → milliseconds from now; done after the rows are written

local function forget_run(run_id)
  run_rows[run_id] = false
  scope_rows[run_id], group_rows[run_id] = nil, nil
  dirty_scopes[run_id], dirty_groups[run_id], expire_runs[run_id], dirty_slots[run_id] = nil, nil, nil, nil
  dirty_counts[run_id] = nil
end

local function save_rows()
  for run_id, names in pairs(dirty_scopes) do
    local fields = {}
    for name in pairs(names) do
      fields[#fields + 1] = name
      fields[#fields + 1] = write_scope(scope_rows[run_id][name])
    end
    set_fields(K.run .. run_id .. RUN.scopes, fields)
  end
  for run_id, names in pairs(dirty_groups) do
    mark_more(get_run(run_id))
    local fields = {}
    for name in pairs(names) do
      fields[#fields + 1] = name
      fields[#fields + 1] = cmsgpack.pack(group_rows[run_id][name])
    end
    set_fields(K.run .. run_id .. RUN.groups, fields)
  end
  for run_id in pairs(dirty_slots) do
    local slot = run_rows[run_id] and run_rows[run_id].slot
    if slot then
      mark_more(run_rows[run_id])
      redis.call('HSET', K.run .. run_id, 'slot', cmsgpack.pack(slot))
    else
      redis.call('HDEL', K.run .. run_id, 'slot')
    end
  end
  for run_id in pairs(dirty_counts) do
    local run = run_rows[run_id]
    redis.call('HSET', K.run .. run_id, 'stored', run.stored, 'steps', run.steps)
    if run.over then
      mark_more(run)
      redis.call('HSET', K.run .. run_id, 'over', 1)
    end
  end
  for field, change in pairs(version_counts) do
    if change ~= 0 and redis.call('HINCRBY', K.versions, field, change) == 0 then
      redis.call('HDEL', K.versions, field)
    end
  end
  for run_id, ms in pairs(expire_runs) do
    redis.call('PEXPIRE', K.run .. run_id, ms)
    for _, part in pairs(run_rows[run_id].more and RUN or {RUN.scopes, RUN.records, RUN.journal}) do
      redis.call('PEXPIRE', K.run .. run_id .. part, ms)
    end
  end
end

each_call(function()
  run_rows, scope_rows, group_rows = {}, {}, {}
  dirty_scopes, dirty_groups, dirty_slots, dirty_counts = {}, {}, {}, {}
  agenda, counted, version_counts, expire_runs = {at = 1}, {}, {}, {}
end)
