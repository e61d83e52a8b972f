#!lua flags=no-writes
-- stats.lua: one shard at a glance.
-- KEYS  1 updates  2 lanes  3 waiting  4 due  5 tries  6 workers  7 dead  8 conf
-- Answer  {unsettled, pending: busy lanes and waiting, busy lanes, waiting, due, with a history, workers, dead letters,
--         ms of the oldest or -1, imbalance, listed, paused}
--         imbalance: above 0: so many entries are nobody's, or at least one; below 0: lanes whose entry is gone; 0: neither,
--         or nobody can tell while something is unread
--         listed: what the group itself lists as pending; workers make no such list (see turn.lua)
--         or an error that says which key is of another type, and of which

local FEW, BYTES = 8, 65536 -- entries of a look, and bytes of their bodies: Redis serves others too

local wrong -- what of a key of another type, by somebody else's hand, is to be told
local function get(command, key, ...)
	local got = redis.pcall(command, key, ...)
	if type(got) ~= 'table' or not got.err then return got end
	if not wrong and got.err:find('WRONGTYPE', 1, true) then wrong = 'WRONGTYPE ' .. key .. ' is a ' .. redis.call('TYPE', key).ok end
	return nil
end
local length, lanes, waiting = get('XLEN', KEYS[1]) or 0, get('HLEN', KEYS[2]) or 0, get('ZCARD', KEYS[3]) or 0
local function field(fields, name)
	for i = 1, #fields, 2 do
		if fields[i] == name then return fields[i + 1] end
	end
	return nil
end
local first = get('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)
local clock = redis.call('TIME')
local oldest = -1
if first and first[1] then
	local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
	local since = tonumber(first[1][1]:match('^%d+'))
	local at = tonumber(field(first[1][2], 'at')) -- ids may run ahead of the clock; when it was received does not
	oldest = math.max(0, now - math.min(since, at or since))
end

local function group()
	for _, g in ipairs(get('XINFO', 'GROUPS', KEYS[1]) or {}) do
		if field(g, 'name') == 'workers' then return field(g, 'last-delivered-id'), field(g, 'pending') end
	end
	return '0-0', 0
end
local last, listed = group()

local function pad(id)
	local ms, seq = id:match('^(%d+)%-(%d+)$')
	return ('0'):rep(20 - #ms) .. ms .. '-' .. ('0'):rep(20 - #seq) .. seq
end
local function is_nobodys(entry)
	local id, lane = entry[1], field(entry[2], 'lane') or ''
	if pad(id) > pad(last) then return false end
	local holder, waits = get('HGET', KEYS[2], lane), get('ZSCORE', KEYS[3], lane .. '\1' .. pad(id))
	return holder ~= nil and (holder or ''):match('^%S+ (%S+)') ~= id and waits == false -- nil: it could not be asked
end
-- While something is unread: what is nobody's sinks to the stream's head as all else is settled, and where something else
-- stays there, parked or to come again, a look at a few somewhere, again and again, finds it.
local function some_are_nobodys()
	local from, upto = tonumber(first[1][1]:match('^%d+')), tonumber(last:match('^%d+'))
	math.randomseed(clock[2])
	from = string.format('%.0f', from + math.random() * math.max(0, upto - from))
	local looked, bytes = 0, 0
	while looked < FEW and bytes < BYTES do
		local entry = (get('XRANGE', KEYS[1], from, last, 'COUNT', 1) or {})[1]
		if not entry then return false end
		if is_nobodys(entry) then return true end
		from, looked, bytes = '(' .. entry[1], looked + 1, bytes + #(field(entry[2], 'body') or '')
	end
	return false
end
local function imbalance()
	local spare = length - lanes - waiting
	if length == 0 or wrong or not first then return spare end
	local unread = spare > 0 and get('XRANGE', KEYS[1], '(' .. last, '+', 'COUNT', 1)
	if unread and not unread[1] then return spare end
	if is_nobodys(first[1]) or spare > 0 and some_are_nobodys() then return 1 end
	return math.min(spare, 0)
end
local books = imbalance()
local answer = {
	length, lanes + waiting, lanes, waiting,
	get('ZCARD', KEYS[4]) or 0, get('HLEN', KEYS[5]) or 0, get('ZCARD', KEYS[6]) or 0, get('XLEN', KEYS[7]) or 0,
	oldest, books, listed, get('HGET', KEYS[8], 'paused') or ''}
return wrong and redis.error_reply(wrong) or answer
