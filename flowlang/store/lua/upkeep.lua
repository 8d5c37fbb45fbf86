-- What nobody's turn does: sweeping, cancelling, deploying, clearing dead letters, leaving.

local function done(found, changed) return mp_fields(6, 'type', 'done', 'found', found, 'changed', changed) end

local function cancel(op)
  local run = get_run(op.run)
  if not run then return done(false, false) end
  if not run.live then return done(true, false) end
  deliver(op.run, '', mp_fields(4, 'kind', 'cancel', 'reason', op.reason), true)
  return done(true, true)
end

local function rescue(limit)
  local rescued = 0
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', sorted.at(K.leases), '-inf', NOW, 'LIMIT', 0, limit)) do
    sorted.drop(K.leases, member)
    local parts = split(member)
    local run_id, scope_id = parts[1], parts[2]
    local run = get_run(run_id)
    local row = run and get_scope(run_id, scope_id)
    if row then
      if run.live and under_living(run_id, row) then
        if row.rescues < SUSPECT or row.alone then row.rescues = row.rescues + 1 end
        make_ready(run_id, scope_id, row, MAX_AHEAD_MS) -- before all that has not begun
        rescued = rescued + 1
      else
        end_scope(run_id, scope_id, row)
      end
    end
  end
  return rescued
end

-- The rows may be gone already: the server lets those of an ended run expire when nobody has swept for long.
local function free_run(run_id, pipeline, version, status)
  for _, scope_id in ipairs(redis.call('HKEYS', K.run .. run_id .. RUN.scopes)) do
    end_scope(run_id, scope_id, get_scope(run_id, scope_id))
  end
  redis.call('UNLINK', K.run .. run_id)
  for _, part in pairs(RUN) do redis.call('UNLINK', K.run .. run_id .. part) end
  sorted.drop(K.runs, run_id)
  sorted.drop(K.by_pipeline .. pipeline, run_id)
  sorted.drop(K.by_status .. status, run_id)
  count_run(version, status, -1)
  forget_run(run_id)
end

-- Frees expired runs with their families, at most so many; a root goes last and so keeps the rest to be found.
local function collect_runs(limit)
  local left = limit
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', sorted.at(K.expiry), '-inf', NOW, 'LIMIT', 0, limit)) do
    local parts = split(member)
    local family = K.run .. parts[1] .. RUN.family
    local below = redis.call('ZRANGE', family, 0, left - 1)
    for _, run_id in ipairs(below) do
      redis.call('ZREM', family, run_id)
      local run = get_run(run_id)
      free_run(run_id, run.pipeline, run.version, run.status)
    end
    left = left - #below
    if left == 0 then break end
    sorted.drop(K.expiry, member)
    free_run(unpack(parts))
    left = left - 1
    if left == 0 then break end
  end
  return limit - left
end

local function forget_workers()
  local said = redis.call('HGETALL', K.workers)
  for i = 1, #said, 2 do
    if NOW - read_worker(said[i + 1]).seen > WORKER_LISTED_MS then redis.call('HDEL', K.workers, said[i]) end
  end
end

-- Expired runs count when there are more than a sweep may collect: they must go as fast as others come.
local function next_due(rescues)
  local soonest
  for _, key in ipairs({K.timers, K.delayed, K.expiry, rescues and K.leases or nil}) do
    local first = redis.call('ZRANGE', sorted.at(key), 0, 0, 'WITHSCORES')
    local due = first[2] and tonumber(first[2])
    if due and (not soonest or due < soonest) and (key ~= K.expiry or due <= NOW) then soonest = due end
  end
  return soonest
end

local function sweep(op)
  local fired = fire_timers(op.limit)
  gates.settle()
  local rescued = op.rescue and rescue(op.limit) or 0
  for _, queue in ipairs(redis.call('SMEMBERS', K.queues)) do
    local rows = waiting_rows(queue, NOW - op.stale_ms)
    if rows > 0 then stale[queue] = math.max(rows, stale[queue] or 0) end
  end
  local collected = collect_runs(op.limit)
  collect_mail(op.limit)
  forget_workers()
  forget_asides()
  return mp_fields(12, 'type', 'swept', 'fired', fired, 'rescued', rescued, 'collected', collected,
    'next_ms', next_due(op.rescue), 'dead', redis.call('ZCARD', K.dead))
