-- Who serves which version: rows that a worker leaves to others are set aside beside their queue, in the same order.
-- Such a set is called an aside; its name is queue SEP version, its key that of a queue with this name.

local listed_asides -- names of asides in order, read once a call

local function all_asides()
  if not listed_asides then
    listed_asides = redis.call('SMEMBERS', K.asides)
    table.sort(listed_asides)
  end
  return listed_asides
end

local function asides_of(queue)
  local found, head = {}, queue .. SEP
  for _, aside in ipairs(all_asides()) do
    if string.sub(aside, 1, #head) == head then found[#found + 1] = aside end
  end
  return found
end

local function set_of(list)
  local found = {}
  for _, one in ipairs(list) do found[one] = true end
  return found
end

-- Takes a ready row out of its queue, or from beside it.
local function unready(queue, member)
  if redis.call('ZREM', sorted.at(K.ready .. queue), member) == 1 then return end
  for _, aside in ipairs(asides_of(queue)) do sorted.drop(K.ready .. aside, member) end
end

local function set_aside(aside, member, score)
  if redis.call('SADD', K.asides, aside) == 1 then listed_asides = nil end
  sorted.put(K.ready .. aside, score, member)
end

-- The name of the aside where a row of a queue would be; nil for a row that lies in one, or whose run is gone.
local function aside_of(queue, member)
  if string.find(queue, SEP, 1, true) then return nil end
  local version = redis.call('HGET', K.run .. split(member)[1], 'version')
  return version and queue .. SEP .. version
end

-- A row that another release has written in another form counts as one of long ago.
local function read_worker(text)
  local threads, busy, seen, queues, refuses, defers = string.match(text, '^(%d+):(%d+):(%d+):([^:]*):([^:]*):([^:]*)$')
  return {
    threads = tonumber(threads or 0), busy = tonumber(busy or 0), seen = tonumber(seen or 0),
    queues = queues or '', refuses = refuses or '', defers = defers or '',
  }
end

local function write_worker(request, busy)
  local text = string.format('%d:%d:%d:%s:%s:%s', request.threads, busy, NOW, table.concat(request.queues, ','),
    table.concat(request.refuses, ','), table.concat(request.defers, ','))
  redis.call('HSET', K.workers, request.worker, text)
end

-- Returns the worker's row with this moment in it.
local function seen_now(text)
  return (string.gsub(text, '^(%d+:%d+:)%d+', '%1' .. string.format('%d', NOW)))
end

local function lists(text, name) return string.find(',' .. text .. ',', ',' .. name .. ',', 1, true) ~= nil end

-- Workers that were heard of lately, by name.
local function listed_workers()
  local said, found = redis.call('HGETALL', K.workers), {}
  for i = 1, #said, 2 do
    local worker = read_worker(said[i + 1])
    if NOW - worker.seen <= WORKER_LISTED_MS then found[said[i]] = worker end
  end
  return found
end

-- Returns the set of asides that a worker takes nothing from, or nil when it takes everything: those of the versions
-- that it refuses, and of those that it defers where another worker has them as they are.
local function left_to_others(request)
  if #request.refuses == 0 and #request.defers == 0 then return nil end
  local left, workers = {}, #request.defers > 0 and listed_workers()
  for _, queue in ipairs(request.queues) do
    for _, version in ipairs(request.refuses) do left[queue .. SEP .. version] = true end
    for _, version in ipairs(request.defers) do
      for name, worker in pairs(workers) do
        if name ~= request.worker and lists(worker.queues, queue) and not lists(worker.refuses, version)
            and not lists(worker.defers, version) then
          left[queue .. SEP .. version] = true
        end
      end
    end
  end
  return left
end

-- The names of the sets that a worker takes rows from: each queue in the order given, then the asides beside it.
local function sources_of(queues, left)
  if #all_asides() == 0 then return queues end
  local found = {}
  for _, queue in ipairs(queues) do
    found[#found + 1] = queue
    for _, aside in ipairs(asides_of(queue)) do
      if not (left and left[aside]) then found[#found + 1] = aside end
    end
  end
  return found
end

local function is_served(workers, queue, version)
  for _, worker in pairs(workers) do
    if lists(worker.queues, queue) and not lists(worker.refuses, version) then return true end
  end
  return false
end

-- How many rows of a queue are ready at a time and have somebody to serve them; those beside it too.
local function waiting_rows(queue, till)
  till = type(till) == 'number' and till * RANKS + RANKS - 1 or till
  local rows, workers = redis.call('ZCOUNT', sorted.at(K.ready .. queue), '-inf', till), nil
  for _, aside in ipairs(asides_of(queue)) do
    workers = workers or listed_workers()
    if is_served(workers, queue, split(aside)[2]) then
      rows = rows + redis.call('ZCOUNT', sorted.at(K.ready .. aside), '-inf', till)
    end
  end
  return rows
end

local function forget_asides()
  for _, aside in ipairs(all_asides()) do
    if redis.call('EXISTS', sorted.at(K.ready .. aside)) == 0 then redis.call('SREM', K.asides, aside) end
  end
  listed_asides = nil
end
