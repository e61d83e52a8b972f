#!lua flags=allow-oom
-- turn.lua: the whole queue. One call settles what a worker has finished and hands it what it may take next.
-- It is atomic, so order per lane, fencing, takeover and retries need nothing else. It never raises on data.
--
-- KEYS  1 updates  2 lanes  3 waiting  4 due  5 tries  6 workers  7 dead  8 seen  9 seen_old  10 conf  11 wake
--   lanes    hash  lane -> "NAME id" in hand | "@ id" in due | "@ id new" in due, never handed out.  Free: no field.
--   waiting  zset  score 0, lane \1 pad20(ms)-pad20(seq): read while its lane was taken
--   due      zset  by ms: "id lane". Its lane stays held. +inf: parked, its bot is paused.
--   tries    hash  id -> "retries takeovers sent", only where not all are zero
--   workers  zset  NAME -> deadline, ms, a 32nd of the ttl too early at most
--   dead     stream  id, lane, error, retries, takeovers, sent, maybe_applied, died_at, worker, entry "follows", then its fields
--   wake     stream  a ring, to the group `bell`: something is due now that the turn which made it so did not take
--   conf     hash  v, shard, rotated, turned (ms of the last turn, or of one that much before), paused ("*" or bots with commas),
--                  parked (what was paused when entries were parked; "!" while they come back), reread (see reread.lua),
--                  deaths (see storm), claim (who empties his hands for suspects, until when), run (which Redis this is),
--                  lost (see give)
-- An entry with the field again = "1" is a dead letter's second life: handed out as if it had been before.
-- Invariant: XLEN updates = unread + HLEN lanes + ZCARD waiting. What is settled is deleted, so all that is there up to the group's
-- last id is pending; the group's own list of that (NOACK: it has none) would say so twice, at a fifth of a turn's work.
--
-- ARGV  1 format  2 shard "i/n"  3 NAME  4 mode: work | hello | leave  5 want  6 nothing in hand 0|1  7 deadline ttl, ms
--       8 attempts allowed  9 life of idempotency keys, ms  10 bots that NAME cannot serve now, with commas
--   work, leave: 11 how many are done, their ids, their lanes; then the other reports: kind id lane number text
--       later ms | retry ms err | retry? ms err (may be applied) | dead maybe_applied err | sent count
--   hello: 11 has this fleet done updates before 0|1, 12 may this shard be marked if it is not 0|1, 13 number of old names,
--       the names, then the ids kept
--
-- Answer  {"ok", entries, fenced ids, ms to the next due or -1, short 0|1, bots of duplicates, {id, bot, error, key,
--         traceparent, ...} of dead letters, what waits for a worker that holds nothing: 0 nothing, 1 entries that a worker died of, 2 suspects,
--         {bot, key, body, ...} of those that are dead because workers died of them}
--   entry = {id, bot, lane, key, at, body} or {id, bot, lane, key, at, body, traceparent} where these fields came in this
--         order, as gateways append them, else {id, {field, value, ...}}; then, of one that was handed out before, retries, takeovers, sent;
--         of one that perhaps was (see give) -1, 0, 0
--         {"kept", ids}   to hello        {"gone"}   NAME is not registered, and has nothing in hand        {"version", v, shard}
--         {"bare"}   to hello: it has no mark, and may not be marked

local UPDATES, LANES, WAITING, DUE, TRIES = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local WORKERS, DEAD, SEEN, SEEN_OLD, CONF, WAKE = KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11]
local FORMAT, SHARD, NAME, MODE = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local want, empty_handed, TTL = tonumber(ARGV[5]), ARGV[6] == '1', tonumber(ARGV[7])
local ATTEMPTS, KEY_LIFE, EXCEPT = tonumber(ARGV[8]), tonumber(ARGV[9]), ',' .. ARGV[10] .. ','
local REST = 11 -- reports, or what hello has to say, begin here
local CHUNK, BYTES, SUSPECT, FATAL = 32, 1048576, 2, 3
local LOOK, LOOK_MAX = 1000, 60000 -- ms until an entry that this worker could not serve is looked at again
local UNPARK = 2000 -- parked entries that one turn brings back
local RINGS = 8 -- at most, for one turn
local STORM, CALM, FATAL_IN_STORM = 8, 30000, 8
local FEW, PATIENCE = 8, 300 -- ms that an entry waits for empty hands before it goes in company
local READ_MAX = 512 -- entries looked at in one turn, given or not: Redis serves others too
local RESENT = 60000 -- ms within which platforms send again what nobody has confirmed
local COUNTED = 1000000 -- tries are not counted further
local FIELDS = 3000 -- names and values of an entry that are copied whole to the dead letters
local MANY, LONG = 8, ('-'):rep(65) -- lanes that are searched one by one for no more; longer than hash-max-listpack-value

local SPREAD = math.floor(TTL / 6) -- ms over which the entries of a dead worker come back
local BEAT = math.floor(TTL / 32) -- ms: a deadline and the time of the last turn are not written more often

