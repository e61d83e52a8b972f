#!lua flags=no-writes,allow-oom
-- Who has not heard a fence and may still believe a memory from before it.
-- KEYS: trusts, deaf
-- Answers how many.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local n = 0
for _, member in ipairs(redis.call('SMEMBERS', KEYS[2])) do
	if tonumber(redis.call('ZSCORE', KEYS[1], member) or 0) > now then
		n = n + 1
	end
end
return n
