#!lua
-- Asks for a value once more and, where there is none, for the right to fill it.
-- KEYS: generation, value, lease    ARGV: generation, token, ms of the lease
-- Answers "stale" (another generation is in force), "there" (ask again), "yours", or "busy" (somebody else fills it).
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
	return 'stale'
end
local v = redis.call('GET', KEYS[2])
if v and string.sub(v, 1, #ARGV[1] + 1) == ARGV[1] .. '|' then
	return 'there'
end
return redis.call('SET', KEYS[3], ARGV[2], 'NX', 'PX', ARGV[3]) and 'yours' or 'busy'
