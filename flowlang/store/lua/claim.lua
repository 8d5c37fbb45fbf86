-- Taking ready rows, and the hints that say where there are some.

local stale -- queue → rows that waited too long, found by a sweep
each_call(function() stale = {} end)

local function read_hint(queue)
  local text = redis.call('HGET', K.hints, queue)
  if not text then return 0, 0 end
  local count, rung = string.match(text, '^(%d+):(%d+)$')
  return tonumber(count), tonumber(rung)
end

local function write_hint(queue, count, rung)
  redis.call('HSET', K.hints, queue, string.format('%d:%d', count, rung))
end

-- The first rows of a queue that were read ahead; only taking rows changes them while a claim runs.
local function head_of(ahead, queue, size)
  local rows = ahead[queue]
  if not rows or rows.at > #rows then
    rows = redis.call('ZRANGE', sorted.at(K.ready .. queue), 0, size - 1, 'WITHSCORES')
    rows.at = 1
    ahead[queue] = rows
  end
  return rows[rows.at], rows[rows.at] and tonumber(rows[rows.at + 1])
end

-- Takes the best row out of its set: of the lowest order, then time; of equal ones that of the set named first.
local function pop_best(ahead, sources, size, state)
  local best, best_score, best_order, best_source
  for _, source in ipairs(sources) do
    local member, score = head_of(ahead, source, size)
    if member and terms.may_take(state, source) then
      local order = terms.order(state, source)
      if not best or order < best_order or (order == best_order and score < best_score) then
        best, best_score, best_order, best_source = member, score, order, source
      end
    end
  end
  if best then
    ahead[best_source].at = ahead[best_source].at + 2
    sorted.drop(K.ready .. best_source, best)
  end
  return best, best_source, best_score
end

