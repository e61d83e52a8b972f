#!lua flags=allow-oom
-- flood.lua: the fleet's one budget for outgoing messages (GCRA), and the platform's 429s.
-- KEYS  1 bucket of the bot  2 bucket of the chat  3 block of the bot  4 block of the chat
-- ARGV  1 longest wait that may be booked, ms;  then for each bucket  2,4 messages allowed (0: no limit)  3,5 in so many ms
-- Answer  ms to wait before sending, and 1 when the message is booked (0: come again after the wait).
-- A block stands until the time that a 429 named; nothing is booked meanwhile.

local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local blocked = math.max(redis.call('PTTL', KEYS[3]), redis.call('PTTL', KEYS[4]))
if blocked > 0 then return {blocked, 0} end

local wait, book = 0, {}
for i = 1, 2 do
	local limit, window = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
	if limit > 0 then
		local step = window * 1000 / limit
		local tat = math.max(tonumber(redis.call('GET', KEYS[i]) or 0), now)
		wait = math.max(wait, tat + step - window * 1000 - now)
		book[#book + 1] = {KEYS[i], tat + step}
	end
end
wait = math.ceil(math.max(wait, 0) / 1000)
if wait > tonumber(ARGV[1]) then return {wait, 0} end
for _, b in ipairs(book) do
	redis.call('SET', b[1], string.format('%.0f', b[2]), 'PX', math.ceil((b[2] - now) / 1000) + 1)
end
return {wait, 1}
