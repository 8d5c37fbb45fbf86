-- MessagePack by hand: the answer needs maps that stay maps when they are empty, and bytes that stay bytes.
-- Every function returns an encoded piece; pieces are joined, never decoded here.

local function mp_head(fix, fix_limit, wide16, wide32, n)
  if n < fix_limit then return string.char(fix + n) end
  if n < 65536 then return string.char(wide16) .. struct.pack('>I2', n) end
  return string.char(wide32) .. struct.pack('>I4', n)
end

local function mp_array(pieces)
  return mp_head(0x90, 16, 0xdc, 0xdd, #pieces) .. table.concat(pieces)
end

-- pieces: key, value, key, value …
local function mp_map(pieces)
  return mp_head(0x80, 16, 0xde, 0xdf, #pieces / 2) .. table.concat(pieces)
end

local function mp_bin(bytes)
  local n = #bytes
  if n < 256 then return string.char(0xc4, n) .. bytes end
  return mp_head(0, 0, 0xc5, 0xc6, n) .. bytes
end

local T = {} -- texts of the answers' own, encoded once: T.kind
local mp -- encodes texts, whole numbers and booleans
do
  local short, small = {}, {} -- heads of texts by length; numbers of one octet

  function mp(value)
    local kind = type(value)
    if kind == 'string' then
      local head = short[#value]
      if head then return head .. value end
    elseif kind == 'number' then
      local one = small[value]
      if one then return one end
    elseif kind == 'boolean' then
      return value and '\195' or '\194'
    end
    return cmsgpack.pack(value)
  end

  first_call(function()
    for n = 0, 31 do short[n] = string.char(0xa0 + n) end
    for n = 0, 127 do small[n] = string.char(n) end
    setmetatable(T, {__index = function(known, text)
      known[text] = cmsgpack.pack(text)
      return rawget(known, text)
    end})
  end)
end

-- Encodes a map of plain values in the order given: name, value, name, value …; absent values are left out.
local function mp_fields(n, ...)
  local given, pieces = {...}, {}
  for i = 1, n, 2 do
    local value = given[i + 1]
    if value ~= nil then
      pieces[#pieces + 1] = T[given[i]]
      pieces[#pieces + 1] = mp(value)
    end
  end
  return mp_map(pieces)
end
