#!lua flags=allow-oom
-- flood.lua: may these messages go out? The fleet's one budget (GCRA), and the platform's 429s, told by flood_word.lua.
-- One call for all messages of a bot that a worker has ready: they are looked at one after the other, as if each had a
-- call of its own.
-- KEYS  1 bucket of the bot  2 state of the bot; then for each message  bucket of its chat  block of its chat
--   bucket  "tat line", us: when it will be full again; until when it is promised to those who found it too full
--   state   hash, only after a 429: from till (us; the bot is blocked)  doubt (us; since when nobody knows whether the
--           limit is the bot's)  test (us; until when somebody's call is out to learn it); the rest is flood_word.lua's
--   block   "from till", us: the chat is blocked
-- ARGV  1 messages of the bot allowed (0: no limit)  2 in so many ms; then for each message  longest wait that may be
--       booked, ms  "new" | "back", was told before to come again | "booked", has its place in the buckets
--       messages of its chat allowed  in so many ms
-- Answer  for each message {what, ms, doubt}
--   0 come again after ms   1 booked: send after ms, and ask again as "booked" before that, unless ms is 0
--   2 send now, as the test of this doubt: flood_word.lua must hear how it ended
--   3 somebody else's test is out: come again shortly   4 the chat is blocked for ms   5 the bot is
-- No time too far ahead is believed: Redis's clock may step, and must block nobody for longer than was said.

local SLACK, DOUBT_LIFE, TEST_LIFE, LINE_MAX, BOOKED_MAX = 1e6, 10e6, 3e6, 60e6, 2e6 -- us

local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]

local function ms(us) return math.max(0, math.ceil(us / 1000)) end
local function text(...) return string.format(('%.0f '):rep(select('#', ...)):sub(1, -2), ...) end

-- what is left of a block; restate writes it down anew when the clock has stepped back
local function left(from, till, restate)
	from, till = tonumber(from) or 0, tonumber(till) or 0
	if from - now > SLACK then
		till = now + till - from
		restate(now, till)
	end
	return till - now
end

local state = redis.call('HMGET', KEYS[2], 'from', 'till', 'doubt', 'test')
local held, changed = {}, {} -- buckets and blocks as this call sees them; buckets to be written
local values = redis.call('MGET', KEYS[1], unpack(KEYS, 3))
held[KEYS[1]] = values[1] or ''
for i = 3, #KEYS do held[KEYS[i]] = values[i - 1] or '' end

local function bucket_of(key, limit, window, chat)
	local tat, line = held[key], 0
	if type(tat) == 'table' then
		tat, line = tat.tat, tat.line
	else
		tat, line = tat:match('^(%d+) (%d+)$')
	end
	local b = {key = key, step = window / limit, chat = chat}
	b.tat, b.line = math.max(now, tonumber(tat) or 0), math.max(now, tonumber(line) or 0)
	if b.tat - now > window + BOOKED_MAX + SLACK then b.tat = now + window end
	if b.line - now > LINE_MAX + SLACK then b.line = now end
	b.wait = b.tat + b.step - window - now
	return b
end

local bot_limit, bot_window = tonumber(ARGV[1]), ARGV[2] * 1000

local function ask(bucket, block, longest, kind, limit, window)
	local blocked = left(state[1], state[2], function(from, till)
		redis.call('HSET', KEYS[2], 'from', text(from), 'till', text(till), 'doubt', text(till))
		state[1], state[2], state[3] = from, till, text(till)
	end)
	if blocked > 0 then return {5, ms(blocked), ''} end
	local from, till = held[block]:match('^(%d+) (%d+)$')
	blocked = left(from, till, function(f, t)
		held[block] = text(f, t)
		redis.call('SET', block, held[block], 'PX', ms(t - now) + 1)
	end)
	if blocked > 0 then return {4, ms(blocked), ''} end

	local doubt, test = tonumber(state[3]) or 0, tonumber(state[4]) or 0
	local doubted = now - doubt < DOUBT_LIFE and doubt - now < SLACK
	if doubted and test > now and test - now <= TEST_LIFE + SLACK then return {3, ms(test - now), ''} end

	local buckets, wait, refused = {}, 0, 0
	if kind ~= 'booked' and bot_limit > 0 then buckets[1] = bucket_of(KEYS[1], bot_limit, bot_window, false) end
	if kind ~= 'booked' and limit > 0 then buckets[#buckets + 1] = bucket_of(bucket, limit, window, true) end
	for _, b in ipairs(buckets) do
		if kind == 'new' and b.line - now > longest then -- behind those who were here before
			b.wait = math.max(b.wait, b.line - now)
		end
		wait = math.max(wait, b.wait)
	end
	for _, b in ipairs(buckets) do
		if wait <= longest then
			-- the chat's place is where the message leaves; the bot's is its own, or one chat's wait would be everybody's
			b.tat = (b.chat and math.max(b.tat, now + wait) or b.tat) + b.step
		elseif b.wait > longest then -- everybody another time, or all who wait would come back at once
			b.line = math.max(b.line, now + b.wait)
			refused = math.max(refused, b.line - now)
			b.line = math.min(b.line + b.step, now + LINE_MAX)
		end
		if math.max(b.tat, b.line) > now then
			held[b.key] = b
			changed[b.key] = b
		end
	end
	if refused > 0 then return {0, ms(refused), ''} end
	if wait > 0 then return {1, ms(wait), ''} end
	if not doubted then return {1, 0, ''} end
	state[4] = now + TEST_LIFE
	redis.call('HSET', KEYS[2], 'test', text(state[4]))
	return {2, 0, text(doubt)}
end

local answers = {}
for i = 3, #KEYS, 2 do
	local at = 2 * i - 3
	answers[#answers + 1] = ask(KEYS[i], KEYS[i + 1], ARGV[at] * 1000, ARGV[at + 1], tonumber(ARGV[at + 2]),
		ARGV[at + 3] * 1000)
end
for key, b in pairs(changed) do
	redis.call('SET', key, text(b.tat, b.line), 'PX', ms(math.max(b.tat, b.line) - now) + 1)
end
return answers
