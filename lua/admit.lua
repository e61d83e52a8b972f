#!lua flags=allow-oom
-- admit.lua: may these updates go on? One call, for all of a worker that came together, for the locks of pressed buttons
-- and the rates of users: they are looked at one after the other, as if each had a call of its own.
-- KEYS  1, 2 what ends soon; then of each update  rate of its user; then of each that is a press  lock of the press
--       what ends soon: two hashes, key -> value, for this script and flood.lua. In turns, the one is of this span of time and the
--       other of the span before, each with its number under ''. A key, and an end, for each of those costs Redis twice as much
--       and beside each rate, one minute: its user was told, under its name and ":notice"
-- ARGV  1 updates of a user allowed  2 in so many ms  3 life of a lock, ms; then for each update one word:
--       "c" count it | "l" look only: it was counted when it first came, or is nobody's; then the update's key if it is a press
-- Answer  for each update  0 it may go on  1 throttled  2 throttled and to be told so, at most once a minute
--         the key of the update that holds the press, another one's

local SLACK = 1e6 -- us
local SOON = 2e6 -- us: a rate that ends so soon is in no log and on no replica; to a server that begins meanwhile the user was
                 -- silent
local SPAN = 2 * SOON
local LONG = ('-'):rep(65) -- longer than hash-max-listpack-value: makes a table of a hash, which no list of many is searched for
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

-- what ends soon: the values of names, one behind, or nothing
local span, began = math.floor(now / SPAN), false
local THIS, LAST = KEYS[1 + span % 2], KEYS[2 - span % 2]
local of_this, of_last = {}, {}
local function soon_read(...)
	if now - span * SPAN < SOON then
		local got = pcall('HMGET', LAST, '', ...)
		if got[1] == text(span - 1) then of_last = got end
	end
	local got = pcall('HMGET', THIS, '', ...)
	began = got[1] == text(span)
	if began then of_this = got end
end
local function soon_write(list)
	if not list[1] then return end
	lasts(0)
	if not began then
		call('UNLINK', THIS)
		call('HSET', THIS, '', LONG)
		call('HSET', THIS, '', text(span))
		call('PEXPIRE', THIS, text(3 * SPAN / 1000))
	end
	call('HSET', THIS, unpack(list))
end

-- GCRA: the theoretical arrival time of the user's next update, in us, kept as long as it lies ahead. Most have sent nothing
-- lately.
local own, brief = {}, step <= SOON -- rates under a key of their own
local tat, changed = {}, {}
local SILENT, SILENT_TEXT = now + step, text(now + step)
local function rates_read()
	for i = 1, UPDATES do
		if ARGV[HEAD + i] ~= 'l' then
			own = call('MGET', unpack(KEYS, RATES + 1, RATES + UPDATES))
			if brief then soon_read(unpack(KEYS, RATES + 1, RATES + UPDATES)) end
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
		local value = free == SILENT and SILENT_TEXT or text(free)
		if brief and not own[i] and free - now <= SOON then
			soon[#soon + 1] = rate
			soon[#soon + 1] = value
		else
			lasts(free - now)
			call('SET', rate, value, 'PX', life(free - now))
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