local function add_reads(pieces, key, names, prefix)
  for from = 1, #names, 1000 do
    local till = math.min(from + 999, #names)
    local got = redis.call('HMGET', key, unpack(names, from, till))
    for i = from, till do
      local body = got[i - from + 1]
      if body then
        pieces[#pieces + 1] = mp(prefix .. names[i])
        pieces[#pieces + 1] = mp_bin(body)
      end
    end
  end
end

-- The undo list of a run of the same family, or one entry of it, counted from its end.
local function add_undos(pieces, run_id, read)
  local name, place = string.match(read, '^%^(.*):(%-%d+)$')
  local other = get_run(name or string.sub(read, 2))
  if not other or other.root ~= get_run(run_id).root then return end
  if place then
    local body = redis.call('LINDEX', K.run .. other.id .. RUN.undos, place)
    if body then
      pieces[#pieces + 1] = mp(read)
      pieces[#pieces + 1] = mp_bin(body)
    end
    return
  end
  for number, body in ipairs(redis.call('LRANGE', K.run .. other.id .. RUN.undos, 0, -1)) do
    pieces[#pieces + 1] = mp(string.format('%s:%d', read, number - 1))
    pieces[#pieces + 1] = mp_bin(body)
  end
end

local function resolve_reads(run_id, reads)
  local pieces, seen = {}, {}
  for _, read in ipairs(reads) do
    if not seen[read] then
      seen[read] = true
      local kind = string.sub(read, 1, 1)
      local inputs, records = K.run .. run_id .. RUN.inputs, K.run .. run_id .. RUN.records
      if kind == '*' or kind == '#' then
        local group, names = get_group(run_id, string.sub(read, 2)), {}
        for index = 0, group and group.total - 1 or -1 do names[index + 1] = child_of(group, index) end
        if kind == '*' then add_reads(pieces, records, names, '') else add_reads(pieces, inputs, names, '=') end
      elseif kind == '^' then
        add_undos(pieces, run_id, read)
      elseif kind == '~' then
        local loop, rounds = string.match(read, '^~(.*):(%d+)$')
        local names = {}
        for number = 0, tonumber(rounds) - 1 do names[number + 1] = string.format('%s[%d]', loop, number) end
        add_reads(pieces, records, names, '')
      elseif kind == '=' then
        add_reads(pieces, inputs, {string.sub(read, 2)}, '=')
      else
        add_reads(pieces, records, {read}, '')
      end
    end
  end
  return mp_map(pieces)
end

-- Holds a row that came out of its queue; nil when its run or a scope above it has ended.
-- known: runs whose meta data need not be sent with rows below their main one.
local function take(member, lease, defers, known)
  local parts = split(member)
  local run_id, scope_id = parts[1], parts[2]
  local run = get_run(run_id)
  local row = run and get_scope(run_id, scope_id)
  if not row then return nil end
  if not run.live or not under_living(run_id, row) then
    end_scope(run_id, scope_id, row)
    return nil
  end
  hold_row(row.queue, 1)
  row.status, row.fence, row.lease_ms, row.lease_end = 'held', row.fence + 1, lease, NOW + lease
  row.alone = nil
  touch_scope(run_id, scope_id)
  sorted.put(K.leases, row.lease_end, member)
  if run.status == 'pending' and not run.admitting then
    set_run_status(run, 'running')
    redis.call('HSET', K.run .. run_id, 'status', 'running', 'started_ms', NOW)
  end
  local meta = scope_id ~= '' and known[run_id] and '' or redis.call('HGET', K.run .. run_id, 'meta')
  return mp_map({
    T.run, mp(run_id), T.scope, mp(scope_id), T.fence, mp(row.fence), T.state, mp_bin(row.state),
    T.pipeline, mp(run.pipeline), T.version, mp(run.version), T.meta, mp_bin(meta),
    T.created_ms, mp(tonumber(run.created)),
    T.queue, mp(row.queue), T.parent, row.parent and mp(row.parent) or '\192',
    T.group, row.group and mp(row.group) or '\192', T.index, mp(row.index), T.rescues, mp(row.rescues),
    T.stored, mp(run.stored), T.steps, mp(run.steps),
    T.deferred, mp(defers[run.version] == true), T.facts, mp_array(row.inbox),
    T.reads, resolve_reads(run_id, row.reads),
  })
end

local function claim(request)
  for _, queue in ipairs(request.answered) do
    local count, rung = read_hint(queue)
    write_hint(queue, math.max(0, count - 1), rung)
  end
  fire_timers(CLAIM_TIMERS)
  gates.settle()
  local taken, ahead, dropped, state = {}, {}, 0, terms.begin(request)
  local left, defers, known = left_to_others(request), set_of(request.defers), set_of(request.known)
  local sources = sources_of(request.queues, left)
  while #taken < request.limit and dropped < CLAIM_DROPS do
    local member, source, score = pop_best(ahead, sources, math.min(request.limit, 100), state)
    if not member then break end
    local aside = left and aside_of(source, member)
    if aside and left[aside] then
      set_aside(aside, member, score)
      fresh[member] = source -- others are to look
      dropped = dropped + 1
    else
      fresh[member] = nil
      local row = take(member, request.lease_ms, defers, known)
      if row then
        taken[#taken + 1] = row
        terms.took(state, terms.queue_of(source))
      else
        dropped = dropped + 1
      end
    end
  end
  gates.settle()
  local busy = math.min(request.threads, request.busy + #taken)
  write_worker(request, busy)
  return taken
end

local function idle_threads()
  local said, idle = redis.call('HGETALL', K.workers), 0
  for i = 2, #said, 2 do
    local worker = read_worker(said[i])
    if NOW - worker.seen <= WORKER_IDLE_MS then idle = idle + math.max(0, worker.threads - worker.busy) end
  end
  return idle
end

-- Counts the hints to send for rows that this call made ready and nobody took; they count as on their way.
local function ring()
  local wanted, pieces, idle = {}, {}, nil
  for queue, rows in pairs(stale) do wanted[queue] = rows end
  for _, queue in pairs(fresh) do wanted[queue] = (wanted[queue] or 0) + 1 end
  for queue, rows in pairs(wanted) do
    idle = idle or idle_threads()
    local count, rung = read_hint(queue)
    local outstanding = NOW - rung < HINT_MS and count or 0
    local listeners = stale[queue] and math.max(idle, 1) or idle
    local number = math.min(rows, waiting_rows(queue, '+inf'), listeners - outstanding)
    if number > 0 then
      write_hint(queue, outstanding + number, NOW)
      pieces[#pieces + 1] = mp(queue)
      pieces[#pieces + 1] = mp(number)
    end
  end
  return mp_map(pieces)
end
