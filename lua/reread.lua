#!lua flags=allow-oom
-- reread.lua: sets right what stats.lua found amiss.
-- Entries were read and are nobody's (imbalance): somebody else read them, or a turn was broken off in its midst. All that is
-- not settled is read anew; turn.lua tells what is somebody's by its lane. The group lists entries as pending (listed),
-- which an earlier version's workers had it do, or somebody else: they go from its list, as nobody ends it by XACK.
-- KEYS  1 updates  2 conf  3 wake
--   conf  reread: when reading last began anew, ms
-- ARGV  1 are entries nobody's 0|1  2 of what is listed the last that was looked at, or "": so far it goes
-- Answer  1 where reading begins anew; 0: it did not long ago, at another worker's word, or was not asked for

local UPDATES, CONF, WAKE = KEYS[1], KEYS[2], KEYS[3]
local PAUSE = 10000 -- ms: it costs a look at everything
local MANY = 500 -- as many as stats.lua looks at

local function number(name) -- 0 where it is none, or too much of one
	local n = tonumber(redis.call('HGET', CONF, name) or 0) or 0
	return math.abs(n) < math.huge and n or 0
end

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local since, begins = now - number('reread'), 0
if ARGV[1] == '1' and not (since >= 0 and since < PAUSE) then
	begins = 1
	local newest = redis.call('XREVRANGE', UPDATES, '+', '-', 'COUNT', 1)[1]
	redis.call('XGROUP', 'SETID', UPDATES, 'workers', '0')
	redis.call('HSET', CONF, 'reread', string.format('%d', now))
	redis.call('HDEL', CONF, 'gone') -- an earlier version's
	-- If it is the table of lanes that is lost, they were in hand: whatever there is, is handed out as perhaps done (turn.lua, give).
	local upto = math.max(number('lost'), newest and tonumber(newest[1]:match('^%d+')) or 0)
	redis.call('HSET', CONF, 'lost', string.format('%.0f', upto))
	redis.call('XADD', WAKE, 'MAXLEN', 8, '*', 'ring', 1)
end

-- Not while any of these waits for reading to begin anew: they tell best what is nobody's.
if ARGV[2] ~= '' and (ARGV[1] ~= '1' or begins == 1) then
	local ids = {}
	for i, p in ipairs(redis.call('XPENDING', UPDATES, 'workers', '-', ARGV[2], MANY)) do ids[i] = p[1] end
	if ids[1] then redis.call('XACK', UPDATES, 'workers', unpack(ids)) end
end
return begins
