#!lua flags=allow-oom
-- Puts something behind all that was voided before that tracking tells to every worker, and notes who has to hear it.
-- KEYS: fence (written, and gone at once), trusts, deaf (set of those who are to hear it), since
-- ARGV: identity of this server, ms that a memory is believed at most
-- Answers {how many are to hear it, ms that memories may be believed that this server knows nothing of}: it restarted, or
-- was promoted, less than that ago.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local held = redis.pcall('GET', KEYS[4])
local ident, since = string.match(type(held) == 'string' and held or '', '^(%x+) (%d+)$')
-- of another type, by somebody else's hand: nobody knows who believed what
local is = redis.call('TYPE', KEYS[2]).ok
if is ~= 'zset' and is ~= 'none' then
	redis.log(redis.LOG_WARNING, KEYS[2] .. ' is a ' .. is .. ', and is begun anew')
	redis.call('UNLINK', KEYS[2])
	ident = nil
end
if ident ~= ARGV[1] or tonumber(since) > now then
	since = now
	redis.call('SET', KEYS[4], ARGV[1] .. ' ' .. now)
end
redis.call('SET', KEYS[1], '')
redis.call('UNLINK', KEYS[1])
local live = redis.call('ZRANGE', KEYS[2], '(' .. now, '+inf', 'BYSCORE')
for _, member in ipairs(live) do
	redis.call('SADD', KEYS[3], member)
end
redis.call('PEXPIRE', KEYS[3], 10000)
return {#live, math.max(0, tonumber(since) + ARGV[2] - now)}
