-- One flush: the operations in order, then the claim. The same flush again gets the stored reply.
--
-- KEYS[1]  first part of every key, with the partition's hash tag
-- ARGV[1]  worker incarnation
-- ARGV[2]  sequence number, 16 digits
-- ARGV[3]  MessagePack of [operations, claim request or nil]
-- Returns the reply as MessagePack, or an error `REPEATED …` when the worker has sent a later flush already.

local flush_key = K.flush .. ARGV[1]
local last = redis.call('GETRANGE', flush_key, 0, 15)
if last == ARGV[2] then return redis.call('GETRANGE', flush_key, 16, -1) end
if last ~= '' and ARGV[2] < last then
  return redis.error_reply('REPEATED the last flush of this worker is ' .. last)
end

local APPLY = {
  accept = {'Accept', accept}, commit = {'Commit', commit}, renew = {'Renew', renew}, release = {'Release', release},
  cancel = {'Cancel', cancel}, sweep = {'Sweep', sweep}, deploy = {'Deploy', deploy}, prune = {'Prune', prune},
  resolve_dead = {'ResolveDead', resolve_dead}, leave = {'Leave', leave},
}

local asked = cmsgpack.unpack(ARGV[3])
local outcomes, taken = {}, {}
for i, op in ipairs(asked[1]) do
  local entry = APPLY[op.type]
  outcomes[i] = entry[2](with_defaults(op, entry[1]))
  gates.settle()
end
if asked[2] then taken = claim(with_defaults(asked[2], 'ClaimRequest')) end
local rung = ring()
save_rows()
save_running()
local reply = mp_map({
  mp('now_ms'), mp(NOW), mp('epoch'), mp(EPOCH), mp('outcomes'), mp_array(outcomes),
  mp('claimed'), mp_array(taken), mp('rings'), rung,
})
redis.call('SET', flush_key, ARGV[2] .. reply, 'PX', FLUSH_MS)
return reply
