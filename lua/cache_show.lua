#!lua flags=no-writes,allow-oom
-- One value, and what is about it.
-- KEYS: generation, value, its lease, lease of a whole load
-- Answers {generation, value, ms that it lives on, ms of its lease, ms of the whole load's lease}; what is not there is
-- false, or -2 ms; a life without end -1.
local g, v = redis.pcall('GET', KEYS[1]), redis.pcall('GET', KEYS[2])
return {type(g) == 'string' and g, type(v) == 'string' and v, redis.call('PTTL', KEYS[2]),
	redis.call('PTTL', KEYS[3]), redis.call('PTTL', KEYS[4])}
