#!lua flags=allow-oom
-- admit.lua: may this update go on? One call for the lock of a pressed button and the rate of one user.
-- KEYS  1 lock of the press  2 rate of the user  3 notice of the user
-- ARGV  1 the update's key  2 life of the lock, ms (0: no press)  3 updates allowed (0: any number)  4 in so many ms  5 look only 0|1
-- Answer  {owner, throttled 0|1, notice 0|1}: owner is the key of the update that holds the press, mine or another's;
-- notice 1 at most once a minute. Redeliveries look only: they were counted when they first came.

local SLACK = 1e6 -- us

local owner = ARGV[1]
local press = tonumber(ARGV[2]) > 0
if press then
	owner = redis.call('SET', KEYS[1], ARGV[1], 'NX', 'GET', 'PX', ARGV[2]) or ARGV[1]
end

local limit, window = tonumber(ARGV[3]), tonumber(ARGV[4])
if limit == 0 or ARGV[5] == '1' or owner ~= ARGV[1] then return {owner, 0, 0} end

-- GCRA: the theoretical arrival time of the next update, in us, kept as long as it lies ahead
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local step = window * 1000 / limit
local tat = math.max(tonumber(redis.call('GET', KEYS[2]) or 0), now)
if tat - now > window * 1000 + SLACK then tat = now end -- Redis's clock has stepped back
if tat + step - now > window * 1000 then
	if press then redis.call('DEL', KEYS[1]) end
	local notice = redis.call('SET', KEYS[3], '1', 'NX', 'EX', 60)
	return {owner, 1, notice and 1 or 0}
end
redis.call('SET', KEYS[2], string.format('%.0f', tat + step), 'PX', math.ceil((tat + step - now) / 1000) + 1)
return {owner, 0, 0}
