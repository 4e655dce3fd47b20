-- Topics by the seq of their newest message, a page at a time: a bounded number is looked at.
-- KEYS: the record, the directory. ARGV from 5: above which seq, how many are looked at, prefixes ('' is all).
local life, seq = fence()
local began, floor, ended = rest()
local limit = tonumber(ARGV[6])
local page = redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. ARGV[5], '+inf', 'WITHSCORES', 'LIMIT', 0, limit)
local found = {}
for at = 1, #page, 2 do
  local topic = page[at]
  for prefix = 7, #ARGV do
    local beneath = ARGV[prefix] == '' or string.sub(topic, 1, #ARGV[prefix] + 1) == ARGV[prefix] .. '.'
    if beneath then
      found[#found + 1] = topic
      found[#found + 1] = tonumber(page[at + 1])
      break
    end
  end
end
-- The seq to go on above; nothing on the last page.
local last = #page == 2 * limit and tonumber(page[#page]) or false
return {tonumber(life), tonumber(began), seq, tonumber(floor), ended, last, found}
