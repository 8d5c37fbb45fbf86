-- Events and those who wait for them: the index of waits, the mailboxes, and who may take an event.

-- Whether one text is before another, octet by octet, whatever the server's locale.
local function octets_before(one, other)
  for i = 1, math.min(#one, #other) do
    local left, right = string.byte(one, i), string.byte(other, i)
    if left ~= right then return left < right end
  end
  return #one < #other
end

local function event_fact(wait_id, event_id, at, body)
  return mp_map({
    T.kind, T.event, T.wait, mp(wait_id), T.event, mp(event_id), T.at, mp(at),
    T.body, mp_bin(body),
  })
end

local function may_end(wait_id) return string.sub(wait_id, 1, #ENDING_WAITS) == ENDING_WAITS end

-- Events in the mailboxes of these keys from a time on, each once, oldest first.
local function look_back(keys, since)
  local found, seen = {}, {}
  for _, key in ipairs(keys) do
    local mail = redis.call('ZRANGEBYSCORE', K.mailbox .. key, since, '+inf', 'WITHSCORES')
    for i = 1, #mail, 2 do
      local id = mail[i]
      if not seen[id] then
        seen[id] = true
        local got = redis.call('HMGET', K.event .. id, 'mail_until', 'body')
        if got[1] and tonumber(got[1]) > NOW then
          found[#found + 1] = {id = id, at = tonumber(mail[i + 1]), body = got[2]}
        end
      end
    end
  end
  table.sort(found, function(one, other)
    if one.at ~= other.at then return one.at < other.at end
    return octets_before(one.id, other.id)
  end)
  return found
end

-- Lets a scope wait for events, and gives it those that its wait looks back to.
local function register_wait(run_id, scope_id, row, wait)
  drop_wait(run_id, scope_id, row, wait.id)
  row.waits[wait.id] = wait.but
  touch_scope(run_id, scope_id)
  mark_more(get_run(run_id))
  redis.call('HSET', K.run .. run_id .. RUN.waits, scope_id .. SEP .. wait.id, table.concat(wait.keys, SEP))
  local member = member_of(run_id, scope_id) .. SEP .. wait.id
  for _, key in ipairs(wait.keys) do redis.call('ZADD', K.wait .. key, 0, member) end
  if not wait.since_ms then return end
  for _, event in ipairs(look_back(wait.keys, wait.since_ms)) do
    if event.id ~= wait.but then
      deliver(run_id, scope_id, event_fact(wait.id, event.id, event.at, event.body), may_end(wait.id))
    end
  end
end

-- Gives an event to all who wait for one of its keys.
-- Returns how many waits were found.
local function announce(event)
  local reached, offered = {}, 0
  for _, key in ipairs(event.keys) do
    for _, member in ipairs(redis.call('ZRANGE', K.wait .. key, 0, -1)) do
      if not reached[member] then
        reached[member] = true
        local parts = split(member)
        local run_id, scope_id, wait_id = parts[1], parts[2], parts[3]
        if get_scope(run_id, scope_id).waits[wait_id] ~= event.id then
          deliver(run_id, scope_id, event_fact(wait_id, event.id, NOW, event.body), may_end(wait_id))
          offered = offered + 1
        end
      end
    end
  end
  return offered
end

-- mail: event␟key␟key…, as the event's row and the set of all mail have it.
local function unpost(mail)
  redis.call('ZREM', K.mails, mail)
  local parts = split(mail)
  for i = 2, #parts do redis.call('ZREM', K.mailbox .. parts[i], parts[1]) end
end

local function collect_mail(limit)
  for _, mail in ipairs(redis.call('ZRANGEBYSCORE', K.mails, '-inf', NOW, 'LIMIT', 0, limit)) do unpost(mail) end
end

-- Puts an event into the mailboxes of its keys; returns what its row says of that.
local function post(event)
  collect_mail(MAIL_DROPS)
  for _, key in ipairs(event.keys) do redis.call('ZADD', K.mailbox .. key, NOW, event.id) end
  local mail = event.id .. SEP .. table.concat(event.keys, SEP)
  redis.call('ZADD', K.mails, NOW + event.mail_ms, mail)
  return {'mail', mail, 'mail_until', NOW + event.mail_ms}
end

-- Gives an event to the first of a run's waits that asks for it.
local function take_event(run_id, scope_id, asked)
  mark_more(get_run(run_id))
  local ok = redis.call('SADD', K.run .. run_id .. RUN.taken, asked.share .. SEP .. asked.event) == 1
  deliver(run_id, scope_id, mp_fields(8, 'kind', 'taken', 'wait', asked.wait, 'event', asked.event, 'ok', ok))
end
