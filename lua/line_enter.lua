#!lua
-- The line of players who wait for an opponent. In shard 0:
--   line        hash player -> JSON: what is known of a player who waits, and for a while of one who waited
--                 s  waiting | paired (taken out by the matcher) | met (the match is made) | left | over (waited too long)
--                 n  serial of the update that put the player in, or took them out: only a later one changes anything
--                 since, till  ms: waits since then, for so long at most       key  of the pairing
--                 races  {code: mmr}                                            with  what the match will have to know
--   line:mmr    zset "player race" by mmr        line:since  zset player by since        both: of those who wait
--   line:until  zset player by ms: till of those who wait, somewhat later of those who are paired: whose match is not made
--               by then is over, too; else when the player is forgotten
--
-- line_enter.lua: a player goes into the line, or says something else while waiting there and keeps the place.
-- KEYS  1 line  2 line:mmr  3 line:since  4 line:until
-- ARGV  1 ms: longer than a match is still made of a pairing whose till is over (bots/ladder_match.c)
--       2 player  3 serial  4 till  5 races, "code:mmr" with blanks between  then names and values of `with`
-- Answer  "waiting"; "stale": a later update has said something; "paired": just been taken out; "late": till is long over.
-- Who is in line when it has just passed is told so by the matcher.
local grace, player, serial, till = tonumber(ARGV[1]), ARGV[2], ARGV[3], tonumber(ARGV[4])
local old = redis.call('HGET', KEYS[1], player)
old = old and cjson.decode(old)
-- decimals without leading zeros, longer than a number of Lua can tell apart
if old and (#serial < #old.n or (#serial == #old.n and serial <= old.n)) then return 'stale' end
local clock = redis.call('TIME')
local now = math.floor(clock[1] * 1000 + clock[2] / 1000)
if now >= till + grace then return 'late' end
if old and old.s == 'paired' and now < old.till + grace then return 'paired' end

local new = {s = 'waiting', n = serial, since = now, till = till, races = {}, with = {}}
if old and old.s == 'waiting' then
	new.since = old.since
	for race in pairs(old.races) do redis.call('ZREM', KEYS[2], player .. ' ' .. race) end
end
for race, mmr in string.gmatch(ARGV[5], '(%S+):(%S+)') do
	new.races[race] = mmr
	redis.call('ZADD', KEYS[2], mmr, player .. ' ' .. race)
end
for i = 6, #ARGV, 2 do new.with[ARGV[i]] = ARGV[i + 1] end
redis.call('HSET', KEYS[1], player, cjson.encode(new))
redis.call('ZADD', KEYS[3], string.format('%.0f', new.since), player)
redis.call('ZADD', KEYS[4], string.format('%.0f', till), player)
return 'waiting'
