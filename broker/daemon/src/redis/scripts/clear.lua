-- Takes away what is kept of a topic, and tells who follows it.
-- KEYS: the record, the directory, the topic's list. ARGV from 5: the topic, the envelope behind its
-- head, the channels.
local life = fence()
local last = redis.call('ZSCORE', KEYS[2], ARGV[5])
local cleared = redis.call('LLEN', KEYS[3])
redis.call('UNLINK', KEYS[3])
if last then
  local head = struct.pack('>BBI8I8', tonumber(ARGV[3]), 2, tonumber(life), tonumber(last))
  for channel = 7, #ARGV do
    redis.call('SPUBLISH', ARGV[channel], head .. ARGV[6])
  end
end
return cleared
