#!lua flags=allow-oom
-- The generation of a cache that is in force. A new one begins where there is none, where another server began it
-- (this one restarted, or was promoted: what it holds may be older than an invalidation that is lost), or where the
-- caller wants it to end: all values of before are void then.
-- KEYS: generation, lease of a whole load, mark of a change
-- ARGV: identity of this server, random part, "end" or "", ms for which the mark keeps others from ending it again for
--       the same change ("": no mark)
local g = redis.pcall('GET', KEYS[1])
if type(g) == 'table' then -- of another type: somebody else's hand
	redis.log(redis.LOG_WARNING, KEYS[1] .. ' is no text, and is begun anew')
	g = false
end
local last = ARGV[3] == 'end' and (ARGV[4] == '' or redis.call('SET', KEYS[3], '', 'NX', 'PX', ARGV[4]))
if not g or last or string.sub(g, 1, #ARGV[1] + 1) ~= ARGV[1] .. '-' then
	g = ARGV[1] .. '-' .. ARGV[2]
	redis.call('SET', KEYS[1], g)
	redis.call('UNLINK', KEYS[2])
end
return g
