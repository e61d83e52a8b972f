#!lua flags=allow-oom
-- admit.lua: may these updates go on? One call, for all of a worker that came together, for the locks of pressed buttons
-- and the rates of users: they are looked at one after the other, as if each had a call of its own.
-- KEYS  1, 2 what ends soon (part/soon.lua); then of each update  rate of its user; then of each that is a press  lock of the press
--       Under the name of a rate and ":notice", which is no other slot's, lies for a minute that its user was told.
-- ARGV  1 updates of a user allowed  2 in so many ms  3 life of a lock, ms; then for each update one word:
--       "c" count it | "l" look only: it was counted when it first came, or is nobody's; then the update's key if it is a press
-- Answer  for each update  0 it may go on  1 throttled  2 throttled and to be told so, at most once a minute
--         the key of the update that holds the press, another one's

-- @include soon.lua
local SLACK = 1e6 -- us
local HEAD = 3 -- words before those of updates
local RATES = 2 -- keys before the rates

local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local limit, window, LOCK_LIFE = tonumber(ARGV[1]), ARGV[2] * 1000, ARGV[3]
local step = window / limit
local call, pcall, ARGV, KEYS = redis.call, redis.pcall, ARGV, KEYS
local UPDATES = #ARGV - HEAD

-- %d cuts off parts of a microsecond, and is far cheaper than %.0f or than redis.call's own way with numbers
local function text(n) return string.format('%d', n) end
local function life(us) return text(math.ceil(us / 1000) + 1) end

local logged = true
local function lasts(us)
	if (us > SOON) == logged then return end
	logged = not logged
	redis.set_repl(logged and redis.REPL_ALL or redis.REPL_NONE)
end

-- GCRA: the theoretical arrival time of the user's next update, in us, kept as long as it lies ahead. Most have sent nothing
-- lately.
local own, of_this, of_last = {}, {}, {} -- rates: under keys of their own, and what ends soon
local soon_read, soon_write = soon_open(now, KEYS[1], KEYS[2])
local tat, changed = {}, {}
local SILENT, SILENT_TEXT = now + step, text(now + step)
local function rates_read()
	for i = 1, UPDATES do
		if ARGV[HEAD + i]:sub(1, 1) == 'c' then
			own = call('MGET', unpack(KEYS, RATES + 1, RATES + UPDATES))
			if step <= SOON then of_this, of_last = soon_read(unpack(KEYS, RATES + 1, RATES + UPDATES)) end
			return
		end
	end
end
local function count(i, rate)
	local free = tat[rate]
	if not free then
		local was = own[i] or of_this[i + 1] or of_last[i + 1]
		if not was then
			tat[rate] = SILENT
			changed[#changed + 1] = i
			return true
		end
		free = tonumber(was) or now
	end
	if not (free >= now and free - now <= window + SLACK) then free = now end -- over, or Redis's clock has stepped back
	if free + step - now > window then return false end
	tat[rate] = free + step
	changed[#changed + 1] = i
	return true
end
local function rates_write()
	local soon = {}
	for n = 1, #changed do
		local i = changed[n]
		local rate = KEYS[RATES + i]
		local free = tat[rate]
		if free then -- else it was changed again, and is written
			tat[rate] = nil
			local value = free == SILENT and SILENT_TEXT or text(free)
			if not own[i] and free - now <= SOON then
				soon[#soon + 1] = rate
				soon[#soon + 1] = value
			else
				lasts(free - now)
				call('SET', rate, value, 'PX', life(free - now))
			end
		end
	end
	soon_write(soon)
end

-- 0, or whose press it is
local function press(lock, key)
	lasts(2 * SOON)
	local owner = pcall('SET', lock, key, 'NX', 'GET', 'PX', LOCK_LIFE) or key
	if type(owner) == 'table' then -- no lock of ours lies there: nothing else may fail for it, nor wait for ever
		call('SET', lock, key, 'PX', LOCK_LIFE)
	elseif owner ~= key then
		return owner
	end
	return 0
end

local function throttled(rate)
	lasts(2 * SOON)
	return call('SET', rate .. ':notice', '1', 'NX', 'EX', 60) and 2 or 1
end

rates_read()
local answers, locks = {}, RATES + UPDATES
for i = 1, UPDATES do
	local word, rate, answer = ARGV[HEAD + i], KEYS[RATES + i], 0
	if word == 'c' then
		if not count(i, rate) then answer = throttled(rate) end
	elseif word ~= 'l' then
		locks = locks + 1
		answer = press(KEYS[locks], word:sub(2))
		if answer == 0 and word:sub(1, 1) == 'c' and not count(i, rate) then
			lasts(2 * SOON)
			call('DEL', KEYS[locks])
			answer = throttled(rate)
		end
	end
	answers[i] = answer
end
rates_write()
return answers
