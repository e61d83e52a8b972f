#!lua flags=no-writes,allow-oom
-- A bounded piece of the names that match: all names of this Redis are gone through.
-- KEYS: the generation of a cache, so that a cluster sends this to the right server
-- ARGV: cursor ("0" to begin), pattern, about how many names to look at
-- Answers {next cursor, or "0" at the end, names}; a name may come twice, as with SCAN.
return redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', ARGV[3])