-- Nobody can undo half a turn, so what would break it in its midst breaks it here. Of the others the first step reads.
local wrong
local function size(command, key, kind)
	local n = redis.pcall(command, key)
	if type(n) == 'table' and not wrong then
		local is = n.err:find('WRONGTYPE', 1, true) and redis.pcall('TYPE', key).ok
		wrong = redis.error_reply(is and 'WRONGTYPE ' .. key .. ' is a ' .. is .. ', not a ' .. kind or n.err .. ': ' .. command .. ' ' .. key)
	end
	return n
end
size('XLEN', UPDATES, 'stream')
size('HLEN', LANES, 'hash')
size('ZCARD', DUE, 'zset')
size('XLEN', DEAD, 'stream')
size('HLEN', SEEN_OLD, 'hash')
size('XLEN', WAKE, 'stream')
local keys_seen = size('HLEN', SEEN, 'hash')
if wrong then return wrong end

-- And what this user of Redis may not do of all that comes after the first changes. One by one: a list of lists costs as much again.
local refused
local function needs(...) refused = refused or not redis.acl_check_cmd(...) and (...) end
needs('XREADGROUP', 'GROUP', 'workers', 'w', 'STREAMS', UPDATES, '>')
needs('XGROUP', 'CREATE', UPDATES, 'workers', '0')
needs('XRANGE', UPDATES, '-', '+')
needs('XDEL', UPDATES, '0-0')
needs('XADD', DEAD, '*', 'id', '')
needs('HSET', LANES, '', '')
needs('HGET', LANES, '')
needs('HGETALL', LANES)
needs('HDEL', LANES, '')
needs('ZADD', DUE, '0', '')
needs('ZREM', DUE, '')
needs('ZSCORE', WORKERS, '')
needs('ZRANGEBYLEX', WAITING, '-', '+')
needs('ZRANGEBYSCORE', DUE, '-inf', '+inf')
needs('UNLINK', SEEN_OLD)
needs('RENAME', SEEN, SEEN_OLD)
if refused then return redis.error_reply('NOPERM this user of Redis may not ' .. refused) end

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
math.randomseed(clock[2])
local NOW, MINE = string.format('%d', now), NAME .. ' ' -- Redis prints a number with all digits, which is dear

