#!lua flags=no-writes,allow-oom
-- All that a decision asks the caches of start codes and personas, in one round trip.
-- KEYS: hash of start codes, hash of personas
-- ARGV: start code ("": none, "#<id>": by its id), id of one more persona ("": none)
-- Answers {codes loaded?, code, personas loaded?, the code's persona, the default one, the one asked for}: the first and
-- third are 1 or 0, the others JSON or nil.
local function persona(id)
	return id and redis.call('HGET', KEYS[2], id) or false
end

local name, code, of_code = ARGV[1], false, false
if name ~= '' then
	code = redis.call('HGET', KEYS[1], name)
	if code and string.sub(name, 1, 1) == '#' then
		code = redis.call('HGET', KEYS[1], code)
	end
	local id = code and cjson.decode(code).persona_id
	of_code = type(id) == 'string' and persona(id) or false
end
return {
	redis.call('HEXISTS', KEYS[1], ''), code,
	redis.call('HEXISTS', KEYS[2], ''), of_code, persona(redis.call('HGET', KEYS[2], 'default')),
	ARGV[2] ~= '' and persona(ARGV[2]) or false,
}
