#!lua flags=no-writes
-- stats.lua: one shard at a glance.
-- KEYS  1 updates  2 lanes  3 waiting  4 due  5 tries  6 workers  7 dead  8 conf
-- Answer  {unsettled, pending, busy lanes, waiting, due, with a history, workers, dead letters, ms of the oldest or -1, paused}
--         or an error that says which key is of another type, and of which

local wrong -- what of a key of another type, by somebody else's hand, is to be told
local function get(command, key, ...)
	local got = redis.pcall(command, key, ...)
	if type(got) ~= 'table' or not got.err then return got end
	if got.err:find('WRONGTYPE', 1, true) then wrong = 'WRONGTYPE ' .. key .. ' is a ' .. redis.call('TYPE', key).ok end
	return nil
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
local answer = {
	get('XLEN', KEYS[1]) or 0, pending and pending[1] or 0, get('HLEN', KEYS[2]) or 0, get('ZCARD', KEYS[3]) or 0,
	get('ZCARD', KEYS[4]) or 0, get('HLEN', KEYS[5]) or 0, get('ZCARD', KEYS[6]) or 0, get('XLEN', KEYS[7]) or 0,
	oldest, get('HGET', KEYS[8], 'paused') or ''}
return wrong and redis.error_reply(wrong) or answer
