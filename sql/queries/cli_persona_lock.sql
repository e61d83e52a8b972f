-- Holds a persona, so that no code or chat starts to use it meanwhile.
-- $1 key
SELECT id FROM personas WHERE key = $1::text FOR UPDATE
