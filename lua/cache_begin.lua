#!lua
-- Takes the lease for loading a cache whole.
-- KEYS: hash, lease    ARGV: token, ms
-- Answers "loaded" (nothing to do), "yours" or "busy" (somebody else loads).
if redis.call('HEXISTS', KEYS[1], '') == 1 then
	return 'loaded'
end
return redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) and 'yours' or 'busy'
