-- Sends the record to the node's own channel, behind everything numbered before. How many heard it: one, or none.
-- KEYS: the record, the directory. ARGV from 5: the channel, the probe's number.
local life, seq = fence()
local began, floor, ended = rest()
local head = struct.pack('>BBI8I8I8I8I8', tonumber(ARGV[3]), 3, tonumber(ARGV[6]), tonumber(life), tonumber(began),
  seq, tonumber(floor))
return redis.call('SPUBLISH', ARGV[5], head .. ended)
