#!lua
-- A part of the matcher's work on the line (line_enter.lua): who waited too long is told so, who was there is forgotten;
-- then from the one who has waited longest each gets the opponent with the nearest rating, not farther than a window
-- that widens while they wait. A pair leaves the line as the entry that makes its match is appended.
-- KEYS  1 line  2 line:mmr  3 line:since  4 line:until  5 updates
-- ARGV  1 bot  2 lanes' beginning  3 begin behind so many who wait  4 commands to run, about
--       5 window at once  6 and more of it for each second  7 ms for which one who was there is remembered
--       8 ms from till on after which a pairing that came to nothing is over
-- Answer  {pairs, over, where to go on; -1: the end}
local bot, lanes, at, left = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local clock = redis.call('TIME')
local now = math.floor(clock[1] * 1000 + clock[2] / 1000)
local stamp = string.format('%.0f', now)
local npairs, nover = 0, 0

local function call(...)
	left = left - 1
	return redis.call(...)
end

local function known(player)
	local text = call('HGET', KEYS[1], player)
	return text and cjson.decode(text)
end

local function take_out(player, is, how, ends)
	for race in pairs(is.races) do call('ZREM', KEYS[2], player .. ' ' .. race) end
	call('ZREM', KEYS[3], player)
	is.s = how
	call('HSET', KEYS[1], player, cjson.encode(is))
	call('ZADD', KEYS[4], string.format('%.0f', ends), player)
end

-- the body that wire/own.h describes
local function append(player, what, key, with)
	call('XADD', KEYS[5], '*', 'bot', bot, 'lane', lanes .. player, 'key', key, 'at', stamp, 'body',
		'{"shoal":"due","chat_id":' .. player .. ',"what":' .. cjson.encode(what) .. ',"of":' .. cjson.encode(key) ..
		',"with":' .. cjson.encode(with) .. '}')
end

local function see_off(player)
	local is = known(player)
	if is and (is.s == 'waiting' or is.s == 'paired') then
		take_out(player, is, 'over', now + ARGV[7])
		is.with.player, is.with.till = player, string.format('%.0f', is.till)
		append(player, 'line_over', 'over_' .. player .. '_' .. is.n, is.with)
		nover = nover + 1
	else
		call('HDEL', KEYS[1], player)
		call('ZREM', KEYS[4], player)
	end
end

while at == 0 and left > 0 do -- all of them, or nobody would be seen off for whom there is no time now
	local ended = call('ZRANGE', KEYS[4], '-inf', stamp, 'BYSCORE', 'LIMIT', 0, 20)
	for _, player in ipairs(ended) do see_off(player) end
	if #ended == 0 then break end
end

-- the nearest of those who wait, in either direction
local function nearest(player, is)
	local window = ARGV[5] + math.max(now - is.since, 0) / 1000 * ARGV[6]
	local own, best = 1, nil
	for _ in pairs(is.races) do own = own + 1 end
	for race, mmr in pairs(is.races) do
		for _, way in ipairs({{mmr, mmr + window}, {mmr, mmr - window, 'REV'}}) do
			local found = way[3] and call('ZRANGE', KEYS[2], way[1], way[2], 'BYSCORE', 'REV', 'LIMIT', 0, own, 'WITHSCORES')
				or call('ZRANGE', KEYS[2], way[1], way[2], 'BYSCORE', 'LIMIT', 0, own, 'WITHSCORES')
			for i = 1, #found, 2 do
				local other = string.match(found[i], '^%S+')
				if other ~= player then
					local gap = math.abs(found[i + 1] - mmr)
					if not best or gap < best.gap then
						best = {gap = gap, race = race, member = found[i], other = other}
					end
					break
				end
			end
		end
	end
	return best
end

-- what somebody put there by hand is in nobody's way
local function nearest_known(player, is)
	while true do
		local best = nearest(player, is)
		local other = best and known(best.other)
		if not best or (other and other.s == 'waiting') then return best, other end
		call('ZREM', KEYS[2], best.member)
	end
end

local function pair(player, is, best, other)
	local sides = {{player, is, best.race}, {best.other, other, string.match(best.member, ' (%S+)$')}}
	if #best.other < #player or (#best.other == #player and best.other < player) then
		sides = {sides[2], sides[1]}
	end
	local key = 'match_' .. sides[1][1] .. '_' .. sides[2][1] .. '_' .. stamp
	local with = {}
	for n, side in ipairs(sides) do
		side[2].key = key
		with['player_' .. n], with['race_' .. n] = side[1], side[3]
		with['mmr_' .. n], with['till_' .. n] = side[2].races[side[3]], string.format('%.0f', side[2].till)
		for name, value in pairs(side[2].with) do with[name .. '_' .. n] = value end
		take_out(side[1], side[2], 'paired', side[2].till + ARGV[8])
	end
	append(sides[1][1], 'match', key, with)
	npairs = npairs + 1
end

local out, seen = {}, {}
while left > 0 do
	local waiting = call('ZRANGE', KEYS[3], at, at + 19)
	if #waiting == 0 then return {npairs, nover, -1} end
	for _, player in ipairs(waiting) do
		if left <= 0 then break end
		if not out[player] then
			local is, best, other = known(player)
			if not is or is.s ~= 'waiting' then
				call('ZREM', KEYS[3], player)
			else
				best, other = nearest_known(player, is)
				if best then
					pair(player, is, best, other)
					out[best.other] = true
					if seen[best.other] then at = at - 1 end
				else
					seen[player] = true
					at = at + 1
				end
			end
		end
	end
end
return {npairs, nover, at}
