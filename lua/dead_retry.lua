#!lua
-- dead_retry.lua: a dead letter becomes an entry again. One step: it is never in neither place, and never in both.
-- Without allow-oom on purpose: a full Redis refuses before anything is done.
-- KEYS  1 dead  2 updates  3 tries  4 seen  5 seen_old  6 conf
-- ARGV  1 format  2 shard "i/n"  3 the letter's id  4 force 0|1  5 for how long a guard row is certain to stand, ms
-- Answer  {"ok", the entry's new id}
--         {"gone"}: there is no such letter       {"broken"}: no entry is in it
--         {"applied", age ms}: its changes may have been committed, and what would show that may be gone
--         {"seen", id, key}: its key came again and was taken as that entry
--         {"version", v, shard}: the keys are another version's

local DEAD, UPDATES, TRIES, SEEN, SEEN_OLD = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local LETTER, FORCE, GUARD_LIFE = ARGV[3], ARGV[4] == '1', tonumber(ARGV[5])

local conf = redis.call('HMGET', KEYS[6], 'v', 'shard')
if conf[1] and (conf[1] ~= ARGV[1] or conf[2] and conf[2] ~= ARGV[2]) then return {'version', conf[1], conf[2] or ''} end
local letter = redis.call('XRANGE', DEAD, LETTER, LETTER)[1]
if not letter then return {'gone'} end

local head, first, entry, inside = {}, {}, {}, false
for i = 1, #letter[2], 2 do
	local name, value = letter[2][i], letter[2][i + 1]
	if inside then
		entry[#entry + 1] = {name, value}
		if first[name] == nil then first[name] = value end
	elseif name == 'entry' then
		inside = true
	else
		head[name] = value
	end
end
local old, old_ms = head.id, tonumber((head.id or ''):match('^(%d+)%-%d+$'))
if not old_ms or #entry == 0 then return {'broken'} end

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

-- The first delivery counts: a commit may be as old as that. A worker that lost the entry may have committed, too.
local born = math.min(tonumber((first.born or ''):match('^%d+$')) or old_ms, old_ms)
local unsure = head.maybe_applied == '1' or (tonumber(head.takeovers) or 0) > 0
if unsure and now - born > GUARD_LIFE and not FORCE then return {'applied', now - born} end

-- An entry without a key goes by its id, and by its shard above 0; the id becomes another now.
local shard = ARGV[2]:match('^%d+')
local key = first.key ~= nil and first.key ~= '' and first.key or shard == '0' and old or shard .. '/' .. old
local holder = redis.call('HGET', SEEN, key) or redis.call('HGET', SEEN_OLD, key)
if holder and holder ~= old and not FORCE then return {'seen', holder, key} end

local at = first.at
if not at or #at > 18 or not at:find('^%-?%d+$') then at = string.format('%.0f', old_ms) end -- as the workers read it
local fresh = {'again', '1', 'born', string.format('%.0f', born), 'key', key, 'at', at}
for _, f in ipairs(entry) do
	if f[1] ~= 'again' and f[1] ~= 'born' and f[1] ~= 'key' and f[1] ~= 'at' then
		fresh[#fresh + 1] = f[1]
		fresh[#fresh + 1] = f[2]
	end
end
local id = redis.call('XADD', UPDATES, '*', unpack(fresh))
redis.call('XDEL', DEAD, LETTER)
redis.call('HSET', SEEN, key, id) -- `seen` is asked before seen_old
local sent = tonumber(head.sent) or 0
if sent > 0 then redis.call('HSET', TRIES, id, '0 0 ' .. string.format('%.0f', sent)) end
return {'ok', id}
