#!lua flags=allow-oom
-- flood.lua: may these messages go out? The fleet's one budget (GCRA), and the platform's 429s, told by flood_word.lua.
-- One call for all messages of a bot that a worker has ready: they are looked at one after the other, as if each had a
-- call of its own.
-- KEYS  1 bucket of the bot  2 state of the bot  3, 4 what ends soon (part/soon.lua); then for each message  bucket of its chat;
--       then for each  block of its chat
--   bucket  "tat line", us: when it will be full again; until when it is promised to those who found it too full
--   state   hash, only after a 429: from till (us; the bot is blocked)  doubt (us; since when nobody knows whether the
--           limit is the bot's)  test (us; until when somebody's call is out to learn it); the rest is flood_word.lua's
--   block   "from till", us: the chat is blocked
-- ARGV  1 messages of the bot allowed (0: no limit)  2 in so many ms  3, 4 the same for a chat  5, 6 for a group; then for
--       each message one word: "n" new | "b" back, was told before to come again | "h" booked, has its place in the
--       buckets | "a" ahead of its time: sent now or not asked about, so that a refusal leaves no trace; "c" to a chat |
--       "g" to a group | "-" to none with a limit; longest wait that may be booked, ms
-- Answer  for each message {what, ms, doubt}, or 1 for {1, 0, ''}
--   0 come again after ms   1 booked: send after ms, and ask again as "booked" before that, unless ms is 0
--   2 send now, as the test of this doubt: flood_word.lua must hear how it ended
--   3 somebody else's test is out: come again shortly   4 the chat is blocked for ms   5 the bot is
-- No time too far ahead is believed: Redis's clock may step, and must block nobody for longer than was said.

-- @include soon.lua
-- A chat's bucket that ends so soon is there. The bot's has a key, in any case: it would be some more to everybody.
local SLACK, DOUBT_LIFE, TEST_LIFE, LINE_MAX, BOOKED_MAX = 1e6, 10e6, 3e6, 60e6, 2e6 -- us

local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]

-- %d cuts off parts of a microsecond, and is far cheaper than %.0f or than redis.call's own way with numbers
local format, ceil, max, min = string.format, math.ceil, math.max, math.min
local function ms(us) return max(0, ceil(us / 1000)) end
local function text(us) return format('%d', us) end
local function pair(a, b) return format('%d %d', a, b) end

-- A block that began too far ahead: the clock has stepped back. It lasts as long as it was to.
local function till_from(from, till)
	return from - now > SLACK and now + till - from or till
end

local state = redis.call('HMGET', KEYS[2], 'from', 'till', 'doubt', 'test')
local bot_from, bot_till = tonumber(state[1] or 0) or 0, tonumber(state[2] or 0) or 0
local doubt, test = tonumber(state[3] or 0) or 0, tonumber(state[4] or 0) or 0
if bot_from - now > SLACK then
	bot_from, bot_till = now, till_from(bot_from, bot_till)
	doubt = bot_till
	redis.call('HSET', KEYS[2], 'from', text(bot_from), 'till', text(bot_till), 'doubt', text(doubt))
end

-- buckets as this call sees them, by the number of the first message that asks for one; the bot's has the number 0
local call, KEYS, ARGV = redis.call, KEYS, ARGV
local BUCKETS, HEAD = 4, 6 -- keys and words before those of messages
local MESSAGES = #ARGV - HEAD
local values = call('MGET', KEYS[1], unpack(KEYS, BUCKETS + 1)) -- the bot's bucket, the chats', their blocks
local tats, lines, number_of, changed = {}, {}, {}, {}

-- ms that the chat is blocked for yet
local function blocked(key, value)
	local from, till = value:match('^(%d+) (%d+)$')
	from, till = tonumber(from) or 0, tonumber(till) or 0
	if from - now > SLACK then
		till = till_from(from, till)
		call('SET', key, pair(now, till), 'PX', ms(till - now) + 1)
	end
	return ms(till - now)
end

-- a bucket as it was written; what is over is now
local function read(n, value, window)
	local tat, line = now, now
	if value then
		tat, line = value:match('^(%d+) (%d+)$')
		tat, line = max(tonumber(tat) or 0, now), max(tonumber(line) or 0, now)
		if tat - now > window + BOOKED_MAX + SLACK then tat = now + window end
		if line - now > LINE_MAX + SLACK then line = now end
	end
	tats[n], lines[n] = tat, line
	return tat
end

-- Everybody another time, or all who wait would come back at once: until when
local function stand_in_line(n, wait, step)
	local turn = max(lines[n], now + wait)
	lines[n] = min(turn + step, now + LINE_MAX)
	return turn - now
end

local function limit_of(at)
	local count, window = tonumber(ARGV[at]), ARGV[at + 1] * 1000
	return {step = count > 0 and window / count, window = window}
end
local limits = {c = limit_of(3), g = limit_of(5), ['-'] = {}}
local bot_step, bot_window = limit_of(1).step, limit_of(1).window
if bot_step then read(0, values[1], bot_window) end

