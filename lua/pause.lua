#!lua flags=allow-oom
-- pause.lua: what the workers are not handed. turn.lua reads it.
-- KEYS  1 conf
-- ARGV  1 format  2 shard "i/n"  3 pause | resume  4 a bot, or * for all
-- Answer  {"ok", changed 0|1, what is paused now}  {"all"}: one cannot go on while all are paused
--         {"version", v, shard}: the keys are another version's, nothing was done

local conf = redis.call('HMGET', KEYS[1], 'v', 'shard', 'paused')
if conf[1] and (conf[1] ~= ARGV[1] or conf[2] and conf[2] ~= ARGV[2]) then return {'version', conf[1], conf[2] or ''} end

local before, bot = conf[3] or '', ARGV[4]
local bots, there = {}, false
for b in before:gmatch('[^,]+') do
	if b ~= bot then bots[#bots + 1] = b else there = true end
end

local after = before
if ARGV[3] == 'pause' then
	if bot == '*' then after = '*'
	elseif before ~= '*' and not there then after = before == '' and bot or before .. ',' .. bot end
elseif bot == '*' then after = ''
elseif before == '*' then return {'all'}
elseif there then after = table.concat(bots, ',') end

if after == before then return {'ok', 0, after} end
if after == '' then redis.call('HDEL', KEYS[1], 'paused') else redis.call('HSET', KEYS[1], 'paused', after) end
return {'ok', 1, after}
