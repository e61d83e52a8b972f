-- Whether an update has committed, and the effects that were decided with it.
-- $1 key
SELECT effects FROM guards WHERE key = $1::text