local soon_read, soon_write = soon_open(now, KEYS[3], KEYS[4])
local function look()
	local word
	for n = 1, bot_till <= now and MESSAGES or 0 do
		if ARGV[HEAD + n] ~= word then -- most are alike
			word = ARGV[HEAD + n]
			local step = limits[word:sub(2, 2)].step
			if step and step <= SOON and word:sub(1, 1) ~= 'h' then
				return soon_read(unpack(KEYS, BUCKETS + 1, BUCKETS + MESSAGES))
			end
		end
	end
	return {}, {}
end
local of_this, of_last = look()

local GO = 1
local heard, kind, longest, step, window -- the last word; most are alike
local function ask(n, word)
	if bot_till > now then return {5, ms(bot_till - now), ''} end
	local key, block = KEYS[BUCKETS + n], values[1 + MESSAGES + n]
	local chat_blocked = block and blocked(KEYS[BUCKETS + MESSAGES + n], block) or 0
	if chat_blocked > 0 then return {4, chat_blocked, ''} end
	local doubted = now - doubt < DOUBT_LIFE and doubt - now < SLACK
	if doubted and test > now and test - now <= TEST_LIFE + SLACK then return {3, ms(test - now), ''} end

	if word ~= heard then
		local limit = limits[word:sub(2, 2)]
		heard, kind, longest, step, window = word, word:sub(1, 1), tonumber(word:sub(3)) * 1000, limit.step, limit.window
	end
	local bot, chat, bot_wait, chat_wait = nil, nil, 0, 0
	if kind ~= 'h' then
		if bot_step then
			bot, bot_wait = 0, tats[0] + bot_step - bot_window - now
		end
		if step then
			chat = number_of[key]
			if not chat then
				chat = n
				number_of[key] = n
				read(n, values[1 + n] or of_this[1 + n] or of_last[1 + n], window)
			elseif not tats[chat] then -- went like most; a chat is of one kind
				tats[chat], lines[chat] = now + step, now
			end
			chat_wait = tats[chat] + step - window - now
		end
		if kind ~= 'b' then -- behind those who were here before
			if bot and lines[0] - now > longest then bot_wait = max(bot_wait, lines[0] - now) end
			if chat and lines[chat] - now > longest then chat_wait = max(chat_wait, lines[chat] - now) end
		end
	end
	local wait, refused = bot_wait > chat_wait and bot_wait or chat_wait, 0
	if wait < 0 then wait = 0 end
	if kind == 'a' and (wait > 0 or doubted) then return {0, ms(wait), ''} end
	if wait <= longest then
		-- the chat's place is where the message leaves; the bot's is its own, or one chat's wait would be everybody's
		if bot then tats[0] = tats[0] + bot_step end
		if chat then
			local tat, leaves = tats[chat], now + wait
			tats[chat] = (tat < leaves and leaves or tat) + step
		end
	else
		if bot and bot_wait > longest then refused = stand_in_line(0, bot_wait, bot_step) end
		if chat and chat_wait > longest then refused = max(refused, stand_in_line(chat, chat_wait, step)) end
	end
	if bot then changed[0] = true end
	if chat then changed[chat] = true end
	if refused > 0 then return {0, ms(refused), ''} end
	if wait > 0 then return {1, ms(wait), ''} end
	if not doubted then return GO end
	test = now + TEST_LIFE
	call('HSET', KEYS[2], 'test', text(test))
	return {2, 0, text(doubt)}
end

-- What most messages are: like the last one, to a chat that nothing was sent to lately and that nothing blocks, while the bot
-- has room and is in no doubt. There is nothing to weigh.
local calm = bot_till <= now and not (now - doubt < DOUBT_LIFE and doubt - now < SLACK)
local answers, soon, soon_step, soon_value = {}, {}, nil, nil
for n = 1, MESSAGES do
	local word, key = ARGV[HEAD + n], KEYS[BUCKETS + n]
	if word == heard and calm and step and step <= SOON and kind ~= 'h' and not number_of[key] and
		not (values[1 + n] or values[1 + MESSAGES + n] or of_this[1 + n] or of_last[1 + n]) and
		(not bot_step or tats[0] + bot_step - bot_window <= now and lines[0] <= now) then
		if bot_step then tats[0], changed[0] = tats[0] + bot_step, true end
		if soon_step ~= step then soon_step, soon_value = step, pair(now + step, now) end
		number_of[key] = n
		soon[#soon + 1] = key
		soon[#soon + 1] = soon_value
		answers[n] = GO
	else
		answers[n] = ask(n, word)
	end
end

local logged = true
for n in pairs(changed) do
	local tat, line = tats[n], lines[n]
	local left = max(tat, line) - now
	if left > 0 then
		local key, value = KEYS[n == 0 and 1 or BUCKETS + n], pair(tat, line)
		if n > 0 and left <= SOON and not values[1 + n] then
			soon[#soon + 1] = key -- a second time, where it went like most and then did not: the last counts
			soon[#soon + 1] = value
		else
			if (n == 0 or left > SOON) ~= logged then
				logged = not logged
				redis.set_repl(logged and redis.REPL_ALL or redis.REPL_NONE)
			end
			call('SET', key, value, 'PX', text(ceil(left / 1000) + 1))
		end
	end
end
soon_write(soon)
return answers
