#!lua
-- Asks for a value once more and, where there is none, for the right to fill it.
-- KEYS: generation, value, lease    ARGV: generation, token, ms of the lease
-- Answers "stale" (another generation is in force), "there" (ask again), "yours", or "busy" (somebody else fills it).
-- What is of another type is none: it is written over.
if redis.pcall('GET', KEYS[1]) ~= ARGV[1] then
	return 'stale'
end
local v = redis.pcall('GET', KEYS[2])
if type(v) == 'string' and string.sub(v, 1, #ARGV[1] + 1) == ARGV[1] .. '|' then
	return 'there'
end
-- one without an end is no lease of ours, and one that ends too late is of a time before the clock was set back: nobody
-- would fill it
local left = redis.call('PTTL', KEYS[3])
if left == -1 or left > tonumber(ARGV[3]) then
	redis.call('UNLINK', KEYS[3])
end
return redis.call('SET', KEYS[3], ARGV[2], 'NX', 'PX', ARGV[3]) and 'yours' or 'busy'
