#!lua flags=allow-oom
-- admit.lua: may these updates go on? One call, for all of a worker that came together, for the locks of pressed buttons
-- and the rates of users: they are looked at one after the other, as if each had a call of its own.
-- KEYS  of each update  rate of its user  notice of its user  and if it is a press  lock of the press
-- ARGV  1 updates of a user allowed  2 in so many ms  3 life of a lock, ms; then for each update
--       "count" | "look": it was counted when it first came, or is nobody's  the update's key if it is a press, or ''
-- Answer  for each update  0 it may go on  1 throttled  2 throttled and to be told so, at most once a minute
--         the key of the update that holds the press, another one's

local SLACK = 1e6 -- us

local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local limit, window = tonumber(ARGV[1]), ARGV[2] * 1000
local step = window / limit

-- %d cuts off parts of a microsecond, and is far cheaper than %.0f or than redis.call's own way with numbers
local function text(n) return string.format('%d', n) end

-- GCRA: the theoretical arrival time of the user's next update, in us, kept as long as it lies ahead
local rate_at, rates = {}, {}
local at = 1
for i = 4, #ARGV, 2 do
	rate_at[i] = at
	if ARGV[i] == 'count' then rates[#rates + 1] = KEYS[at] end
	at = at + (ARGV[i + 1] == '' and 2 or 3)
end
local tat, changed = {}, {}
if rates[1] then
	local found = redis.call('MGET', unpack(rates))
	for i, key in ipairs(rates) do tat[key] = found[i] and tonumber(found[i]) end
end

local function admit(rate, notice, press, lock, counts)
	if press ~= '' then
		local owner = redis.pcall('SET', lock, press, 'NX', 'GET', 'PX', ARGV[3]) or press
		if type(owner) == 'table' then -- no lock of ours lies there: nothing else may fail for it, nor wait for ever
			redis.call('SET', lock, press, 'PX', ARGV[3])
		elseif owner ~= press then
			return owner
		end
	end
	if not counts then return 0 end
	local free = tat[rate] or now
	if free < now or free - now > window + SLACK then free = now end -- the latter: Redis's clock has stepped back
	if free + step - now > window then
		if press ~= '' then redis.call('DEL', lock) end
		return redis.call('SET', notice, '1', 'NX', 'EX', 60) and 2 or 1
	end
	tat[rate], changed[rate] = free + step, true
	return 0
end

local answers = {}
for i = 4, #ARGV, 2 do
	local key = rate_at[i]
	answers[#answers + 1] = admit(KEYS[key], KEYS[key + 1], ARGV[i + 1], KEYS[key + 2], ARGV[i] == 'count')
end
for key in pairs(changed) do
	redis.call('SET', key, text(tat[key]), 'PX', text(math.ceil((tat[key] - now) / 1000) + 1))
end
return answers
