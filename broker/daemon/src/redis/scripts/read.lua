-- What is kept of topics above a seq, from the newest back, until the answer has its size; with none, their last seqs.
-- KEYS: the record, the directory, the topics' lists.
-- ARGV from 5: above which seq, the answer's bytes, how many entries of the first topic are known, the topics.
local STEP = 64
local life, seq = fence()
local began, floor, ended = rest()
local above, room, skip = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local is_named_only, topics = room == 0, {}

-- Adds entries of one list; true if there is nothing more above.
local function tail(list, skip, found)
  while room > 0 do
    local page = redis.call('LRANGE', list, -skip - STEP, -skip - 1)
    for at = #page, 1, -1 do
      local entry_seq = struct.unpack('>I8', page[at], 11)
      if entry_seq <= above then return true end
      found[#found + 1] = page[at]
      room = room - #page[at]
      skip = skip + 1
      if room <= 0 then return false, skip end
    end
    if #page < STEP then return true end
  end
  return false, skip
end

for at = 8, #ARGV do
  local last = tonumber(redis.call('ZSCORE', KEYS[2], ARGV[at]) or 0)
  local found = {}
  topics[#topics + 1] = {last, found}
  if last > above and not is_named_only then
    local is_whole, known = tail(KEYS[at - 5], skip, found)
    if not is_whole then
      return {tonumber(life), tonumber(began), seq, tonumber(floor), ended, now_ms(), topics, known}
    end
  end
  skip = 0
end
return {tonumber(life), tonumber(began), seq, tonumber(floor), ended, now_ms(), topics}
