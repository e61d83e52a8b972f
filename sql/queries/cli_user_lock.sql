-- Holds a person: whatever a worker is about to commit for them waits, and then finds them gone.
-- $1 telegram_id
SELECT id FROM users WHERE telegram_id = $1::bigint FOR UPDATE
