#!lua flags=no-writes
-- lanes.lua: busy lanes, about so many a call.
-- KEYS  1 lanes  2 waiting  3 due  4 tries  5 workers
-- ARGV  1 cursor, '0' to begin  2 about how many
-- Answer  {now, next cursor or '0' at the end, lanes}; a lane may come twice, as with HSCAN
--   lane = {lane, id of its holder, state, NAME in whose hands or false, ms until due or false, how many wait behind,
--           retries, takeovers, sent};  state as in peek.lua: in_hand | due | paused | stray

-- @include words.lua
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local function standing(name, id, lane)
	if name ~= '@' then return redis.call('ZSCORE', KEYS[5], name) and 'in_hand' or 'stray', name, false end
	local score = redis.call('ZSCORE', KEYS[3], id .. ' ' .. lane)
	if not score then return 'stray', false, false end
	if score == 'inf' then return 'paused', false, false end
	return 'due', false, math.max(0, math.floor(tonumber(score) - now))
end

local got = redis.call('HSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])
local lanes = {}
for i = 1, #got[2], 2 do
	local lane, name, id = got[2][i], words_of(got[2][i + 1])
	if id then
		local state, owner, ms = standing(name, id, lane)
		local tries = redis.call('HGET', KEYS[4], id) or '0 0 0'
		local retries, takeovers, sent = tries:match('^(%d+) (%d+) (%d+)$')
		lanes[#lanes + 1] = {lane, id, state, owner, ms,
			redis.call('ZLEXCOUNT', KEYS[2], '[' .. lane .. '\1', '(' .. lane .. '\2'),
			tonumber(retries) or 0, tonumber(takeovers) or 0, tonumber(sent) or 0}
	end
end
return {now, got[1], lanes}
