-- Forgets topics of which nothing is kept and whose newest message is old; the floor rises to it. How many went.
-- KEYS: the record, the directory, the topics' lists. ARGV from 5: up to which seq, how many at most, the topics.
fence()
local bound, most = tonumber(ARGV[5]), tonumber(ARGV[6])
local floor, forgotten = tonumber(redis.call('HGET', KEYS[1], 'floor')), 0
for at = 7, #ARGV do
  local last = tonumber(redis.call('ZSCORE', KEYS[2], ARGV[at]))
  if last and last <= bound and forgotten < most and redis.call('EXISTS', KEYS[at - 4]) == 0 then
    redis.call('ZREM', KEYS[2], ARGV[at])
    floor = math.max(floor, last)
    forgotten = forgotten + 1
  end
end
if forgotten > 0 then
  redis.call('HSET', KEYS[1], 'floor', digits(floor))
end
return forgotten
