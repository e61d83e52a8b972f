#!lua flags=no-writes,allow-oom
-- Who has not heard a fence.
-- KEYS: trusts, deaf
-- Answers {how many of them may still believe a memory from before it, how many there are}.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local n, deaf = 0, redis.call('SMEMBERS', KEYS[2])
for _, member in ipairs(deaf) do
	if tonumber(redis.call('ZSCORE', KEYS[1], member) or 0) > now then
		n = n + 1
	end
end
return {n, #deaf}
