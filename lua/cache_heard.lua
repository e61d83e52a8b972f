#!lua flags=allow-oom
-- KEYS: trusts, heard (set of the workers that have seen a fence)    ARGV: worker that has seen it, or "" to ask
-- Answers {workers that may believe their memories, those of them that have not seen it}.
if ARGV[1] ~= '' then
	redis.call('SADD', KEYS[2], ARGV[1])
	redis.call('PEXPIRE', KEYS[2], 10000)
	return 1
end
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local live, deaf = redis.call('ZRANGE', KEYS[1], '(' .. now, '+inf', 'BYSCORE'), 0
for _, worker in ipairs(live) do
	deaf = deaf + 1 - redis.call('SISMEMBER', KEYS[2], worker)
end
return {#live, deaf}
