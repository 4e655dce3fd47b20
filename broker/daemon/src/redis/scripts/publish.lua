-- Numbers messages in their order, keeps each, and then spreads it: without memory all are refused before one was seen.
-- KEYS: the record, the directory, for each message its topic's list and, if the publish can be repeated, what is kept
-- of that; last, if one of the first two arguments is not empty, where the node notes how far a run of calls has come.
-- ARGV from 5: what the call before has noted, else nothing is done; what to note once all is done; how many topics
-- there may be; 1 if nothing is to be done behind a message for whose topic there is no room; for how long repetitions
-- are known. Then for each message: the topic, the envelope behind its head, how many messages of the topic are kept and
-- for how long, what a repetition must equal (empty: it can't be repeated), how many channels there are, the channels.
-- What became of each message, as far as it came.
if ARGV[5] ~= '' and redis.call('GET', KEYS[#KEYS]) ~= ARGV[5] then return {} end
local life, seq = fence()
local topics_max, time_ms = tonumber(ARGV[7]), now_ms()
local results, key, at = {}, 3, 10

while at <= #ARGV do
  local topic, count, age_ms, fingerprint = ARGV[at], tonumber(ARGV[at + 2]), ARGV[at + 3], ARGV[at + 4]
  local first, last = at + 6, at + 5 + ARGV[at + 5]
  local list, repeated = KEYS[key], fingerprint ~= '' and KEYS[key + 1]
  local known, result = repeated and redis.call('GET', repeated), nil
  if known then
    -- The next version may write more behind the fingerprint.
    local first_life, first_seq, first_fingerprint = string.match(known, '^(%d+):(%d+) (%x*)')
    local is_current = first_life == life
    if first_life and not is_current then
      local ended = ' ' .. redis.call('HGET', KEYS[1], 'ended') .. ' '
      is_current = string.find(ended, ' ' .. first_life .. ':', 1, true) ~= nil
    end
    if is_current and first_fingerprint ~= fingerprint then
      result = {'mismatch'}
    elseif is_current then
      local heard = 0
      for channel = first, last do
        heard = heard + redis.call('PUBSUB', 'SHARDNUMSUB', ARGV[channel])[2]
      end
      result = {'repeated', first_life, tonumber(first_seq), heard}
    end
  end
  if not result then
    local prev = redis.call('ZSCORE', KEYS[2], topic)
    if not prev and redis.call('ZCARD', KEYS[2]) >= topics_max then
      -- With how many topics of the messages from here on are not there yet.
      local new, missing = {}, 0
      while ARGV[8] == '1' and at <= #ARGV do
        if not new[ARGV[at]] and not redis.call('ZSCORE', KEYS[2], ARGV[at]) then
          new[ARGV[at]], missing = true, missing + 1
        end
        at = at + 6 + ARGV[at + 5]
      end
      result = {'topics', missing}
      if missing > 0 then
        results[#results + 1] = result
        return results
      end
    else
      seq = seq + 1
      -- version, kind, life, seq, prev, time
      local head = struct.pack('>BBI8I8I8I8', tonumber(ARGV[3]), 1, tonumber(life), seq, tonumber(prev or 0), time_ms)
      local envelope = head .. ARGV[at + 1]
      redis.call('HSET', KEYS[1], 'seq', digits(seq))
      if count > 0 then
        local kept = redis.call('RPUSH', list, envelope)
        if kept > count then
          redis.call('LTRIM', list, -count, -1)
        elseif kept % 64 == 0 then
          -- Now and then the old ones of a list that is not full go, so that it holds few of them.
          for _ = 1, 128 do
            local oldest = redis.call('LINDEX', list, 0)
            if not oldest or struct.unpack('>I8', oldest, 27) + tonumber(age_ms) > time_ms then break end
            redis.call('LPOP', list)
          end
        end
        redis.call('PEXPIRE', list, age_ms)
      elseif prev then
        redis.call('UNLINK', list)
      end
      redis.call('ZADD', KEYS[2], digits(seq), topic)
      if repeated then
        redis.call('SET', repeated, life .. ':' .. digits(seq) .. ' ' .. fingerprint, 'PX', ARGV[9])
      end
      local heard = 0
      for channel = first, last do
        heard = heard + redis.call('SPUBLISH', ARGV[channel], envelope)
      end
      result = {'published', life, seq, heard}
    end
  end
  results[#results + 1] = result
  key, at = key + (repeated and 2 or 1), last + 1
end
if ARGV[6] ~= '' then
  redis.call('SET', KEYS[#KEYS], ARGV[6], 'PX', 10000)
end
return results
