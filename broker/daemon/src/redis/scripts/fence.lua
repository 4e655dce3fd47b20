-- Stands before each script that numbers or reads. KEYS: the record, the directory.
-- ARGV: the lives that the node knows, each with the highest seq that it has seen of it, a life to begin if one must
-- begin, the version of the envelope, the number of partitions.

-- Seqs and times are whole numbers below 2^53: a double holds them, and this writes all their digits.
local function digits(number)
  return string.format('%.0f', number)
end

-- The life that goes on and its seq. A life ends where this server can't know what became of it: it has been started
-- again or has become the primary (its replication id is another), or a node has seen more of it than is here.
local function fence()
  local replication = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
  local record = redis.call('HMGET', KEYS[1], 'life', 'seq', 'replication', 'version')
  local life, seq = record[1], tonumber(record[2])
  if not life then
    -- Nothing is known of who numbered what is still in the directory; its topics count as forgotten.
    local newest = redis.call('ZREVRANGE', KEYS[2], 0, 0, 'WITHSCORES')
    seq = tonumber(newest[2]) or 0
    redis.call('UNLINK', KEYS[2])
    redis.call('HSET', KEYS[1], 'life', ARGV[2], 'began', digits(seq), 'seq', digits(seq), 'floor', digits(seq),
      'ended', '', 'replication', replication, 'version', ARGV[3], 'partitions', ARGV[4])
    return ARGV[2], seq
  end
  local own, version = tonumber(ARGV[3]), tonumber(record[4])
  if math.abs(version - own) > 1 then
    error({err = 'VERSION ' .. digits(version)})
  elseif version < own then
    -- It is never lowered: from here on there may be something that no older version reads.
    redis.call('HSET', KEYS[1], 'version', ARGV[3])
  end
  local seen = string.match(' ' .. ARGV[1], ' ' .. life .. ':(%d+)')
  local is_behind = seen and seq < tonumber(seen)
  if record[3] == replication and not is_behind then
    return life, seq
  end
  local ended = {}
  for one in string.gmatch(redis.call('HGET', KEYS[1], 'ended'), '%S+') do
    ended[#ended + 1] = one
  end
  ended[#ended + 1] = life .. ':' .. digits(seq)
  ended = table.concat(ended, ' ', math.max(1, #ended - 7))
  redis.call('HSET', KEYS[1], 'life', ARGV[2], 'began', digits(seq), 'ended', ended, 'replication', replication)
  return ARGV[2], seq
end

-- What the record says beside the life and the seq.
local function rest()
  return unpack(redis.call('HMGET', KEYS[1], 'began', 'floor', 'ended'))
end

-- Milliseconds since 1970 on this server's clock.
local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
