#!lua flags=no-writes
-- peek.lua: unsettled entries, oldest first, and where each of them stands. A bounded piece at a time.
-- KEYS  1 updates  2 lanes  3 waiting  4 due  5 tries  6 conf  7 workers
-- ARGV  1 all | lane | one  2 the lane  3 the id after which to go on, '' from the start; for `one` the entry's id
--       4 entries wanted
-- Answer  {now, id to go on after or '' at the end, entries}
--   entry = {id, bot, lane, key, at, state, NAME in whose hands, ms until due, id of the lane's holder, retries,
--            takeovers, sent, bytes of the body, {field, value, ...} for `one`}; what is not there is false
--   state  in_hand | due | paused: held until its bot goes on | waiting: behind the holder | unread |
--          stray: read, and nobody's, or of a NAME that is not registered; the queue's books are wrong

local UPDATES, LANES, WAITING, DUE, TRIES, CONF, WORKERS = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local MODE, LANE, AFTER, want = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local CHUNK, BYTES, LOOK = 16, 1048576, 512 -- entries read at once; bytes and entries looked at in one call

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

-- @include words.lua
local function unpad(s) -- '' where another hand wrote it
	local ms, seq = s:match('^0*(%d+)%-0*(%d+)$')
	return ms and ms .. '-' .. seq or ''
end
local function last_read()
	local groups = redis.pcall('XINFO', 'GROUPS', UPDATES)
	for _, g in ipairs(groups.err and {} or groups) do
		if field(g, 'name') == 'workers' then return field(g, 'last-delivered-id') end
	end
	return '0-0'
end
local LAST = last_read()

local pause = redis.call('HGET', CONF, 'paused') or ''
local function paused(bot)
	return pause == '*' or (pause ~= '' and (',' .. pause .. ','):find(',' .. (bot or '') .. ',', 1, true) ~= nil)
end

-- state, NAME, ms until due, holder
local function standing(id, lane, bot)
	local name, holder = words_of(lane and redis.call('HGET', LANES, lane) or '')
	if holder == id and name ~= '@' then
		return redis.call('ZSCORE', WORKERS, name) and 'in_hand' or 'stray', name, false, false
	end
	if holder == id then
		local score = redis.call('ZSCORE', DUE, id .. ' ' .. lane)
		if not score then return 'stray', false, false, false end
		if score == 'inf' or paused(bot) then return 'paused', false, false, false end
		return 'due', false, math.max(0, math.floor(tonumber(score) - now)), false
	end
	if holder and redis.call('ZSCORE', WAITING, lane .. '\1' .. pad(id)) then return 'waiting', false, false, holder end
	if pad(id) > pad(LAST) then return 'unread', false, false, holder or false end
	return 'stray', false, false, holder or false
end

local found, bytes, looked, shown = {}, 0, 0, {}
local function look(entry)
	looked = looked + 1
	for i = 2, #entry[2], 2 do bytes = bytes + #entry[2][i] end
end
local function add(entry, only)
	local id, fields = entry[1], entry[2]
	local bot, lane = field(fields, 'bot'), field(fields, 'lane')
	local state, name, ms, holder = standing(id, lane, bot)
	if shown[id] or (only and state ~= only and state ~= 'stray') then return end
	shown[id] = true
	local tries = redis.call('HGET', TRIES, id) or '0 0 0'
	local retries, takeovers, sent = tries:match('^(%d+) (%d+) (%d+)$')
	found[#found + 1] = {id, bot, lane, field(fields, 'key'), field(fields, 'at'), state, name, ms, holder,
		tonumber(retries) or 0, tonumber(takeovers) or 0, tonumber(sent) or 0, #(field(fields, 'body') or ''),
		MODE == 'one' and fields or nil}
end

-- The stream from an id on; only those of the lane where one is given, which are unread: the others came before.
-- Where to go on, '' at the end.
local function walk(after)
	while #found < want and bytes < BYTES and looked < LOOK do
		local count = LANE ~= '' and CHUNK or math.min(CHUNK, want - #found)
		local batch = redis.pcall('XRANGE', UPDATES, after == '' and '-' or '(' .. after, '+', 'COUNT', count)
		if batch.err then
			if not batch.err:find('nvalid st', 1, true) then error(batch) end -- "Invalid stream ID", "invalid start ID"
			return '' -- what stands in a lane, or waits, is none, or the greatest
		end
		for _, e in ipairs(batch) do
			look(e)
			after = e[1]
			if LANE == '' then
				add(e)
			elseif field(e[2], 'lane') == LANE then
				add(e, 'unread')
				if #found == want then return after end
			end
		end
		if #batch < count then return '' end
	end
	return after
end

-- the lane's holder, and what waits behind it; then on to what is unread
local function walk_lane()
	local ids, after = {}, AFTER
	local _, holder = words_of(redis.call('HGET', LANES, LANE) or '')
	if holder and (after == '' or pad(holder) > pad(after)) then ids[1] = holder end
	local low = after == '' and '[' .. LANE .. '\1' or '(' .. LANE .. '\1' .. pad(after)
	for _, m in ipairs(redis.call('ZRANGEBYLEX', WAITING, low, '(' .. LANE .. '\2', 'LIMIT', 0, math.min(want, LOOK))) do
		ids[#ids + 1] = unpad(m:sub(#LANE + 2))
	end
	for _, id in ipairs(ids) do
		if #found == want or bytes >= BYTES then return after end
		local e = redis.pcall('XRANGE', UPDATES, id, id)[1] -- none where Redis takes it for no id
		if e then
			look(e)
			add(e)
		end
		after = id
	end
	if #ids >= math.min(want, LOOK) and after ~= '' and (AFTER == '' or pad(after) > pad(AFTER)) then return after end -- or it is no id
	return walk((after == '' or pad(LAST) > pad(after)) and LAST or after)
end

local cursor = ''
if MODE == 'one' then
	local e = redis.call('XRANGE', UPDATES, AFTER, AFTER)[1]
	if e then add(e) end
elseif MODE == 'lane' then
	cursor = walk_lane()
else
	cursor = walk(AFTER)
end
return {now, cursor, found}
