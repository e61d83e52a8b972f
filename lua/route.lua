#!lua flags=allow-oom
-- route.lua: may this call of a route go out? For a platform that counts calls in buckets of so many in a window, one for
-- each route and chat, and tells with every answer how it stands (route_word.lua). Until the first answer nothing is known:
-- one call goes out, the others of its route and chat wait for what it learns.
-- KEYS  1 routes of the bot  2 buckets of the chat
--   routes   hash: route -> "bucket limit window" (us): what its answers named, so that a new chat need not learn;
--            "- 0 till": they name no bucket; believed until then
--   buckets  hash: bucket (the route while that is not known) -> "limit left low reset window out since line"
--     left   calls that may go yet in this window, as we count: those on their way are taken off
--     low    the fewest that an answer left in this window; with none on their way that is the truth
--     reset  when all are there again; 0: no answer of this window has told yet      out  on their way
--     since  when the window was begun here      line  until when it is promised to those who found it empty
-- ARGV  1 route  2 "new" | "back", has waited for this before  3 longest wait of a caller that stays, ms
-- Answer  {what, ms}    0 go   1 empty: come again after ms   2 the first call is out: come again shortly
-- No time too far ahead is believed: Redis's clock may step.

local SLACK, PATIENCE, LINE_MAX = 1e6, 5e6, 60e6 -- us; PATIENCE: for answers that may be lost

local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local route, kind, longest = ARGV[1], ARGV[2], ARGV[3] * 1000

local function ms(us) return math.max(1, math.ceil(us / 1000)) end

local name, limit, window = (redis.call('HGET', KEYS[1], route) or ''):match('^(%S+) (%d+) (%d+)$')
limit, window = tonumber(limit) or 0, tonumber(window) or 0
if name == '-' then
	if window > now and window - now <= LINE_MAX + SLACK then return {0, 0} end
	name, limit, window = nil, 0, 0
end
local field = name or route

local b = {}
for n in (redis.call('HGET', KEYS[2], field) or ''):gmatch('%d+') do b[#b + 1] = tonumber(n) end
if #b ~= 8 then b = nil end
b = b or {limit, 0, 0, now, window, 0, 0, 0}
local over = b[4] > 0 and (now >= b[4] or b[4] - now > b[5] + SLACK)
if over or (b[4] == 0 and (now - b[7] > PATIENCE or b[7] - now > SLACK)) then
	local all = math.max(b[1], 1)
	b = {b[1], all, all, 0, b[5], 0, now, b[8]}
end
if b[8] - now > LINE_MAX + SLACK then b[8] = now end

local answer
if b[2] > 0 and not (kind == 'new' and b[8] - now > longest) then
	b[2], b[6] = b[2] - 1, b[6] + 1
	answer = {0, 0}
elseif b[4] == 0 and b[2] == 0 then
	return {2, ms(math.min(b[7] + PATIENCE - now, PATIENCE))}
elseif kind == 'back' and b[4] > now and b[4] - now < b[5] / 2 then -- was promised this, a moment too early
	answer = {1, ms(b[4] - now)}
else -- one after the other, or all who wait would come back at once
	b[8] = math.max(b[8], b[4], now)
	answer = {1, ms(b[8] - now)}
	b[8] = math.min(b[8] + b[5] / math.max(b[1], 1), now + LINE_MAX)
end
redis.call('HSET', KEYS[2], field, string.format(('%.0f '):rep(8):sub(1, -2), unpack(b)))
local ends = ms(math.max(b[4] > 0 and b[4] or b[7] + PATIENCE, b[8]) - now)
if redis.call('PTTL', KEYS[2]) < ends then redis.call('PEXPIRE', KEYS[2], ends) end
return answer
