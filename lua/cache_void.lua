#!lua flags=allow-oom
-- Forgets a cache, and voids the lease of whoever is loading it, who may have read before the change.
-- KEYS: hash, lease
return redis.call('UNLINK', KEYS[1], KEYS[2])
