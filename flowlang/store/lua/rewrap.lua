-- Gives stored payloads the same data key under another wrapping, wherever in a value they lie: see `store/rekeying.py`.
--
-- keys[1]      the key
-- args[1]      `hash`, `list` or `string`
-- args[2]      field, or index
-- args[3…]     old and new header, in turn; both have the same length, so nothing around them changes
-- Returns how many were replaced: none when the value has changed in the meantime.

local READS = {
  hash = function(key, at) return redis.call('HGET', key, at) end,
  list = function(key, at) return redis.call('LINDEX', key, at) end,
  string = function(key) return redis.call('GET', key) end,
}
local WRITES = {
  hash = function(key, at, text) redis.call('HSET', key, at, text) end,
  list = function(key, at, text) redis.call('LSET', key, at, text) end,
  string = function(key, _, text) redis.call('SET', key, text, 'KEEPTTL') end,
}

local function rewrap(key, args)
  local kind, at = args[1], args[2]
  local text, count = READS[kind](key, at), 0
  if not text then return 0 end
  for i = 3, #args, 2 do
    local old, new, from = args[i], args[i + 1], 1
    if #old ~= #new then return redis.error_reply('LENGTH a header must be replaced by one of the same length') end
    while true do
      local found = string.find(text, old, from, true)
      if not found then break end
      text = string.sub(text, 1, found - 1) .. new .. string.sub(text, found + #old)
      from, count = found + #new, count + 1
    end
  end
  if count > 0 then WRITES[kind](key, at, text) end
  return count
end

redis.register_function(NAME .. '_rewrap', function(keys, args) return rewrap(keys[1], args) end)
