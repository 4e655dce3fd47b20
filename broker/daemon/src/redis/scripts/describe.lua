-- Of each topic: how many messages are kept, and when the newest of them was numbered.
-- KEYS: the topics' lists.
local found = {}
for _, list in ipairs(KEYS) do
  local newest = redis.call('LINDEX', list, -1)
  found[#found + 1] = redis.call('LLEN', list)
  found[#found + 1] = newest and struct.unpack('>I8', newest, 27) or 0
end
return found
