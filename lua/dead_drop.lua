#!lua flags=allow-oom
-- dead_drop.lua: removes one dead letter and tells what it was. Its key stays known: the update shall not come back.
-- KEYS  1 dead
-- ARGV  1 its id
-- Answer  {} there is none, or {entry's id, bot, lane, key, error}; not there: false

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
