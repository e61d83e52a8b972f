#!lua flags=no-writes
-- stats.lua: one shard at a glance.
-- KEYS  1 updates  2 lanes  3 waiting  4 due  5 tries  6 workers  7 dead  8 conf
-- ARGV  1 the id behind which a look for what is nobody's goes on, or "" anywhere
-- Answer  {unsettled, pending: busy lanes and waiting, busy lanes, waiting, due, with a history, workers, dead letters,
--         ms of the oldest or -1, imbalance, listed, where the next look goes on, paused}
--         imbalance: above 0: so many entries are nobody's, or at least one; below 0: lanes whose entry is gone; 0: neither,
--         or no look has come to it yet
--         listed: of what the group itself lists as pending the last id that was looked at, or ""; workers make no such
--         list (see turn.lua)
--         or an error that says which key is of another type, and of which, or what this user of Redis may not ask

local FEW, MANY, BYTES = 32, 500, 65536 -- entries of a look, of the group's list at once, and their bytes: Redis serves others too

local wrong -- what of a key of another type, by somebody else's hand, or of a refusal is to be told
local function get(command, key, ...)
	local got = redis.pcall(command, key, ...)
	if type(got) ~= 'table' or not got.err then return got end
	if wrong then return nil end
	if got.err:find('WRONGTYPE', 1, true) then
		wrong = 'WRONGTYPE ' .. key .. ' is a ' .. redis.call('TYPE', key).ok
	elseif not got.err:find('no such key', 1, true) then
		wrong = got.err .. ': ' .. command
	end
	return nil
end
local length, lanes, waiting = get('XLEN', KEYS[1]) or 0, get('HLEN', KEYS[2]) or 0, get('ZCARD', KEYS[3]) or 0

-- @include words.lua
local first = get('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)
local clock = redis.call('TIME')
local oldest = -1
if first and first[1] then
	local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
	local since = tonumber(first[1][1]:match('^%d+'))
	local at = tonumber(field(first[1][2], 'at')) -- ids may run ahead of the clock; when it was received does not
	oldest = math.max(0, now - math.min(since, at and math.abs(at) < 2 ^ 53 and at or since))
end

local function group()
	for _, g in ipairs(get('XINFO', 'GROUPS', KEYS[1]) or {}) do
		if field(g, 'name') == 'workers' then return field(g, 'last-delivered-id'), field(g, 'pending') end
	end
	return '0-0', 0
end
local last, pending = group()

-- Somebody comes to an entry whose lane is held, by it or by one before it, which lies in due or is in the hands of a
-- worker that is registered.
local function is_nobodys(entry)
	local id, lane = entry[1], field(entry[2], 'lane') or ''
	if pad(id) > pad(last) then return false end
	local place = get('HGET', KEYS[2], lane)
	if place == nil then return false end -- it could not be asked
	local owner, holder = words_of(place or '')
	if not holder or holder ~= id and get('ZSCORE', KEYS[3], lane .. '\1' .. pad(id)) == false then return true end
	if owner == '@' then return get('ZSCORE', KEYS[4], holder .. ' ' .. lane) == false end
	return get('ZSCORE', KEYS[6], owner) == false
end
local function size_of(entry)
	local size = 0
	for i = 2, #entry[2], 2 do size = size + #entry[2][i] end
	return size
end

-- What the group lists was read by somebody else or by an earlier version's workers, who have it in their lanes.
local listed = ''
local function listed_is_nobodys()
	local bytes = 0
	for _, p in ipairs(pending > 0 and get('XPENDING', KEYS[1], 'workers', '-', '+', MANY) or {}) do
		local entry = (get('XRANGE', KEYS[1], p[1], p[1]) or {})[1]
		listed = p[1]
		if entry and is_nobodys(entry) then return true end
		bytes = bytes + (entry and size_of(entry) or 0)
		if bytes > BYTES then break end
	end
	return false
end

-- Where counting cannot tell: what is nobody's sinks to the stream's head as all else is settled, and where something else
-- stays there, parked or to come again, a few are looked at, and the next few the next time. The first time anywhere,
-- so that not all workers look at the same ones.
local behind = ARGV[1]
local function some_are_nobodys()
	if behind == '' then
		local from, upto = tonumber(first[1][1]:match('^%d+')), tonumber(last:match('^%d+'))
		math.randomseed(clock[2])
		behind = string.format('%.0f-0', from + math.random() * math.max(0, upto - from))
	end
	local bytes = 0
	for _ = 1, FEW do
		local entry = (get('XRANGE', KEYS[1], '(' .. behind, last, 'COUNT', 1) or {})[1]
		behind = entry and entry[1] or '0-0' -- and from the head again
		if not entry then return false end
		if is_nobodys(entry) then return true end
		bytes = bytes + size_of(entry)
		if bytes > BYTES then break end
	end
	return false
end

local function imbalance()
	local spare = length - lanes - waiting
	local found = listed_is_nobodys()
	if wrong or not first or not first[1] then return spare end
	local after = get('XRANGE', KEYS[1], last, '+', 'COUNT', 2) or {} -- the last that was read may be there
	local unread = after[1] and (after[1][1] ~= last or after[2])
	if spare > 0 and not unread then return spare end
	if found or is_nobodys(first[1]) or some_are_nobodys() then return 1 end
	return math.min(spare, 0)
end
local books = imbalance()
local answer = {
	length, lanes + waiting, lanes, waiting,
	get('ZCARD', KEYS[4]) or 0, get('HLEN', KEYS[5]) or 0, get('ZCARD', KEYS[6]) or 0, get('XLEN', KEYS[7]) or 0,
	oldest, books, listed, behind, get('HGET', KEYS[8], 'paused') or ''}
return wrong and redis.error_reply(wrong) or answer
