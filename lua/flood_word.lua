#!lua flags=allow-oom
-- flood_word.lua: what the platform said of a message, where that concerns the others. It does not say whose limit a 429
-- is: the chat is blocked at once, and whether the whole bot is, one call to another chat finds out (flood.lua lets it
-- through and holds the others back meanwhile).
-- KEYS  1 state of the bot  2 block of the chat
--   state also has  chat, ends (of the last 429, us)  failed, alike (tests of this doubt that met a 429; that shall wait
--   until the same moment as the 429 before)  cleared (us, when a test went well)
-- ARGV  1 "chat": a 429  2 "bot": a refusal that is the whole bot's  3 "well": a test went through  4 "void": a test
--       told nothing  5 "only": a 429 that says itself that it is the chat's alone;   2 chat, 0: none  3 ms that a refusal named  4 doubt that the message was the test of, or ''

local SLACK, DOUBT_LIFE, SAME, CALM, LONG = 1e6, 10e6, 2e6, 0.5e6, 60e6 -- us
local FAILED = 4 -- tests in a row that are proof enough, whatever times they name

local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local word, chat, ends, tested = ARGV[1], ARGV[2], now + ARGV[3] * 1000, ARGV[4]

local function ms(us) return math.max(1, math.ceil(us / 1000)) end
local function text(n) return string.format('%.0f', n) end

local s = redis.call('HMGET', KEYS[1], 'from', 'till', 'doubt', 'chat', 'ends', 'cleared', 'failed', 'alike')
local from, till, doubt, cleared = tonumber(s[1]) or 0, tonumber(s[2]) or 0, tonumber(s[3]) or 0, tonumber(s[6]) or 0
local mine = tested ~= '' and tested == s[3]
local doubted = now - doubt < DOUBT_LIFE and doubt - now < SLACK
local blocked = till > now and from - now <= SLACK

-- until when, then it is in doubt whether that is over
local function block_bot(last)
	redis.call('HSET', KEYS[1], 'from', text(now), 'till', text(last), 'doubt', text(last))
	redis.call('HDEL', KEYS[1], 'test', 'chat', 'ends', 'failed', 'alike')
	redis.call('PEXPIRE', KEYS[1], ms(last - now + DOUBT_LIFE))
end

if word == 'well' or word == 'void' then
	if not mine or blocked then return 0 end
	redis.call('HDEL', KEYS[1], 'test')
	if word == 'well' then
		redis.call('HDEL', KEYS[1], 'doubt', 'failed', 'alike')
		redis.call('HSET', KEYS[1], 'cleared', text(now))
		redis.call('PEXPIRE', KEYS[1], ms(CALM))
	end
	return 1
end

if word == 'bot' then
	if not blocked or ends > till then block_bot(ends) end
	return 1
end

if chat ~= '0' then
	local f, t = (redis.call('GET', KEYS[2]) or ''):match('^(%d+) (%d+)$')
	if not t or ends > tonumber(t) or tonumber(f) - now > SLACK then
		redis.call('SET', KEYS[2], text(now) .. ' ' .. text(ends), 'PX', ms(ends - now))
	end
end
if word == 'only' then
	if mine then redis.call('HDEL', KEYS[1], 'test') end
	return 1
end
if blocked then return 0 end
-- Chats under one limit are told to wait until the same moment. A test may have met a chat with a limit of its own: the
-- longer all would have to wait, the more of them must agree.
local common = s[4] and s[4] ~= chat and math.abs((tonumber(s[5]) or 0) - ends) <= SAME
redis.call('HSET', KEYS[1], 'chat', chat, 'ends', text(ends))
if mine then
	local failed, alike = (tonumber(s[7]) or 0) + 1, common and (tonumber(s[8]) or 0) + 1 or 0
	if failed >= FAILED or alike >= (ends - now > LONG and 2 or 1) then
		block_bot(ends)
		return 1
	end
	redis.call('HSET', KEYS[1], 'failed', failed, 'alike', alike)
	redis.call('HDEL', KEYS[1], 'test')
-- Just cleared, only what two chats have in common is a doubt, so that many chats with limits of their own do not hold
-- up the others all the time.
elseif not doubted and (common or now - cleared >= CALM or cleared > now) then
	redis.call('HSET', KEYS[1], 'doubt', text(now))
	redis.call('HDEL', KEYS[1], 'failed', 'alike')
end
redis.call('PEXPIRE', KEYS[1], ms(DOUBT_LIFE))
return 1
