-- soon.lua: places that end within two seconds, of users' rates (admit.lua) and of chats' buckets (flood.lua). A key and an end
-- for each would cost Redis twice as much. Two hashes hold them, name -> value: each is of a span of time, the one of this,
-- the other of the span before, by turns, with the time of its last write, us, under ''.
-- No write to them is told to the log or to a replica: a server that takes over within those two seconds knows nothing of them.
-- Of a clock that has stepped back, what was written later than a tenth of a second from now is of no span: some more goes through
-- then. Where nobody has written since, it may be taken for what went before when the clock comes there again.

local SOON = 2e6 -- us
local SPAN = 2 * SOON
local STEP = 1e5 -- us that the clock may step back within a span and nothing is forgotten
local LONG = ('-'):rep(65) -- longer than hash-max-listpack-value: makes a table of a hash, which no list of many is searched for

-- Two functions: read(name, ...) gives two lists with the value of the n-th name, if there is one, at n + 1 of either;
-- write({name, value, ...}) leaves no command to be told to the log, so it is the last thing a script does.
local function soon_open(now, even, odd)
	local span, began, asked = math.floor(now / SPAN), false, false
	local this, last = span % 2 == 0 and even or odd, span % 2 == 0 and odd or even

	local function of_span(number, written) -- whatever lies under ''
		local at = tonumber(written)
		return at ~= nil and at <= now + STEP and math.floor(at / SPAN) == number
	end

	local function read(...)
		local of_this, of_last = {}, {}
		if now - span * SPAN < SOON then
			local got = redis.pcall('HMGET', last, '', ...)
			if of_span(span - 1, got[1]) then of_last = got end
		end
		local got = redis.pcall('HMGET', this, '', ...)
		began, asked = of_span(span, got[1]), true
		if began then of_this = got end
		return of_this, of_last
	end

	local function write(list)
		if not list[1] then return end
		began = began or not asked and of_span(span, redis.pcall('HGET', this, ''))
		if not began then
			redis.set_repl(redis.REPL_ALL) -- a replica may have the one of two spans ago from when it was begun
			redis.call('UNLINK', this)
			-- of a clock that has stepped back: when it comes there again it would be taken for what went before
			if not of_span(span - 1, redis.pcall('HGET', last, '')) then redis.call('UNLINK', last) end
		end
		redis.set_repl(redis.REPL_NONE)
		if not began then
			redis.call('HSET', this, '', LONG)
			redis.call('PEXPIRE', this, string.format('%d', 3 * SPAN / 1000)) -- where nobody comes to reuse it: that takes less time
		end
		list[#list + 1], list[#list + 2] = '', string.format('%d', now)
		redis.call('HSET', this, unpack(list))
	end
	return read, write
end
