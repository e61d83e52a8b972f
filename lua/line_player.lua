#!lua flags=allow-oom
-- How a player stands in the line (line_enter.lua); takes them out where that is asked for. A second time it changes
-- nothing and answers the same.
-- KEYS  1 line  2 line:mmr  3 line:since  4 line:until
-- ARGV  1 player  2 serial of the update that takes them out; "": look only  3 ms for which that is remembered
-- Answer  {state, serial}; {} where nothing is known
local player, serial = ARGV[1], ARGV[2]
local old = redis.call('HGET', KEYS[1], player)
if not old then return {} end
old = cjson.decode(old)
local later = #serial > #old.n or (#serial == #old.n and serial > old.n)
if old.s ~= 'waiting' or serial == '' or not later then return {old.s, old.n} end
for race in pairs(old.races) do redis.call('ZREM', KEYS[2], player .. ' ' .. race) end
redis.call('ZREM', KEYS[3], player)
redis.call('HSET', KEYS[1], player, cjson.encode({s = 'left', n = serial}))
local clock = redis.call('TIME')
redis.call('ZADD', KEYS[4], string.format('%.0f', clock[1] * 1000 + ARGV[3]), player)
return {'left', serial}
