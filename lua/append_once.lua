#!lua
-- An entry that somebody may want to append again and again, until it is settled: at most once in a while, so that it
-- does not pile up where nothing is read.
-- KEYS  1 updates  2 a mark that it was appended    ARGV  1 life of the mark, ms  then fields and values
-- Answer  1: appended, 0: lately
-- Redis's clock has stepped back
if redis.call('PTTL', KEYS[2]) > tonumber(ARGV[1]) then redis.call('PEXPIRE', KEYS[2], ARGV[1]) end
if not redis.call('SET', KEYS[2], '1', 'NX', 'PX', ARGV[1]) then return 0 end
redis.call('XADD', KEYS[1], '*', unpack(ARGV, 2))
return 1
