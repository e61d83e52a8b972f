#!lua flags=allow-oom
-- Forgets values, and voids the leases of whoever is filling them, who may have read before the change.
-- KEYS: mark of the change, lease of a whole load, then value and lease of each
-- ARGV: ms for which the mark keeps others from doing it again; "": no mark
-- Answers how many values there were; -1: this change was told before.
if ARGV[1] ~= '' and not redis.call('SET', KEYS[1], '', 'NX', 'PX', ARGV[1]) then
	return -1
end
local n = 0
redis.call('UNLINK', KEYS[2])
for i = 3, #KEYS, 2 do
	if redis.call('UNLINK', KEYS[i]) == 1 then
		n = n + 1
	else
		-- tracking tells only of what is there, but a memory may hold what Redis has no more
		redis.call('SET', KEYS[i], '')
		redis.call('UNLINK', KEYS[i])
	end
	redis.call('UNLINK', KEYS[i + 1])
end
return n
