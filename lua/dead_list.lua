#!lua flags=no-writes
-- dead_list.lua: dead letters, a bounded piece at a time.
-- KEYS  1 dead
-- ARGV  1 newest | oldest | one  2 the id after which to go on, '' to begin; for `one` the letter's id
--       3 letters wanted  4 only this bot's, '' any
-- Answer  {now, id to go on after or '' at the end, letters in all, letters}
--   letter = {id, entry's id, bot, lane, key, at, error, retries, takeovers, sent, maybe_applied, died_at, worker,
--             bytes of the body, retried before 0|1, traceparent, {field, value, ...} of the entry for `one`}; not there: false

local MODE, after, want, BOT = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local CHUNK, BYTES, LOOK = 16, 1048576, 512

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

-- the letter's own fields and, behind "entry follows", those of the entry
local function open(fields)
	local head, entry, first, inside = {}, {}, {}, false
	for i = 1, #fields, 2 do
		if inside then
			entry[#entry + 1] = fields[i]
			entry[#entry + 1] = fields[i + 1]
			if first[fields[i]] == nil then first[fields[i]] = fields[i + 1] end
		elseif fields[i] == 'entry' then
			inside = true
		elseif head[fields[i]] == nil then
			head[fields[i]] = fields[i + 1]
		end
	end
	return head, first, entry
end

local found, bytes, looked = {}, 0, 0
local function add(letter)
	local head, first, entry = open(letter[2])
	if BOT ~= '' and first.bot ~= BOT then return end
	found[#found + 1] = {letter[1], head.id or false, first.bot or false, first.lane or head.lane or false,
		first.key or false, first.at or false, head.error or false, tonumber(head.retries) or 0,
		tonumber(head.takeovers) or 0, tonumber(head.sent) or 0, head.maybe_applied == '1' and 1 or 0, head.died_at or false, head.worker or false,
		#(first.body or ''), first.again == '1' and 1 or 0, first.traceparent and first.traceparent:sub(1, 64) or false, MODE == 'one' and entry or nil}
end

local function fetch(count)
	if MODE == 'one' then return redis.call('XRANGE', KEYS[1], after, after) end
	if MODE == 'newest' then
		return redis.call('XREVRANGE', KEYS[1], after == '' and '+' or '(' .. after, '-', 'COUNT', count)
	end
	return redis.call('XRANGE', KEYS[1], after == '' and '-' or '(' .. after, '+', 'COUNT', count)
end

local cursor = false
while not cursor and #found < want and bytes < BYTES and looked < LOOK do
	local count = math.min(CHUNK, want - #found)
	local batch = fetch(count)
	for _, letter in ipairs(batch) do
		looked = looked + 1
		for i = 2, #letter[2], 2 do bytes = bytes + #letter[2][i] end
		add(letter)
		after = letter[1]
	end
	if MODE == 'one' or #batch < count then cursor = '' end
end
return {now, cursor or after, redis.call('XLEN', KEYS[1]), found}
