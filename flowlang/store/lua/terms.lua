-- On which terms rows are taken from queues: their order, their limit, and the threads that are each queue's own.

local terms = {}

-- The queue of a set of ready rows: an aside begins with its queue's name.
function terms.queue_of(source) return split(source)[1] end

-- Reads the terms of a claim. mine: how many of the `count` rows that it has taken came out of each queue.
function terms.begin(request)
  for _, one in pairs(request.terms) do with_defaults(one, 'QueueTerms') end
  return {of = request.terms, any = next(request.terms) ~= nil, idle = request.threads - request.busy, count = 0, mine = {}}
end

function terms.took(state, queue)
  state.count = state.count + 1
  state.mine[queue] = (state.mine[queue] or 0) + 1
end

function terms.order(state, source)
  local own = state.any and state.of[terms.queue_of(source)]
  return own and own.order or 0
end

-- Whether a queue is below its limit and leaves the others the threads that are their own.
function terms.may_take(state, source)
  if not state.any then return true end
  local queue = terms.queue_of(source)
  local own = state.of[queue]
  if own and own.limit and count_held(queue) >= own.limit then return false end
  local others = 0
  for name, one in pairs(state.of) do
    if name ~= queue then others = others + math.max(0, one.reserved - (state.mine[name] or 0)) end
  end
  return others == 0 or state.idle - state.count > others
end
