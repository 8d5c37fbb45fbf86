-- Runs that other runs invoked: who waits for their end, and which rows are kept together.
-- A family is a root run and all that were invoked below it; the root's row counts those of them that have not ended.

-- Makes a new run belong to the living run that invoked it.
local function adopt(run, parent)
  local root = get_run(parent.root)
  for _, one in ipairs({run, parent, root}) do mark_more(one) end
  redis.call('SADD', K.run .. parent.id .. RUN.children, run.id)
  redis.call('ZADD', K.run .. parent.root .. RUN.family, NOW, run.id)
  root.under = redis.call('HINCRBY', K.run .. parent.root, 'under', 1)
  run.parent, run.root = parent.id, parent.root
  redis.call('HSET', K.run .. run.id, 'parent', run.parent, 'root', run.root)
end

local function tell_parent(parent_id, scope_id, id, run_id, status, result)
  deliver(parent_id, scope_id, mp_map({
    T.kind, T.child, T.id, mp(id), T.run, mp(run_id), T.status, mp(status),
    T.result, mp_bin(result),
  }))
end

-- Tells a parent's scope of a run's end, or of the end of the one that it was merged into: when it ends, or at once
-- when it has.
local function follow(run_id, parent)
  local run = get_run(run_id)
  if not run then
    tell_parent(parent.run, parent.scope, parent.id, run_id, 'gone', '')
  elseif run.live then
    mark_more(run)
    redis.call('ZADD', K.run .. run_id .. RUN.followers, 0, table.concat({parent.run, parent.scope, parent.id}, SEP))
  else
    local got = redis.call('HMGET', K.run .. run_id, 'merged_into', 'result')
    if got[1] then return follow(got[1], parent) end
    tell_parent(parent.run, parent.scope, parent.id, run_id, run.status, got[2])
  end
end

-- Tells a parent's scope of the run that it has invoked: of its end, or just which it is.
local function invoked(run_id, parent)
  if with_defaults(parent, 'Parent').wait then return follow(run_id, parent) end
  tell_parent(parent.run, parent.scope, parent.id, run_id, 'started', '')
end

-- Lets the rows of an ended root run and its family expire, unless one of them has not ended.
-- Only a run without a family expires by itself as well: else its children's names would be lost before the sweep.
local function expire_run(run)
  if run.parent or (run.under or 0) > 0 then return end
  local member = table.concat({run.id, run.pipeline, run.version, run.status}, SEP)
  sorted.put(K.expiry, NOW + run.retention, member)
  if not run.under then expire_runs[run.id] = run.retention + GRACE_MS end
end

-- Does what a run's end means for others: those that wait for it, those that it invoked, and its family's rows.
local function part(run, finish)
  if not run.more then return end
  local followers = redis.call('ZRANGE', K.run .. run.id .. RUN.followers, 0, -1)
  for _, follower in ipairs(followers) do
    local parts = split(follower)
    if finish.merged_into then
      follow(finish.merged_into, {run = parts[1], scope = parts[2], id = parts[3]})
    else
      tell_parent(parts[1], parts[2], parts[3], run.id, run.status, finish.result)
    end
  end
  if #followers > 0 then redis.call('DEL', K.run .. run.id .. RUN.followers) end
  local cancel = mp_fields(4, 'kind', 'cancel', 'reason', ORPHANED)
  for _, child in ipairs(redis.call('SMEMBERS', K.run .. run.id .. RUN.children)) do deliver(child, '', cancel, true) end
  if not run.parent then return end
  redis.call('SREM', K.run .. run.parent .. RUN.children, run.id)
  local root = get_run(run.root)
  root.under = redis.call('HINCRBY', K.run .. root.id, 'under', -1)
  if not root.live and not redis.call('ZSCORE', K.dead, root.id) then expire_run(root) end
end