end

local function deploy(op)
  for digest, plan in pairs(op.plans) do
    redis.call('HSET', K.plans, digest, plan)
    redis.call('HSETNX', K.plan_times, digest, NOW)
  end
  local kept = {}
  for _, trigger in ipairs(op.crons) do
    kept[#kept + 1] = trigger
    kept[#kept + 1] = redis.call('HGET', K.crons, trigger) or NOW
  end
  redis.call('DEL', K.crons)
  set_fields(K.crons, kept)
  local changed = EPOCH == 0 or redis.call('HGET', K.active, 'digest') ~= op.digest
  if changed then
    EPOCH = EPOCH + 1
    redis.call('HSET', K.active, 'epoch', EPOCH, 'digest', op.digest, 'manifest', op.manifest)
  end
  return mp_fields(6, 'type', 'deployed', 'epoch', EPOCH, 'changed', changed)
end

local function prune(op)
  if op.epoch ~= EPOCH then return stale_epoch() end
  local needed, counts = set_of(op.keep), redis.call('HGETALL', K.versions)
  for i = 1, #counts, 2 do
    local now = tonumber(counts[i + 1]) + (version_counts[counts[i]] or 0)
    if now > 0 then needed[split(counts[i])[1]] = true end
  end
  for field, change in pairs(version_counts) do
    if change > 0 then needed[split(field)[1]] = true end
  end
  local dropped = {}
  for _, digest in ipairs(redis.call('HKEYS', K.plans)) do
    if not needed[digest] then dropped[#dropped + 1] = digest end
  end
  table.sort(dropped)
  for i, digest in ipairs(dropped) do
    redis.call('HDEL', K.plans, digest)
    redis.call('HDEL', K.plan_times, digest)
    dropped[i] = mp(digest)
  end
  return mp_map({T.type, T.pruned, T.versions, mp_array(dropped)})
end

local function resolve_dead(op)
  if redis.call('ZREM', K.dead, op.id) == 0 then return done(false, false) end
  redis.call('HDEL', K.dead_rows, op.id)
  local run = get_run(op.id)
  if run and not run.live then
    if op.replaced_by then
      redis.call('HSET', K.run .. op.id, 'replaced_by', op.replaced_by)
    else
      redis.call('HDEL', K.run .. op.id, 'replaced_by')
    end
    expire_run(run)
  end
  return done(true, true)
end

-- Frees a run, its dead letter, and its event where that has made no other run.
local function erase_run(run_id)
  redis.call('ZREM', K.dead, run_id)
  redis.call('HDEL', K.dead_rows, run_id)
  local run, key = get_run(run_id), K.event .. redis.call('HGET', K.run .. run_id, 'event')
  local kept = redis.call('HMGET', key, 'runs', 'mail')
  if kept[1] == run_id then
    if kept[2] then unpost(kept[2]) end
    redis.call('DEL', key)
  end
  free_run(run_id, run.pipeline, run.version, run.status)
end

local function delete(op)
  local run = get_run(op.run)
  if not run then return done(false, false) end
  if run.live or run.parent or (run.under or 0) > 0 then return done(true, false) end
  local family = K.run .. op.run .. RUN.family
  local below = redis.call('ZRANGE', family, 0, op.limit - 1)
  for _, run_id in ipairs(below) do
    redis.call('ZREM', family, run_id)
    erase_run(run_id)
  end
  local member = table.concat({run.id, run.pipeline, run.version, run.status}, SEP)
  if #below == op.limit then
    sorted.put(K.expiry, NOW, member) -- there may be more: should nobody ask again, the sweep has them
  else
    sorted.drop(K.expiry, member)
    erase_run(op.run)
  end
  return done(true, true)
end

local function leave(op)
  local known = redis.call('HDEL', K.workers, op.worker) == 1
  return done(known, known)
end
