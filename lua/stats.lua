#!lua flags=no-writes
-- stats.lua: one shard at a glance.
-- KEYS  1 updates  2 lanes  3 waiting  4 due  5 tries  6 workers  7 dead  8 conf
-- Answer  {unsettled, pending, busy lanes, waiting, due, with a history, workers, dead letters, ms of the oldest or -1, paused}

local function get(command, ...)
	local got = redis.pcall(command, ...)
	if type(got) == 'table' and got.err then return nil end
	return got
end
local pending = get('XPENDING', KEYS[1], 'workers')
local first = get('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)
local clock = redis.call('TIME')
local oldest = -1
if first and first[1] then
	local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
	local since = tonumber(first[1][1]:match('^%d+'))
	for i = 1, #first[1][2], 2 do -- ids may run ahead of the clock; when it was received does not
		if first[1][2][i] == 'at' then since = math.min(since, tonumber(first[1][2][i + 1]) or since) end
	end
	oldest = math.max(0, now - since)
end
return {
	get('XLEN', KEYS[1]) or 0, pending and pending[1] or 0, redis.call('HLEN', KEYS[2]), redis.call('ZCARD', KEYS[3]),
	redis.call('ZCARD', KEYS[4]), redis.call('HLEN', KEYS[5]), redis.call('ZCARD', KEYS[6]), get('XLEN', KEYS[7]) or 0,
	oldest, redis.call('HGET', KEYS[8], 'paused') or ''}
