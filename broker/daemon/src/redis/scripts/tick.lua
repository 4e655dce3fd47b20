-- Remembers now and then which seq it is, so that a topic's last seq tells how long it has been idle.
-- KEYS: the record, the directory, the clock. ARGV from 5: the time between two marks, the idle time that is asked for.
-- The newest seq that is so old; 0 if none is.
local _, seq = fence()
local now = now_ms()
-- Marks of the future were made before the clock was set back; with them none would be made until it is there again.
redis.call('ZREMRANGEBYSCORE', KEYS[3], '(' .. digits(now), '+inf')
local last = redis.call('ZREVRANGE', KEYS[3], 0, 0, 'WITHSCORES')
if not last[1] or now - tonumber(last[2]) >= tonumber(ARGV[5]) then
  -- With its time, since a member can be there once only.
  redis.call('ZADD', KEYS[3], digits(now), digits(now) .. ':' .. digits(seq))
end
local until_ms = digits(now - tonumber(ARGV[6]))
local old = redis.call('ZREVRANGEBYSCORE', KEYS[3], until_ms, '-inf', 'WITHSCORES', 'LIMIT', 0, 1)
if not old[1] then return 0 end
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', '(' .. old[2])
return tonumber(string.match(old[1], ':(%d+)$'))
