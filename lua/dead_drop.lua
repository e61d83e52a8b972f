#!lua flags=allow-oom
-- dead_drop.lua: removes one dead letter and tells what it was. Its key stays known: the update shall not come back.
-- KEYS  1 dead  2 conf
-- ARGV  1 its id  2 format  3 shard "i/n"
-- Answer  {} there is none, or {entry's id, bot, lane, key, error}; not there: false
--         {"version", v, shard}: the keys are another version's, nothing was done

local conf = redis.call('HMGET', KEYS[2], 'v', 'shard')
if conf[1] and (conf[1] ~= ARGV[2] or conf[2] and conf[2] ~= ARGV[3]) then return {'version', conf[1], conf[2] or ''} end
local letter = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])[1]
if not letter then return {} end
redis.call('XDEL', KEYS[1], ARGV[1])
local head, first, inside = {}, {}, false
for i = 1, #letter[2], 2 do
	local to = inside and first or head
	if not inside and letter[2][i] == 'entry' then
		inside = true
	elseif to[letter[2][i]] == nil then
		to[letter[2][i]] = letter[2][i + 1]
	end
end
return {head.id or false, first.bot or false, first.lane or head.lane or false, first.key or false, head.error or false}
