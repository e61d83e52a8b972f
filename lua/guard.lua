#!lua flags=allow-oom
-- guard.lua: whose this shard is. Entries of a lane are in order only while everybody reckons with the same shards.
-- KEYS  1 conf
-- ARGV  1 format  2 shard "i/n"  3 may this shard be marked if it is not 0|1
-- Answer  {v, shard} as they are now; a shard that nobody has used yet becomes the asker's, or is told as {"", ""}

local conf = redis.call('HMGET', KEYS[1], 'v', 'shard')
if conf[1] and (conf[2] or conf[1] ~= ARGV[1]) then return {conf[1], conf[2] or ''} end -- a mark of ours without its shard is none
if ARGV[3] == '0' then return {'', ''} end
redis.call('HSET', KEYS[1], 'v', ARGV[1], 'shard', ARGV[2])
return {ARGV[1], ARGV[2]}
