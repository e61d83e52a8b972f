#!lua flags=no-writes
-- oldest.lua: the age of a stream's oldest entry in ms, 0 where it has none. What it cannot tell is an error.
-- KEYS  1 the stream
local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)
if not first[1] then return 0 end
local clock = redis.call('TIME')
return math.max(0, clock[1] * 1000 + math.floor(clock[2] / 1000) - tonumber(first[1][1]:match('^%d+')))
