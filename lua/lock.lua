#!lua flags=allow-oom
-- lock.lua: a lock that only its owner renews and releases.
-- KEYS  1 the lock
-- ARGV  1 take | renew | release  2 the owner's random value  3 life, ms
-- Answer  1 it is (or was, for release) the owner's, 0 it is not. take also prolongs what is the owner's already: its
-- first answer may have been lost. renew takes nothing, so that an owner learns of a time without the lock.
-- Where Redis's clock has stepped back, a lock whose owner is dead would last for as long: who wants it sees that.

local holder = redis.call('GET', KEYS[1])
if holder == ARGV[2] then
	if ARGV[1] == 'release' then redis.call('DEL', KEYS[1])
	else redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
	return 1
end
if holder and ARGV[1] == 'take' and redis.call('PTTL', KEYS[1]) > tonumber(ARGV[3]) then
	redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
if holder or ARGV[1] ~= 'take' then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
