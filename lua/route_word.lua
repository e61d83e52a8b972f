#!lua flags=allow-oom
-- route_word.lua: what the platform's answer to a call told of the bucket that it counted in. The keys and their fields
-- are route.lua's.
-- KEYS  1 routes of the bot  2 buckets of the chat
-- ARGV  1 route  2 bucket; '': the answer names none  3 limit  4 how many are left of it  5 ms until all are there again

local NONE_LIFE, ROUTE_LIFE = 60e6, 86400000 -- us, ms

local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local route, bucket = ARGV[1], ARGV[2]
local limit, left, reset = tonumber(ARGV[3]), tonumber(ARGV[4]), now + ARGV[5] * 1000

local function know(text)
	redis.call('HSET', KEYS[1], route, text)
	redis.call('PEXPIRE', KEYS[1], ROUTE_LIFE)
end
local function read(field)
	local b = {}
	for n in (redis.call('HGET', KEYS[2], field) or ''):gmatch('%d+') do b[#b + 1] = tonumber(n) end
	return #b == 8 and b or nil
end
local function write(field, b)
	redis.call('HSET', KEYS[2], field, string.format(('%.0f '):rep(8):sub(1, -2), unpack(b)))
	local ends = math.max(1, math.ceil((math.max(b[4], b[8]) - now) / 1000))
	if redis.call('PTTL', KEYS[2]) < ends then redis.call('PEXPIRE', KEYS[2], ends) end
end

local name = (redis.call('HGET', KEYS[1], route) or ''):match('^(%S+) %d+ %d+$')
if bucket == '' then -- of a failure, maybe: what is known stays
	if not name or name == '-' then
		know(string.format('- 0 %.0f', now + NONE_LIFE))
		redis.call('HDEL', KEYS[2], route)
	end
	return 0
end
if name ~= bucket then redis.call('HDEL', KEYS[2], route) end -- nothing was known when it went out

local b = read(bucket)
if not b then
	b = {limit, left, left, reset, reset - now, 0, now, 0}
else
	b[6] = math.max(0, b[6] - 1)
	local anew = b[4] == 0 or reset - b[4] > b[5] / 2
	b[3] = anew and left or math.min(b[3], left)
	b[4] = anew and reset or math.max(b[4], reset)
	b[5] = left == limit - 1 and reset - now or math.max(b[5], reset - now)
	-- those on their way may be counted in `left`, or not
	b[2] = b[6] == 0 and b[3] or math.min(b[2], b[3])
	b[1] = limit
end
know(string.format('%s %d %.0f', bucket, limit, b[5]))
write(bucket, b)
return 1
