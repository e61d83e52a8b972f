#!lua flags=allow-oom
-- A worker says until when it may believe its memory: who invalidates with a fence waits for it so long.
-- KEYS: trusts, since
-- ARGV: identity of this server, ms from now, member, members that are over...    member "": none
-- Answers the time, ms.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local since = redis.pcall('GET', KEYS[2])
-- of another type, by somebody else's hand: nobody knows who believed what
local is = redis.call('TYPE', KEYS[1]).ok
if is ~= 'zset' and is ~= 'none' then
	redis.log(redis.LOG_WARNING, KEYS[1] .. ' is a ' .. is .. ', and is begun anew')
	redis.call('UNLINK', KEYS[1])
	since = false
end
if type(since) ~= 'string' or string.match(since, '^%x+') ~= ARGV[1] then
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
