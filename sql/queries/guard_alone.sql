-- The commit of a redelivered update that writes nothing else.
-- $1 key   $2 effects
INSERT INTO guards (key, effects) VALUES ($1::text, $2::text)
