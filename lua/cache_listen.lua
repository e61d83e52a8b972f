#!lua flags=allow-oom
-- The fleet's certificate that no change of the database was missed: every change that had committed before it is void.
-- KEYS: certificate    ARGV: a new one, ms of this Redis; "" only asks
-- Answers {time, certificate in force or 0}, ms. One of the future proves nothing: the clock was set back;
-- nor does what is no number.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local held = tonumber(redis.pcall('GET', KEYS[1]) or 0) or 0
if held > now then
	held = 0
end
if ARGV[1] ~= '' and tonumber(ARGV[1]) > held and tonumber(ARGV[1]) <= now then
	held = tonumber(ARGV[1])
	redis.call('SET', KEYS[1], ARGV[1], 'PX', 60000)
end
return {now, held}
