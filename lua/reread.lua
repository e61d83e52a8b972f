#!lua flags=allow-oom
-- reread.lua: entries that were read and are nobody's come back: somebody else read them, or a turn was broken off in its
-- midst (a command that this user of Redis may not give any more). All that is not settled is read anew; turn.lua tells
-- what is somebody's by its lane. What is gone from the stream is pending no longer.
-- KEYS  1 updates  2 lanes  3 waiting  4 conf  5 wake
--   conf  reread: the last id that was read when reading began anew
-- Answer  how many are nobody's, where reading begins anew; 0: none, or it has begun and is not through

local UPDATES, LANES, WAITING, CONF, WAKE = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]

local function last_read()
	for _, group in ipairs(redis.call('XINFO', 'GROUPS', UPDATES)) do
		local name, last
		for i = 1, #group, 2 do
			if group[i] == 'name' then name = group[i + 1] end
			if group[i] == 'last-delivered-id' then last = group[i + 1] end
		end
		if name == 'workers' then return last end
	end
end
local function before(a, b)
	local a_ms, a_seq = a:match('^(%d+)%-(%d+)$')
	local b_ms, b_seq = b:match('^(%d+)%-(%d+)$')
	a_ms, a_seq, b_ms, b_seq = tonumber(a_ms), tonumber(a_seq), tonumber(b_ms), tonumber(b_seq)
	return a_ms < b_ms or (a_ms == b_ms and a_seq < b_seq)
end

local last = redis.call('EXISTS', UPDATES) == 1 and last_read()
if not last then return 0 end
local function count()
	return redis.call('XPENDING', UPDATES, 'workers')[1] - redis.call('HLEN', LANES) - redis.call('ZCARD', WAITING)
end
local upto = redis.call('HGET', CONF, 'reread')
if count() <= 0 or (upto and before(last, upto)) then return 0 end
local cursor = '0-0'
repeat cursor = redis.call('XAUTOCLAIM', UPDATES, 'workers', 'w', 0, cursor, 'COUNT', 1000, 'JUSTID')[1] until cursor == '0-0'
local strays = count()
if strays <= 0 then return 0 end
redis.call('HSET', CONF, 'reread', last)
redis.call('XGROUP', 'SETID', UPDATES, 'workers', '0')
redis.call('XADD', WAKE, 'MAXLEN', 8, '*', 'ring', 1)
return strays
