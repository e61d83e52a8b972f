#!lua flags=allow-oom
-- reread.lua: sets right what stats.lua found amiss.
-- Entries were read and are nobody's (imbalance): somebody else read them, or a turn was broken off in its midst (a command
-- that this user of Redis may not give any more). All that is not settled is read anew; turn.lua tells what is somebody's
-- by its lane. The group lists entries as pending (listed), which an earlier version's workers had it do, or somebody
-- else: the list goes, as nobody ends it by XACK.
-- KEYS  1 updates  2 conf  3 wake
--   conf  reread: when reading last began anew, ms
-- ARGV  1 are entries nobody's 0|1
-- Answer  1 where reading begins anew; 0: it did not long ago, at another worker's word, or was not asked for

local UPDATES, CONF, WAKE = KEYS[1], KEYS[2], KEYS[3]
local PAUSE = 10000 -- ms: it costs a look at everything

for _, consumer in ipairs(redis.call('XPENDING', UPDATES, 'workers')[4] or {}) do
	redis.call('XGROUP', 'DELCONSUMER', UPDATES, 'workers', consumer[1])
end
if ARGV[1] ~= '1' then return 0 end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local since = now - (tonumber(redis.call('HGET', CONF, 'reread') or 0) or 0)
if since >= 0 and since < PAUSE then return 0 end
redis.call('XGROUP', 'SETID', UPDATES, 'workers', '0')
redis.call('HSET', CONF, 'reread', string.format('%d', now))
redis.call('HDEL', CONF, 'gone') -- an earlier version's
redis.call('XADD', WAKE, 'MAXLEN', 8, '*', 'ring', 1)
return 1