-- The rest is one function, not indented, for what closures cost: one that is made in a function finds that function's own locals
-- by a walk through the list of all that are open, which is long; what the function has as upvalues, 60 at most, is copied.
local function turn()
local function pad(id)
	local ms, seq = id:match('^(%d+)%-(%d+)$')
	return ('0'):rep(20 - #ms) .. ms .. '-' .. ('0'):rep(20 - #seq) .. seq
end
local function unpad(s) -- '' where another hand wrote it
	local ms, seq = s:match('^0*(%d+)%-0*(%d+)$')
	return ms and ms .. '-' .. seq or ''
end

-- commands that can be collected: one call for many, at most 2,000 values each
local function batched(command, key, list)
	for i = 1, #list, 2000 do
		redis.call(command, key, unpack(list, i, math.min(i + 1999, #list)))
	end
end

-- A lane's words: its owner, and the id that it holds; nothing where another hand wrote something else.
local function words_of(place)
	local owner, id, rest = place:match('^(%S+) (%d+%-%d+)(.*)$')
	if rest == '' or rest == ' new' and owner == '@' then return owner, id end
end
local function due_of(member) -- id, lane; texts that none of ours has where another hand wrote it
	local id, lane = member:match('^(%d+%-%d+) (.*)$')
	return id or '', lane or ''
end
local function number(text) -- 0 where it is none, or too much of one
	local n = tonumber(text or 0) or 0
	return math.abs(n) < math.huge and n or 0
end

-- lanes as this turn sees them; what changed, some of it twice, is written at its end
local lane_now, lanes_changed = {}, {}
local function lane_load(names)
	local ask = {}
	for i = 1, #names do
		if lane_now[names[i]] == nil then ask[#ask + 1] = names[i] end
	end
	if #ask == 0 then return end
	local got = redis.call('HMGET', LANES, unpack(ask))
	for i = 1, #ask do lane_now[ask[i]] = got[i] or false end
end
local function lane_set(lane, value)
	lane_now[lane] = value
	lanes_changed[#lanes_changed + 1] = lane
end

local finished, settled, due_added, tries_dropped = {}, {}, {}, {}
local entries, buried, killers, duplicates, bytes = {}, {}, {}, {}, 0
local has_waiting = redis.call('ZCARD', WAITING)
local furthest = redis.call('ZRANGE', WORKERS, '-1', '-1', 'WITHSCORES')
local has_tries = redis.call('HLEN', TRIES) > 0

local function tries_of(id)
	local t = has_tries and redis.call('HGET', TRIES, id)
	if not t then return 0, 0, 0 end
	local r, k, s = t:match('^(%d+) (%d+) (%d+)$')
	return math.min(number(r), COUNTED), math.min(number(k), COUNTED), math.min(number(s), COUNTED)
end
local function tries_set(id, retries, takeovers, sent)
	redis.call('HSET', TRIES, id, retries .. ' ' .. takeovers .. ' ' .. sent)
	has_tries = true
end

local ripe_added, put_back = 0, {} -- due now, for whoever comes first; put back by this turn
local function due_add(ms, id, lane)
	put_back[id] = true
	due_added[#due_added + 1] = ms
	due_added[#due_added + 1] = id .. ' ' .. lane
	if ms == now then ripe_added = ripe_added + 1 end
end

local never = {} -- what another hand wrote in the place of an entry's id, and Redis takes for none
local function entry_of(id)
	local got = redis.pcall('XRANGE', UPDATES, id, id)
	if got.err then never[id] = true end
	return got[1]
end
local function field(fields, name)
	for i = 1, #fields, 2 do
		if fields[i] == name then return fields[i + 1] end
	end
end
-- what the script looks at; the last two: bytes of the values, and whether they are as gateways append them, which needs no
-- walk and goes out without the names
local function known(fields)
	local f = fields
	if f[9] == 'body' and f[1] == 'bot' and f[3] == 'lane' and f[5] == 'key' and f[7] == 'at' and
		(not f[11] or f[11] == 'traceparent' and not f[13]) then
		local bot, lane, key, body = f[2], f[4], f[6], f[10]
		return bot, lane, key, body, false, #bot + #lane + #key + #f[8] + #body + #(f[12] or ''), true
	end
	local bot, lane, key, body, again, size = nil, nil, nil, nil, nil, 0
	for i = 2, #fields, 2 do
		local name, value = fields[i - 1], fields[i]
		size = size + #value
		if name == 'bot' then
			bot = bot or value
		elseif name == 'lane' then
			lane = lane or value
		elseif name == 'key' then
			key = key or value
		elseif name == 'body' then
			body = body or value
		elseif name == 'again' then
			again = again or value
		end
	end
	return bot, lane, key, body, again == '1', size
end

-- what an entry goes by that has no key: its id, which is unique in its own shard only
local function key_of(id, fields)
	local key, shard = field(fields, 'key'), SHARD:match('^%d+')
	return key and key ~= '' and key or shard == '0' and id or shard .. '/' .. id
end

local pause, parked, lost -- conf has them
local function paused(bot)
	if pause == '' then return false end
	return pause == '*' or (',' .. pause .. ','):find(',' .. (bot or '') .. ',', 1, true) ~= nil
end
local function excepted(bot)
	return EXCEPT ~= ',,' and EXCEPT:find(',' .. (bot or '') .. ',', 1, true) ~= nil
end

-- an entry of a paused bot: out of everybody's way until something else is paused
local function park(id, lane)
	if parked == '!' then return due_add(now + LOOK, id, lane) end
	if not parked then
		parked = pause
		redis.call('HSET', CONF, 'parked', parked)
	end
	due_add('+inf', id, lane)
end
-- read and first of its lane, but not for us
local function leave_to_others(id, lane, bot)
	lane_set(lane, '@ ' .. id .. ' new')
	if paused(bot) then park(id, lane) else due_add(now, id, lane) end
end
local function unpark()
	local back, due = redis.call('ZRANGEBYSCORE', DUE, '+inf', '+inf', 'LIMIT', 0, UNPARK), {}
	for _, m in ipairs(back) do
		due[#due + 1] = now
		due[#due + 1] = m
	end
	batched('ZADD', DUE, due)
	ripe_added = ripe_added + #back
	parked = #back == UNPARK and '!' or nil
	if parked then redis.call('HSET', CONF, 'parked', parked) else redis.call('HDEL', CONF, 'parked') end
end

local function may_be_lost(id) return lost and tonumber(id:match('^%d+')) <= lost end

-- Where another Redis serves than before (a replica took over, or it came back from its disk, or empty), it may lack the last
-- moments: what was handed out in them, and perhaps done, comes as if it never had been. All that is as old as that, or
-- may be its copy, was perhaps handed out before.
local function give(entry, lane, again, size, nameless)
	local id, n = entry[1], 2
	local perhaps = not again and may_be_lost(id)
	if nameless then
		local f = entry[2]
		entry, n = f, f[12] and 7 or 6
		f[1], f[3], f[4], f[5], f[6], f[7], f[8] = id, f[4], f[6], f[8], f[10], f[12], nil
	end
	if again or perhaps then
		entry[n + 1], entry[n + 2], entry[n + 3] = tries_of(id)
		entry[n + 4] = nil -- an answer ends there
		if perhaps then entry[n + 1] = -1 end
	end
	lane_set(lane, MINE .. id)
	entries[#entries + 1] = entry
	bytes = bytes + size
	want = want - 1
end

local function settle(id)
	if not never[id] then finished[#finished + 1] = id end
	settled[id] = true
	if has_tries then tries_dropped[#tries_dropped + 1] = id end
end

-- the lane's entry is settled: its oldest waiting entry that still exists comes next, else the lane is free
local function next_in(lane)
	while has_waiting do
		local low = redis.call('ZRANGEBYLEX', WAITING, '[' .. lane .. '\1', '(' .. lane .. '\2', 'LIMIT', 0, 1)
		if not low[1] then break end
		redis.call('ZREM', WAITING, low[1])
		local id = unpad(low[1]:sub(#lane + 2))
		local entry = not settled[id] and entry_of(id) -- settled while it was listed here: it was read anew in a lane that was lost
		local bot, of, _, _, again, size, nameless = known(entry and entry[2] or {})
		if not entry then
			settle(id)
		elseif of == lane then -- or another hand listed another lane's here
			if want > 0 and bytes < BYTES and not paused(bot) and not excepted(bot) then
				give(entry, lane, again, size, nameless)
			else
				leave_to_others(id, lane, bot)
			end
			return
		end
	end
	lane_set(lane, false)
end

local function bury(id, lane, fields, reason, maybe_applied, worker)
	local retries, takeovers, sent = tries_of(id)
	local copy = {'id', id, 'lane', lane or '', 'error', reason, 'retries', retries, 'takeovers', takeovers, 'sent', sent,
		'maybe_applied', maybe_applied, 'died_at', now, 'worker', worker or '', 'entry', 'follows'}
	if #fields > FIELDS then -- more than one command takes: what a retry needs
		for _, name in ipairs({'bot', 'lane', 'key', 'at', 'body', 'again', 'born', 'traceparent'}) do
			copy[#copy + 1] = field(fields, name) and name
			copy[#copy + 1] = field(fields, name)
		end
	else
		for i = 1, #fields do copy[#copy + 1] = fields[i] end
	end
	redis.call('XADD', DEAD, '*', unpack(copy))
	buried[#buried + 1] = id
	buried[#buried + 1] = field(fields, 'bot') or ''
	buried[#buried + 1] = reason
	buried[#buried + 1] = key_of(id, fields):sub(1, 255)
	buried[#buried + 1] = (field(fields, 'traceparent') or ''):sub(1, 64)
	settle(id)
end

-- Deaths that no suspect explains, less one for every CALM ms. More than a few such deaths and it is the surroundings
-- that kill workers (nodes going down, an operator's kill -9), not an entry: suspects then get more chances.
local function storm(unexplained)
	local count, at = (redis.call('HGET', CONF, 'deaths') or '0 0'):match('^(%S+) (%S+)$')
	count = math.max(0, number(count) - math.max(0, now - number(at)) / CALM) + unexplained
	redis.call('HSET', CONF, 'deaths', string.format('%.3f %.0f', count, now))
	return count >= STORM
end

-- Of all busy lanes, those in the hands of `owners`: {lane, id, owner, as it stands in lanes}
local function lanes_of(owners)
	local all, found = redis.call('HGETALL', LANES), {}
	for i = 1, #all, 2 do
		local lane, owner, id = all[i], words_of(all[i + 1])
		if lane_now[lane] == nil then lane_now[lane] = all[i + 1] end
		if owner and owner ~= '@' and owners[owner] and lane_now[lane] == all[i + 1] then found[#found + 1] = {lane, id, owner} end
	end
	return found
end

-- what is in the hands of `owners` goes back, unharmed
local function give_back(owners)
	for _, l in ipairs(lanes_of(owners)) do
		lane_set(l[1], '@ ' .. l[2])
		due_add(now, l[2], l[1])
	end
end

-- what the dead had in hand is taken over
local function take_over(dead)
	local owners, explained = {}, {}
	for _, name in ipairs(dead) do owners[name] = true end
	local lanes, unexplained, limit = lanes_of(owners), 0, FATAL
	for _, l in ipairs(lanes) do
		local _, takeovers = tries_of(l[2])
		explained[l[3]] = explained[l[3]] or takeovers >= SUSPECT
	end
	for _, by_suspect in pairs(explained) do -- who held nothing tells nothing
		if not by_suspect then unexplained = unexplained + 1 end
	end
	if storm(unexplained) then limit = FATAL_IN_STORM end
	for _, l in ipairs(lanes) do
		local lane, id = l[1], l[2]
		local retries, takeovers, sent = tries_of(id)
		takeovers = takeovers + 1
		tries_set(id, retries, takeovers, sent)
		if takeovers >= limit then
			local fields = (entry_of(id) or {id, {}})[2]
			bury(id, lane, fields, 'killed its worker ' .. takeovers .. ' times', 1, l[3])
			for _, v in ipairs({field(fields, 'bot') or '', key_of(id, fields), field(fields, 'body') or ''}) do
				killers[#killers + 1] = v
			end
			next_in(lane)
		else
			lane_set(lane, '@ ' .. id)
			-- spread over a while: workers that die in a rhythm shall not meet the same entries again
			due_add(now + math.random(0, SPREAD), id, lane)
		end
	end
end

-- What a worker has died of comes back with care, to empty hands and before anything else: an entry that two have died
-- of alone, of those that one has died of a few together. What was in hand beside them would become suspect with them.
local function take_careful()
	if not has_tries then return end
	local ripe, ids = redis.call('ZRANGEBYSCORE', DUE, '-inf', NOW, 'LIMIT', 0, READ_MAX), {}
	if not ripe[1] then return end
	for i, m in ipairs(ripe) do ids[i] = due_of(m) end
	local tries, few = redis.call('HMGET', TRIES, unpack(ids)), {}
	for i, m in ipairs(ripe) do
		local takeovers = tonumber(tries[i] and tries[i]:match('^%d+ (%d+)') or 0)
		if takeovers >= SUSPECT or (takeovers > 0 and #few < math.min(FEW, want)) then
			local _, lane = due_of(m)
			lane_load({lane})
			local entry = lane_now[lane] == '@ ' .. ids[i] and entry_of(ids[i])
			local bot = entry and field(entry[2], 'bot')
			if entry and field(entry[2], 'lane') == lane and not paused(bot) and not excepted(bot) then
				if takeovers >= SUSPECT then few = {} end
				few[#few + 1] = {m, entry, lane}
				if takeovers >= SUSPECT then break end
			end
		end
	end
	for _, f in ipairs(few) do
		if bytes >= BYTES then break end
		redis.call('ZREM', DUE, f[1])
		give(f[2], f[3], true, select(6, known(f[2][2])))
	end
	if few[1] then want = 0 end
end

local function write_back()
	local set, del = {}, {}
	batched('ZADD', DUE, due_added) -- first: were it refused after LANES is written, a lane would be held for nobody
	for i = 1, #lanes_changed do
		local lane = lanes_changed[i]
		local v = lane_now[lane]
		if v then
			set[#set + 1] = lane
			set[#set + 1] = v
		else
			del[#del + 1] = lane
		end
	end
	batched('XDEL', UPDATES, finished) -- before a lane is free of what would come again
	-- A hash of short values is a list, searched from its beginning, up to 512 of them; a long one, gone at once, makes
	-- it a table for as long as it lives. Where lanes come one by one, every eighth turn or so sees to that.
	if #set >= 2 * MANY or (set[1] and now % MANY == 0) then redis.call('HSET', LANES, set[1], LONG) end
	batched('HSET', LANES, set)
	batched('HDEL', LANES, del)
	batched('HDEL', TRIES, tries_dropped)
	for _ = 1, math.min(math.ceil(ripe_added / CHUNK), RINGS) do redis.pcall('XADD', WAKE, 'MAXLEN', RINGS, '*', 'ring', 1) end
end

-- the doorbell on `key` rings for what comes after this moment
local function bell_set(key)
	local set = redis.pcall('XGROUP', 'SETID', key, 'bell', '$')
	if type(set) == 'table' and set.err then redis.pcall('XGROUP', 'CREATE', key, 'bell', '$', 'MKSTREAM') end
end

-- 1. format
local conf = redis.call('HMGET', CONF, 'v', 'shard', 'rotated', 'turned', 'paused', 'parked', 'claim', 'lost')
if not conf[1] or conf[1] == FORMAT and not conf[2] then
	if MODE == 'hello' and ARGV[REST + 1] == '0' then return {'bare'} end
	if MODE ~= 'hello' and not redis.call('ZSCORE', WORKERS, NAME) then return {'gone'} end -- his hello will ask whether he may
	redis.call('HSET', CONF, 'v', FORMAT, 'shard', SHARD)
elseif conf[1] ~= FORMAT or conf[2] ~= SHARD then
	return {'version', conf[1], conf[2] or ''}
end
pause, parked, lost = conf[5] or '', conf[6] or nil, conf[8] and number(conf[8])
if has_waiting > 0 and redis.call('ZCOUNT', WAITING, '0', '0') ~= has_waiting then -- no lane's would be found, nor in order
	redis.call('ZUNIONSTORE', WAITING, 1, WAITING, 'WEIGHTS', 0)
end
has_waiting = has_waiting > 0
local who, till = (conf[7] or ''):match('^(%S+) (%d+)$') -- the claim
if parked and parked ~= pause then unpark() end

-- 2. grace: Redis itself stood still, or its clock stepped; nobody is to blame
local turned = number(conf[4])
if now - turned > TTL / 2 or now < turned or (furthest[2] and tonumber(furthest[2]) > now + 2 * TTL) then
	-- where a new worker is the first to speak, the others are more likely dead than cut off: less time for them
	local grace = MODE == 'hello' and ARGV[REST + 2] == '0' and TTL / 2 or TTL
	for _, w in ipairs(redis.call('ZRANGE', WORKERS, 0, -1)) do redis.call('ZADD', WORKERS, now + grace, w) end
end
if turned - now > 1000 then -- stepped back: what is due waits no longer for it
	local all, moved = redis.call('ZRANGE', DUE, 0, -1, 'WITHSCORES'), {}
	for i = 1, #all, 2 do
		if all[i + 1] == 'inf' then break end
		moved[i] = tonumber(all[i + 1]) - (turned - now)
		moved[i + 1] = all[i]
	end
	batched('ZADD', DUE, moved)
end
local rotated = number(conf[3])
if rotated > now or now - rotated > KEY_LIFE then
	redis.call('UNLINK', SEEN_OLD)
	if keys_seen > 0 then redis.call('RENAME', SEEN, SEEN_OLD) end
	redis.call('HSET', CONF, 'turned', NOW, 'rotated', NOW)
elseif now < turned or now - turned > BEAT then
	redis.call('HSET', CONF, 'turned', NOW)
end

-- 3. who speaks
if MODE == 'hello' then
	-- A Redis goes by its process, which a restart changes, and its history, which a takeover changes; where it tells neither,
	-- it is taken for the one before. One that knows of none before was emptied, unless nothing has ever been done.
	local function told(section, name)
		local text = redis.pcall('INFO', section)
		return type(text) == 'string' and text:match(name .. ':(%w+)') or ''
	end
	local function last_id_ms()
		local info = redis.pcall('XINFO', 'STREAM', UPDATES)
		if info.err then return 0 end -- there is none
		return tonumber((field(info, 'last-generated-id') or '0'):match('^%d+'))
	end
	local run = told('server', 'run_id') .. ' ' .. told('replication', 'master_replid')
	local before = redis.call('HGET', CONF, 'run')
	if run == ' ' then run = before or '?' end
	if before ~= run then
		redis.call('HSET', CONF, 'run', run)
		if before or ARGV[REST] == '1' then
			local upto = math.max(now, last_id_ms(), (lost or 0) - RESENT) + RESENT
			redis.call('HSET', CONF, 'lost', string.format('%.0f', upto))
		end
	end
	local owners, kept, answer = {}, {}, {}
	local names = tonumber(ARGV[REST + 2])
	for i = REST + 3, REST + 2 + names do owners[ARGV[i]] = true end
	for i = REST + 3 + names, #ARGV do kept[ARGV[i]] = true end
	redis.call('ZADD', WORKERS, now + TTL, NAME)
	if names > 0 then
		local all = redis.call('HGETALL', LANES)
		for i = 1, #all, 2 do
			local owner, id = words_of(all[i + 1])
			if owner and owners[owner] and kept[id] then
				lane_set(all[i], NAME .. ' ' .. id)
				answer[#answer + 1] = id
			end
		end
		want = 0
		give_back(owners)
		for name in pairs(owners) do redis.call('ZREM', WORKERS, name) end
	end
	bell_set(WAKE) -- before the ring for what was not kept
	write_back()
	return {'kept', answer}
end
local deadline = redis.call('ZSCORE', WORKERS, NAME)
-- nobody took over what it has in hand: only its name was lost
if not deadline and not lanes_of({[NAME] = true})[1] then return {'gone'} end
if not deadline or math.abs(now + TTL - deadline) > BEAT then redis.call('ZADD', WORKERS, string.format('%d', now + TTL), NAME) end
local stopped = paused('*')
if MODE == 'leave' or stopped then want = 0 end

if empty_handed and want > 0 then take_careful() end

-- 4. reports
local fenced = {}
if #ARGV >= REST then
	local ARGV, last, dones = ARGV, #ARGV, tonumber(ARGV[REST]:match('^%d+$') or 0)
	local ids, lanes, at = REST, REST + dones, REST + 2 * dones + 1
	for from = 1, at <= last + 1 and dones or 0, 2000 do
		local upto = math.min(from + 1999, dones)
		local held = redis.call('HMGET', LANES, unpack(ARGV, lanes + from, lanes + upto))
		for i = from, upto do
			local id, lane = ARGV[ids + i], ARGV[lanes + i]
			local owner = lane_now[lane]
			if owner == nil then owner = held[i - from + 1] end
			if owner == MINE .. id then
				settle(id)
				next_in(lane)
			else
				lane_now[lane] = owner
				fenced[#fenced + 1] = id
			end
		end
	end
	local others = {}
	for i = at + 2, last - 2, 5 do
		others[#others + 1] = ARGV[i]
		if #others == 2000 then
			lane_load(others)
			others = {}
		end
	end
	lane_load(others)
	while at + 4 <= last do
		local kind, id, lane = ARGV[at], ARGV[at + 1], ARGV[at + 2]
		local number, text = tonumber(ARGV[at + 3]) or 0, ARGV[at + 4]
		if lane_now[lane] ~= MINE .. id then
			fenced[#fenced + 1] = id
		elseif kind == 'later' then
			lane_set(lane, '@ ' .. id)
			due_add(now + number, id, lane)
		elseif kind == 'sent' then
			local retries, takeovers = tries_of(id)
			tries_set(id, retries, takeovers, number)
		else
			local retries, takeovers, sent = tries_of(id)
			local maybe = kind == 'retry?' and 1 or kind == 'dead' and number or 0
			if kind == 'retry' or kind == 'retry?' then
				retries = retries + 1
				tries_set(id, retries, takeovers, sent)
			end
			if kind ~= 'dead' and retries < ATTEMPTS then
				lane_set(lane, '@ ' .. id)
				due_add(now + number, id, lane)
			else
				bury(id, lane, (entry_of(id) or {id, {}})[2], text, maybe, NAME)
				next_in(lane)
			end
		end
		at = at + 5
	end
end

-- 5. the dead, and those who leave
local expired = redis.call('ZRANGEBYSCORE', WORKERS, '-inf', NOW)
if #expired > 0 then
	take_over(expired)
	batched('ZREM', WORKERS, expired)
end
if MODE == 'leave' then
	if who == NAME then redis.call('HDEL', CONF, 'claim') end
	give_back({[NAME] = true})
	redis.call('ZREM', WORKERS, NAME)
	write_back()
	return {'ok', {}, fenced, -1, 0, {}, buried, 0, killers}
end

-- 6. take: what is due
local suspects, orphans, retaken = false, false, 0 -- what waits for empty hands, what was given to full ones
local due_removed = false
local due_passed, due_budget = 0, READ_MAX -- ripe, but not to be given now: the next look begins behind them
local function take_due_chunk(ripe, since, limit)
	local ids, names, gone = {}, {}, {}
	for i, m in ipairs(ripe) do ids[i], names[i] = due_of(m) end
	lane_load(names)
	for i, m in ipairs(ripe) do
		if limit <= 0 or want <= 0 or bytes >= BYTES then break end
		local id, lane = ids[i], names[i]
		local holder = lane_now[lane]
		local fresh = holder == '@ ' .. id .. ' new'
		local _, takeovers = tries_of(id)
		if not fresh and holder ~= '@ ' .. id then
			gone[#gone + 1] = m
		else
			local entry = entry_of(id)
			local bot, of, _, _, again, size, nameless = known(entry and entry[2] or {})
			if not entry or of ~= lane then -- the latter by another hand
				gone[#gone + 1] = m
				if not entry then settle(id) end
				next_in(lane)
			elseif paused(bot) then
				park(id, lane)
				due_passed = due_passed + 1
			elseif excepted(bot) then -- the more there are, the less often
				due_add(now + math.min(LOOK_MAX, math.max(LOOK, 2 * redis.call('ZCARD', DUE))), id, lane)
				due_passed = due_passed + 1
			elseif takeovers >= SUSPECT then -- nobody empties his hands for one that is paused or deleted
				suspects = true
				due_passed = due_passed + 1
			elseif takeovers > 0 and (now - since[i] < PATIENCE or retaken >= CHUNK) then
				orphans = true
				due_passed = due_passed + 1
			else
				if takeovers > 0 then retaken = retaken + 1 end
				gone[#gone + 1] = m
				give(entry, lane, again or not fresh, size, nameless)
				limit = limit - 1
			end
		end
	end
	batched('ZREM', DUE, gone)
	due_removed = due_removed or gone[1] ~= nil
	return limit
end

local first_due = redis.call('ZRANGE', DUE, '0', '0', 'WITHSCORES')
local function take_due(limit)
	if not first_due[2] or first_due[2] == 'inf' or tonumber(first_due[2]) > now then return end
	while limit > 0 and want > 0 and bytes < BYTES and due_budget > 0 do
		local count = math.min(limit + CHUNK, due_budget)
		local found = redis.call('ZRANGEBYSCORE', DUE, '-inf', NOW, 'WITHSCORES', 'LIMIT', due_passed, count)
		local ripe, since = {}, {}
		for i = 1, #found, 2 do
			ripe[#ripe + 1] = found[i]
			since[#since + 1] = tonumber(found[i + 1])
		end
		due_budget = due_budget - #ripe
		limit = take_due_chunk(ripe, since, limit)
		if #ripe < count then return end
	end
end

-- what is unread; reading and the gate are one step, so two workers cannot gate two entries of a lane in wrong order
local function fault(bot, lane, key, body)
	if not bot or bot == '' then return 'no bot' end
	if not body then return 'no body' end
	if not lane or lane == '' then return 'no lane' end
	if #lane > 255 or not lane:find('^[\32-\126]+$') then return 'lane is not 1 to 255 printable bytes' end
	if key and #key > 255 then return 'key is longer than 255 bytes' end
	if key and key:find('\0', 1, true) then return 'key has a zero byte' end
end

local function read(count)
	local command = {'XREADGROUP', 'GROUP', 'workers', 'w', 'COUNT', count, 'NOACK', 'STREAMS', UPDATES, '>'}
	local got = redis.pcall(unpack(command))
	if type(got) == 'table' and got.err then
		if not got.err:find('NOGROUP', 1, true) then return {}, got.err end
		for _, group in ipairs({'workers', 'bell'}) do
			redis.pcall('XGROUP', 'CREATE', UPDATES, group, group == 'bell' and '$' or '0', 'MKSTREAM')
		end
		got = redis.pcall(unpack(command))
		if type(got) == 'table' and got.err then return {}, got.err end
	end
	return got and got[1] and got[1][2] or {}
end

-- Read anew in a lane that is held: by what lies in due, or by a registered worker, or all of the lane would wait for ever.
-- A worker whose name was lost may live: it is registered again, and goes like all others if it does not speak.
local held_well = {}
local function hold_well(lane, owner, held)
	if held_well[lane] then return end
	held_well[lane] = true
	if owner ~= '@' then
		redis.call('ZADD', WORKERS, 'NX', now + TTL, owner)
	elseif not put_back[held] and not redis.call('ZSCORE', DUE, held .. ' ' .. lane) then
		due_add(now, held, lane)
	end
end

local function take_unread()
	local budget, open = READ_MAX, pause == '' and EXCEPT == ',,'
	while want > 0 and bytes < BYTES and budget > 0 do
		local count = math.min(want, CHUNK)
		budget = budget - count
		local batch, failed = read(count)
		if failed then return true end
		local good, lanes, keys, sizes = {}, {}, {}, {} -- sizes: of those that are as gateways append them
		for i = 1, #batch do
			local id, fields = batch[i][1], batch[i][2]
			if settled[id] then -- read anew after the group was lost; goes with this turn
			elseif fields then
				local bot, lane, key, body, _, size, nameless = known(fields)
				local reason = fault(bot, lane, key, body)
				if reason then
					bury(id, lane, fields, reason, 0)
				else
					local n = #good + 1
					good[n], lanes[n], sizes[n] = batch[i], lane, nameless and size
					if key and key ~= '' then keys[#keys + 1] = key end
				end
			else
				settle(id)
			end
		end
		lane_load(lanes)
		local seen, marks = {}, {}
		if #keys > 0 then
			local a, b = redis.call('HMGET', SEEN, unpack(keys)), redis.call('HMGET', SEEN_OLD, unpack(keys))
			for i = 1, #keys do
				local known_as = a[i] or b[i]
				if known_as then seen[keys[i]] = known_as end
			end
		end
		for i = 1, #good do
			local id, fields, lane, size = good[i][1], good[i][2], lanes[i], sizes[i]
			local bot, key, again, nameless, _ = fields[2], fields[6], false, size
			if not size then bot, _, key, _, again, size = known(fields) end
			local keyed = key and key ~= ''
			local first = keyed and seen[key]
			if first and first ~= id then
				duplicates[#duplicates + 1] = bot
				settle(id)
			else
				if keyed and not first then
					seen[key] = id
					marks[#marks + 1] = key
					marks[#marks + 1] = id
				end
				local place, owner, held = lane_now[lane], nil, nil
				if place then owner, held = words_of(place) end
				if place and not held then -- who waits goes first
					redis.call('ZADD', WAITING, 0, lane .. '\1' .. pad(id))
					has_waiting = true
					next_in(lane)
				elseif not held and (bytes >= BYTES or not open and (paused(bot) or excepted(bot))) then
					leave_to_others(id, lane, bot)
				elseif not held then
					give(good[i], lane, again, size, nameless)
				else
					if held ~= id then -- not read anew after the group was lost
						redis.call('ZADD', WAITING, 0, lane .. '\1' .. pad(id))
						has_waiting = true
					end
					if may_be_lost(id) then hold_well(lane, owner, held) end
				end
			end
		end
		batched('HSET', SEEN, marks)
		if #batch < count then return true end
	end
	return false
end

local short, took = stopped, want > 0
if took then
	local room = want
	take_due(math.ceil(room / 2))
	short = take_unread()
	if short then take_due(want) end
end

-- 7. nothing more to read
if short then
	bell_set(UPDATES)
	if want > 0 then bell_set(WAKE) end -- nor anything due that is left to others
end
write_back()

-- One worker at a time empties its hands for suspects, however long that takes it: each turn of his prolongs the claim.
local careful = orphans and 1 or 0
local claimed = who and tonumber(till) > now and tonumber(till) <= now + TTL
if claimed and who == NAME and (empty_handed or (took and not suspects)) then -- served, or nothing left to serve
	redis.call('HDEL', CONF, 'claim')
elseif claimed and who == NAME or suspects and not claimed then
	redis.call('HSET', CONF, 'claim', string.format('%s %.0f', NAME, now + TTL))
	careful = 2
end

local due_in = -1
local first = (due_removed or due_added[1]) and redis.call('ZRANGE', DUE, '0', '0', 'WITHSCORES') or first_due
if first[2] and (pause == '' or not parked) and
	(first[2] == 'inf' or redis.call('ZRANGE', DUE, '-1', '-1', 'WITHSCORES')[2] == 'inf') then
	redis.call('HSET', CONF, 'parked', '!') -- the mark was lost
end
if first[2] and first[2] ~= 'inf' and not stopped then
	due_in = math.max(0, math.floor(tonumber(first[2]) - now))
end
return {'ok', entries, fenced, due_in, short and 1 or 0, duplicates, buried, careful, killers}
end
return turn()
