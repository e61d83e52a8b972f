#!lua
-- Stores what was read from Postgres under a lease, unless the lease is gone: it ran out, or an invalidation voided it,
-- so that what was read may be old. A load of several values comes in several calls, the last of which ends the lease.
-- KEYS: generation, lease, values...    ARGV: generation, token, "last" or "more", then text and ms to live of each ("0": until it is changed)
-- Answers 1 when they are stored.
if redis.call('GET', KEYS[2]) ~= ARGV[2] then
	return 0
end
if ARGV[3] == 'last' then
	redis.call('UNLINK', KEYS[2])
end
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
	redis.call('UNLINK', KEYS[2])
	return 0
end
for i = 3, #KEYS do
	local text = ARGV[1] .. '|' .. ARGV[2 * i - 2]
	-- every write of a value makes all workers forget it
	if redis.pcall('GET', KEYS[i]) ~= text then
		if ARGV[2 * i - 1] == '0' then
			redis.call('SET', KEYS[i], text)
		else
			redis.call('SET', KEYS[i], text, 'PX', ARGV[2 * i - 1])
		end
	end
end
return 1
