-- Stands behind the fence where the broker is built as its own successor, and adds what only that one knows: a field of
-- the record, and more behind a remembered fingerprint.
local redis_before, fence_before = redis, fence
local redis = setmetatable({
  call = function(...)
    local words = {...}
    if words[1] == 'SET' and string.find(words[2], '/k/', 1, true) then
      words[3] = words[3] .. ' and something new'
    end
    return redis_before.call(unpack(words))
  end,
}, {__index = redis_before})

local function fence()
  local life, seq = fence_before()
  redis.call('HSET', KEYS[1], 'next', 'something new')
  return life, seq
end
