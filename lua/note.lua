#!lua flags=allow-oom
-- An entry that a worker appends for an update in its hands: also where Redis is full, since the update can be settled,
-- which makes room, only after it.
-- KEYS  1 updates    ARGV  fields and values
return redis.call('XADD', KEYS[1], '*', unpack(ARGV))
