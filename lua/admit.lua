#!lua flags=allow-oom
-- admit.lua: may these updates go on? One call, for all of a worker that came together, for the locks of pressed buttons
-- and the rates of users: they are looked at one after the other, as if each had a call of its own.
-- KEYS  of each update  rate of its user  notice of its user  and if it is a press  lock of the press
-- ARGV  1 updates of a user allowed  2 in so many ms  3 life of a lock, ms; then for each update one word:
--       "c" count it | "l" look only: it was counted when it first came, or is nobody's; then the update's key if it is a press
-- Answer  for each update  0 it may go on  1 throttled  2 throttled and to be told so, at most once a minute
--         the key of the update that holds the press, another one's

local SLACK = 1e6 -- us
local SOON = 2e6 -- us: a rate that ends so soon is in no log and on no replica; to a server that begins meanwhile the user was
                 -- silent
local FIRST = 4 -- the first word

local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local limit, window, LOCK_LIFE = tonumber(ARGV[1]), ARGV[2] * 1000, ARGV[3]
local step = window / limit
local call, pcall, ARGV, KEYS = redis.call, redis.pcall, ARGV, KEYS

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
-- lately: that is written where nothing lay, and what lay there is seen by it and stays as it is, in the log, too, unless more
-- is counted. An answer of nothing is also cheaper than OK, of which a table is made.
local tat, changed = {}, {}
local SILENT, SILENT_TEXT, SILENT_LIFE = now + step, text(now + step), life(step)
local function count(rate)
	local free = tat[rate]
	if not free then
		lasts(step)
		local was = pcall('SET', rate, SILENT_TEXT, 'NX', 'GET', 'PX', SILENT_LIFE)
		if not was then
			tat[rate] = SILENT
			return true
		end
		free = tonumber(was) or now -- of another type
		tat[rate] = free
	end
	if free < now or free - now > window + SLACK then free = now end -- the latter: Redis's clock has stepped back
	if free + step - now > window then return false end
	tat[rate], changed[rate] = free + step, true
	return true
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

local function throttled(notice)
	lasts(2 * SOON)
	return call('SET', notice, '1', 'NX', 'EX', 60) and 2 or 1
end

local answers, at = {}, 1
for i = 1, #ARGV - FIRST + 1 do
	local word, rate, answer = ARGV[i + FIRST - 1], KEYS[at], 0
	if word == 'c' then
		if not count(rate) then answer = throttled(KEYS[at + 1]) end
	elseif word ~= 'l' then
		at = at + 1
		answer = press(KEYS[at + 1], word:sub(2))
		if answer == 0 and word:sub(1, 1) == 'c' and not count(rate) then
			lasts(2 * SOON)
			call('DEL', KEYS[at + 1])
			answer = throttled(KEYS[at])
		end
	end
	answers[i] = answer
	at = at + 2
end
for rate in pairs(changed) do
	local left = tat[rate] - now
	lasts(left)
	call('SET', rate, text(tat[rate]), 'PX', life(left))
end
return answers
