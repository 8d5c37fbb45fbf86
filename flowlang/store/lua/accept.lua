-- Taking an event: deduplicate it, keep it, create its runs.

local function bury(letter)
  redis.call('ZADD', K.dead, NOW, letter.id)
  local at = string.format('%d', NOW)
  redis.call('HSET', K.dead_rows, letter.id,
    mp_array({mp(letter.id), mp(letter.kind), mp(letter.name), mp(tonumber(at)), mp_bin(letter.body)}))
end

local function create_run(event_id, seed)
  local holder = has_run(seed.id) and seed.id or seed.once and held_by(K.once .. seed.once.key)
  if holder then
    if seed.parent then invoked(holder, seed.parent) end
    return holder, false
  end
  local above = seed.parent and with_defaults(seed.parent, 'Parent').wait and get_run(seed.parent.run)
  if seed.once then hold(K.once .. seed.once.key, seed.id, seed.once.ttl_ms) end
  local fields = {
    'status', 'pending', 'pipeline', seed.pipeline, 'version', seed.version, 'meta', seed.meta, 'event', event_id,
    'queue', seed.queue, 'created_ms', NOW, 'retention_ms', seed.retention_ms, 'stored', #seed.meta + #seed.state,
    'steps', 0,
  }
  if seed.replay_of then
    fields[#fields + 1] = 'replay_of'
    fields[#fields + 1] = seed.replay_of
  end
  local gated = #seed.gates > 0
  if gated then
    for _, name in ipairs({'admitting', 'more'}) do
      fields[#fields + 1] = name
      fields[#fields + 1] = 1
    end
  end
  redis.call('HSET', K.run .. seed.id, unpack(fields))
  sorted.put(K.runs, NOW, seed.id)
  sorted.put(K.by_pipeline .. seed.pipeline, NOW, seed.id)
  sorted.put(K.by_status .. 'pending', NOW, seed.id)
  run_rows[seed.id] = {
    id = seed.id, status = 'pending', live = true, pipeline = seed.pipeline, created = NOW,
    retention = seed.retention_ms, admitting = gated, root = seed.id, version = seed.version,
    stored = #seed.meta + #seed.state, steps = 0, more = gated,
  }
  count_run(seed.version, 'pending', 1)
  local main = {
    status = 'waiting', queue = seed.queue, priority_ms = seed.priority_ms, state = seed.state, reads = seed.reads,
    index = 0, fence = 0, lease_ms = 0, lease_end = 0, rescues = 0, timers = {}, waits = {},
  }
  if above and above.live then adopt(get_run(seed.id), above) end
  main.inbox = gated and {} or {mp_fields(2, 'kind', 'start')}
  if seed.parent then invoked(seed.id, seed.parent) end
  put_scope(seed.id, '', main)
  set_records(seed.id, seed.records)
  for _, timer in ipairs(seed.timers) do set_timer(seed.id, '', main, with_defaults(timer, 'Timer')) end
  for _, wait in ipairs(seed.waits) do register_wait(seed.id, '', main, with_defaults(wait, 'Wait')) end
  if gated then
    gates.ask(seed.id, '', {id = '', gates = seed.gates, more = seed.more, member = ''})
  else
    make_ready(seed.id, '', main)
  end
  return seed.id, true
end

local function duplicate(event_id) return mp_fields(4, 'type', 'duplicate', 'event', event_id) end

-- Returns the encoded outcome of an accept whose epoch is the active one.
local function accept_current(op)
  local event = with_defaults(op.event, 'EventRow')
  if op.delayed and not take_delayed(op.delayed) then return duplicate(event.id) end
  if event.dedupe then
    local known = held_by(K.dedupe .. event.dedupe)
    if known then return duplicate(known) end
  end
  if op.tick then
    local last = redis.call('HGET', K.crons, op.tick[1])
    if last and op.tick[2] <= tonumber(last) then return duplicate(event.id) end
    redis.call('HSET', K.crons, op.tick[1], op.tick[2])
  end
  local offered = announce(event) -- before its runs are there: they do not see the event that made them
  local made, names = {}, {}
  for i, seed in ipairs(op.runs) do
    local run_id, new = create_run(event.id, with_defaults(seed, 'RunSeed'))
    made[i] = mp_array({mp(run_id), mp(new)})
    names[i] = run_id
  end
  local key = K.event .. event.id
  local before = redis.call('HMGET', key, 'name', 'mail')
  if before[2] then unpost(before[2]) end
  if before[1] then redis.call('DEL', key) end
  local kept = event.keep_ms
  if event.mail_ms > 0 and #event.keys > 0 then
    kept = math.max(kept, event.mail_ms)
    redis.call('HSET', key, unpack(post(event)))
  end
  redis.call('HSET', key, 'name', event.name, 'source', event.source, 'body', event.body, 'reasons', event.reasons,
    'accepted_ms', NOW, 'expires_ms', NOW + kept, 'runs', table.concat(names, SEP))
  redis.call('PEXPIRE', key, kept + (event.mail_ms > 0 and GRACE_MS or 0)) -- its mail is taken out by the row
  if event.dedupe then hold(K.dedupe .. event.dedupe, event.id, event.dedupe_ms) end
  if op.dead then bury(op.dead) end
  return mp_map({T.type, T.accepted, T.event, mp(event.id), T.runs, mp_array(made),
    T.offered, mp(offered)})
end

local function stale_epoch() return mp_fields(4, 'type', 'stale', 'epoch', EPOCH) end

local function accept(op)
  if op.epoch ~= EPOCH then return stale_epoch() end
  return accept_current(op)
end
