#!lua flags=allow-oom
-- What became of a pairing (line_enter.lua): the match is made, or not, and who is still there goes back to their place.
-- Only the pairing that took the players out changes anything.
-- KEYS  1 line  2 line:mmr  3 line:since  4 line:until
-- ARGV  1 key of the pairing  then of each player: player, "met" | "back"
for i = 2, #ARGV, 2 do
	local player, what = ARGV[i], ARGV[i + 1]
	local old = redis.call('HGET', KEYS[1], player)
	old = old and cjson.decode(old)
	if old and old.s == 'paired' and old.key == ARGV[1] then
		if what == 'back' then
			old.s, old.key = 'waiting', nil
			for race, mmr in pairs(old.races) do redis.call('ZADD', KEYS[2], mmr, player .. ' ' .. race) end
			redis.call('ZADD', KEYS[3], string.format('%.0f', old.since), player)
			redis.call('ZADD', KEYS[4], string.format('%.0f', old.till), player)
		else
			old = {s = 'met', n = old.n}
		end
		redis.call('HSET', KEYS[1], player, cjson.encode(old))
	end
end
return 1
