#!lua flags=allow-oom
-- admit.lua: may these updates go on? One call, for all of a worker that came together, for the locks of pressed buttons
-- and the rates of users: they are looked at one after the other, as if each had a call of its own.
-- KEYS  of each update  rate of its user  notice of its user  and if it is a press  lock of the press
-- ARGV  1 updates of a user allowed  2 in so many ms  3 life of a lock, ms; then for each update one word:
--       "c" count it | "l" look only: it was counted when it first came, or is nobody's; then the update's key if it is a press
-- Answer  for each update  0 it may go on  1 throttled  2 throttled and to be told so, at most once a minute
--         the key of the update that holds the press, another one's

local SLACK = 1e6 -- us
local FIRST = 4 -- the first word

local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local limit, window = tonumber(ARGV[1]), ARGV[2] * 1000
local step = window / limit
local call, ARGV, KEYS = redis.call, ARGV, KEYS

-- %d cuts off parts of a microsecond, and is far cheaper than %.0f or than redis.call's own way with numbers
local function text(n) return string.format('%d', n) end

-- GCRA: the theoretical arrival time of the user's next update, in us, kept as long as it lies ahead
local rates, tat, at = {}, {}, 1
for i = FIRST, #ARGV do
	local word = ARGV[i]
	if word:byte() == 99 then rates[#rates + 1] = KEYS[at] end -- "c"
	at = at + (#word > 1 and 3 or 2)
end
if rates[1] then
	local found = call('MGET', unpack(rates))
	for i = 1, #rates do
		if found[i] then tat[rates[i]] = tonumber(found[i]) end
	end
end

local changed = {}
local function admit(rate, notice, lock, word)
	local press = #word > 1 and word:sub(2)
	if press then
		local owner = redis.pcall('SET', lock, press, 'NX', 'GET', 'PX', ARGV[3]) or press
		if type(owner) == 'table' then -- no lock of ours lies there: nothing else may fail for it, nor wait for ever
			call('SET', lock, press, 'PX', ARGV[3])
		elseif owner ~= press then
			return owner
		end
	end
	if word:byte() ~= 99 then return 0 end
	local free = tat[rate] or now
	if free < now or free - now > window + SLACK then free = now end -- the latter: Redis's clock has stepped back
	free = free + step
	if free - now > window then
		if press then call('DEL', lock) end
		return call('SET', notice, '1', 'NX', 'EX', 60) and 2 or 1
	end
	tat[rate], changed[rate] = free, free
	return 0
end

local answers = {}
at = 1
for i = FIRST, #ARGV do
	local word = ARGV[i]
	answers[i - FIRST + 1] = admit(KEYS[at], KEYS[at + 1], KEYS[at + 2], word)
	at = at + (#word > 1 and 3 or 2)
end
local last, value, life -- most are alike: of users who had sent nothing lately
for key, free in pairs(changed) do
	if free ~= last then last, value, life = free, text(free), text(math.ceil((free - now) / 1000) + 1) end
	call('SET', key, value, 'PX', life)
end
return answers
