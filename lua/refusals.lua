#!lua flags=allow-oom
-- refusals.lua: how often a platform refused calls of the fleet in the last ten minutes. One that shuts out an address
-- for too many of them is left alone before that: for as long as it counts.
-- KEYS  1 hash: number of a slot of 10 s -> refusals in it;  till (us): nothing is sent until then
-- ARGV  1 refusals that are new  2 how many are too many
-- Answer  {refusals in the last ten minutes, ms for which nothing may be sent}
-- No time too far ahead is believed: Redis's clock may step.

local SLOT, SLOTS, SLACK = 10e6, 60, 1e6
local WINDOW = SLOT * SLOTS

local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local this = math.floor(now / SLOT)
local new, most = tonumber(ARGV[1]), tonumber(ARGV[2])

if new > 0 then
	local slot = string.format('%.0f', this)
	redis.call('HSET', KEYS[1], slot, (tonumber(redis.call('HGET', KEYS[1], slot)) or 0) + new)
	redis.call('PEXPIRE', KEYS[1], (WINDOW + SLOT) / 1000)
end
local sum, till, all = 0, 0, redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
	local slot, n = tonumber(all[i]), tonumber(all[i + 1]) or 0
	if all[i] == 'till' then
		till = n
	elseif slot and slot > this - SLOTS and slot <= this then
		sum = sum + n
	else -- over, or of a clock that has stepped
		redis.call('HDEL', KEYS[1], all[i])
	end
end
if till - now > WINDOW + SLACK then till = 0 end
if till <= now and sum >= most then
	till = now + WINDOW
	redis.call('HSET', KEYS[1], 'till', string.format('%.0f', till))
	redis.call('PEXPIRE', KEYS[1], (WINDOW + SLOT) / 1000)
end
return {sum, math.max(0, math.ceil((till - now) / 1000))}
