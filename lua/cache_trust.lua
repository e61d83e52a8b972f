#!lua flags=allow-oom
-- A worker says until when it may believe its memory: who invalidates with a fence waits for it so long.
-- KEYS: trusts    ARGV: worker, ms from now; 0 ends it
-- Answers the time, ms.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if ARGV[2] == '0' then
	redis.call('ZREM', KEYS[1], ARGV[1])
else
	redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
end
return now
