-- Numbers a message, keeps it, and then spreads it: without memory it is refused before it was ever seen.
-- KEYS: the record, the directory, the topic's list, and, if the publish can be repeated, what is kept of that.
-- ARGV from 6: the topic, the envelope behind its head, how many messages of the topic are kept and for how long,
-- how many topics there may be, what a repetition must equal, for how long repetitions are known, the channels.
local life, seq = fence()
local topic, body, count, age_ms = ARGV[6], ARGV[7], tonumber(ARGV[8]), ARGV[9]

if KEYS[4] then
  local known = redis.call('GET', KEYS[4])
  -- The next version may write more behind the fingerprint.
  local first_life, first_seq, fingerprint = string.match(known or '', '^(%d+):(%d+) (%x*)')
  local is_current = first_life == life
  if first_life and not is_current then
    local ended = ' ' .. redis.call('HGET', KEYS[1], 'ended') .. ' '
    is_current = string.find(ended, ' ' .. first_life .. ':', 1, true) ~= nil
  end
  if is_current and fingerprint ~= ARGV[11] then
    return {'mismatch'}
  elseif is_current then
    local heard = 0
    for channel = 13, #ARGV do
      heard = heard + redis.call('PUBSUB', 'SHARDNUMSUB', ARGV[channel])[2]
    end
    return {'repeated', first_life, tonumber(first_seq), heard}
  end
end

local prev = redis.call('ZSCORE', KEYS[2], topic)
if not prev and redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[10]) then
  return {'topics'}
end

seq = seq + 1
local time_ms = now_ms()
-- version, kind, life, seq, prev, time
local head = struct.pack('>BBI8I8I8I8', tonumber(ARGV[4]), 1, tonumber(life), seq, tonumber(prev or 0), time_ms)
local envelope = head .. body
redis.call('HSET', KEYS[1], 'seq', digits(seq))
if count > 0 then
  local kept = redis.call('RPUSH', KEYS[3], envelope)
  if kept > count then
    redis.call('LTRIM', KEYS[3], -count, -1)
  elseif kept % 64 == 0 then
    -- Now and then the old ones of a list that is not full go, so that it holds few of them.
    for _ = 1, 128 do
      local oldest = redis.call('LINDEX', KEYS[3], 0)
      if not oldest or struct.unpack('>I8', oldest, 27) + tonumber(age_ms) > time_ms then break end
      redis.call('LPOP', KEYS[3])
    end
  end
  redis.call('PEXPIRE', KEYS[3], age_ms)
elseif prev then
  redis.call('UNLINK', KEYS[3])
end
redis.call('ZADD', KEYS[2], digits(seq), topic)
if KEYS[4] then
  redis.call('SET', KEYS[4], life .. ':' .. digits(seq) .. ' ' .. ARGV[11], 'PX', ARGV[12])
end

local heard = 0
for channel = 13, #ARGV do
  heard = heard + redis.call('SPUBLISH', ARGV[channel], envelope)
end
return {'published', life, seq, heard}
