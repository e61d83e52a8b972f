-- words.lua: what lies in a shard's keys, taken apart (lua/turn.lua writes it, and has the same words of its own).

local function field(fields, name) -- of an entry; false if it has none
	for i = 1, #fields, 2 do
		if fields[i] == name then return fields[i + 1] end
	end
	return false
end
local function pad(id) -- an id, which it must be, as a text that sorts like it
	local ms, seq = id:match('^(%d+)%-(%d+)$')
	return ('0'):rep(20 - #ms) .. ms .. '-' .. ('0'):rep(20 - #seq) .. seq
end
local function words_of(place) -- a lane's: its owner, and the id that it holds; nothing where another hand wrote something else
	local owner, id, rest = place:match('^(%S+) (%d+%-%d+)(.*)$')
	if rest == '' or rest == ' new' and owner == '@' then return owner, id end
end
