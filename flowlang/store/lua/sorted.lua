-- Sorted sets that most operations change: the changes of a call are written together, a command a set.

local sorted = {}
do
  local changes -- key → member → score, or false to take it out

  local function of(key)
    local members = changes[key]
    if not members then
      members = {}
      changes[key] = members
    end
    return members
  end

  local function write(key, members)
    local added, dropped = {}, {}
    for member, score in pairs(members) do
      if score then
        added[#added + 1] = score
        added[#added + 1] = member
      else
        dropped[#dropped + 1] = member
      end
    end
    for from = 1, #dropped, 1000 do
      redis.call('ZREM', key, unpack(dropped, from, math.min(from + 999, #dropped)))
    end
    for from = 1, #added, 1000 do
      redis.call('ZADD', key, unpack(added, from, math.min(from + 999, #added)))
    end
  end

  function sorted.put(key, score, member) of(key)[member] = score end

  function sorted.drop(key, member) of(key)[member] = false end

  -- The key, with all changes written: whoever reads the set asks for its key here.
  function sorted.at(key)
    local members = changes[key]
    if members then
      changes[key] = nil
      write(key, members)
    end
    return key
  end

  function sorted.save()
    for key, members in pairs(changes) do write(key, members) end
    changes = {}
  end

  each_call(function() changes = {} end)
end
