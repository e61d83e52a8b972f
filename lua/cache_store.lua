#!lua flags=allow-oom
-- Puts a loaded cache in its place, unless the lease is gone: it ran out, or an invalidation voided it, so that what was
-- read may be old; or not all of it arrived.
-- KEYS: hash, lease, the hash that was filled aside    ARGV: token, how many fields it must have
-- Answers 1 when it is in place.
local mine = redis.call('GET', KEYS[2]) == ARGV[1]
if mine then
	redis.call('DEL', KEYS[2])
end
if not mine or redis.call('HLEN', KEYS[3]) ~= tonumber(ARGV[2]) then
	redis.call('UNLINK', KEYS[3])
	return 0
end
redis.call('RENAME', KEYS[3], KEYS[1])
redis.call('PERSIST', KEYS[1])
return 1
