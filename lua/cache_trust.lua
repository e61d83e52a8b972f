#!lua flags=allow-oom
-- A worker says until when it may believe its memory: who invalidates with a fence waits for it so long.
-- KEYS: trusts, since
-- ARGV: identity of this server, ms from now, member, members that are over...    member "": none
-- Answers the time, ms.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
if string.match(redis.call('GET', KEYS[2]) or '', '^%x+') ~= ARGV[1] then
	redis.call('SET', KEYS[2], ARGV[1] .. ' ' .. now)
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
for i = 4, #ARGV do
	redis.call('ZREM', KEYS[1], ARGV[i])
end
if ARGV[3] ~= '' then
	redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[3])
end
return now
