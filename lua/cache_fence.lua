#!lua flags=allow-oom
-- Something that tracking tells to every worker, behind all that was voided before.
-- KEYS: fence, a key that is written and goes at once
redis.call('SET', KEYS[1], '')
return redis.call('UNLINK', KEYS[1])
