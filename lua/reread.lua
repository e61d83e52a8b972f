#!lua flags=allow-oom
-- reread.lua: entries that were read and are nobody's come back: somebody else read them, or a turn was broken off in its
-- midst (a command that this user of Redis may not give any more). All that is not settled is read anew; turn.lua tells
-- what is somebody's by its lane. What is gone from the stream is pending no longer.
-- KEYS  1 updates  2 lanes  3 waiting  4 conf  5 wake
--   conf  reread: the last id that was read when reading began anew, and how many were nobody's then
--         gone: up to where it has been looked for what is gone
-- Answer  how many are nobody's, where reading begins anew; 0: none, or it is under way. To be called again and again.

local UPDATES, LANES, WAITING, CONF, WAKE = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local PIECE = 1000 -- pending entries that one call looks for in the stream: Redis serves others too

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
local last = redis.call('EXISTS', UPDATES) == 1 and last_read()
if not last then return 0 end
local strays = redis.call('XPENDING', UPDATES, 'workers')[1] - redis.call('HLEN', LANES) - redis.call('ZCARD', WAITING)
if strays <= 0 then return 0 end
local conf = redis.call('HMGET', CONF, 'reread', 'gone')
local upto, were = (conf[1] or ''):match('^(%S+) (%d+)$')
if upto and redis.call('XRANGE', UPDATES, '(' .. last, upto, 'COUNT', 1)[1] then return 0 end -- under way
if tonumber(were) == strays then -- all was read anew, and they are still nobody's
	local cursor = redis.call('XAUTOCLAIM', UPDATES, 'workers', 'w', 0, conf[2] or '0-0', 'COUNT', PIECE, 'JUSTID')[1]
	if cursor == '0-0' then
		redis.call('HDEL', CONF, 'reread', 'gone')
	else
		redis.call('HSET', CONF, 'gone', cursor)
	end
	return 0
end
redis.call('HSET', CONF, 'reread', last .. ' ' .. strays)
redis.call('XGROUP', 'SETID', UPDATES, 'workers', '0')
redis.call('XADD', WAKE, 'MAXLEN', 8, '*', 'ring', 1)
return strays
