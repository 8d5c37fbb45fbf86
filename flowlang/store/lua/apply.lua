-- One flush: the operations in order, then the claim. The same flush again gets the stored reply.
--
-- keys[1]  first part of every key, with the partition's hash tag
-- args[1]  worker incarnation
-- args[2]  sequence number, 16 digits
-- args[3]  MessagePack of [operations, claim request or nil]
-- args[4]  `test` where the test clock counts
-- args[5]  sequence number of the last flush that was answered, 16 digits
-- Returns the reply as MessagePack, or an error: `REPEATED …` when the worker has sent a later flush already, `REWOUND …`
-- when it has had an answer that is not known here, since this server has lost the end of its history.

local APPLY = {
  accept = {'Accept', accept}, commit = {'Commit', commit}, renew = {'Renew', renew}, release = {'Release', release},
  cancel = {'Cancel', cancel}, sweep = {'Sweep', sweep}, deploy = {'Deploy', deploy}, prune = {'Prune', prune},
  resolve_dead = {'ResolveDead', resolve_dead}, delete = {'Delete', delete}, leave = {'Leave', leave},
}

local function apply(worker, seq, body, acked)
  local flush_key = K.flush .. worker
  local last = redis.call('GETRANGE', flush_key, 0, 15)
  if last == seq then return redis.call('GETRANGE', flush_key, 16, -1) end
  if acked > '0000000000000000' and last < acked then
    return redis.error_reply('REWOUND the flush ' .. acked .. ' of this worker is not known')
  end
  if last ~= '' and seq < last then
    return redis.error_reply('REPEATED the last flush of this worker is ' .. last)
  end
  local asked = cmsgpack.unpack(body)
  local outcomes, taken = {}, {}
  for i, op in ipairs(asked[1]) do
    local entry = APPLY[op.type]
    outcomes[i] = entry[2](with_defaults(op, entry[1]))
    gates.settle()
  end
  if asked[2] then taken = claim(with_defaults(asked[2], 'ClaimRequest')) end
  local rung = ring()
  sorted.save()
  save_rows()
  save_running()
  local reply = mp_map({
    T.now_ms, mp(NOW), T.epoch, mp(EPOCH), T.outcomes, mp_array(outcomes),
    T.claimed, mp_array(taken), T.rings, rung,
  })
  redis.call('SET', flush_key, seq .. reply, 'PX', FLUSH_MS)
  return reply
end

redis.register_function(NAME, function(keys, args)
  begin(keys[1], args[4] == 'test')
  return apply(args[1], args[2], args[3], args[5])
end)
