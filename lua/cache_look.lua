#!lua flags=allow-oom
-- What there is under some keys of a cache.
-- KEYS: generation, values...    ARGV: identity of this server, "sweep" to remove what is void
-- Answers for each what it is (0 nothing, 1 void, 2 known not to be there, 3 a value) and its bytes in Redis.
local g = redis.pcall('GET', KEYS[1])
local head = type(g) == 'string' and string.sub(g, 1, #ARGV[1] + 1) == ARGV[1] .. '-' and g .. '|'

local function holds(k)
	if redis.call('EXISTS', k) == 0 then
		return 0
	end
	-- an error where it is of another type, and so nobody's value
	local v = head and redis.pcall('GETRANGE', k, 0, #head)
	if v and not v.err and string.sub(v, 1, #head) == head then
		return #v > #head and 3 or 2
	end
	return 1
end

local seen = {}
for i = 2, #KEYS do
	local is = holds(KEYS[i])
	local bytes = is > 0 and redis.pcall('MEMORY', 'USAGE', KEYS[i])
	seen[#seen + 1] = is
	seen[#seen + 1] = type(bytes) == 'number' and bytes or 0 -- some providers of Redis do not have that command
	if is == 1 and ARGV[2] == 'sweep' then
		redis.call('UNLINK', KEYS[i])
	end
end
return seen
