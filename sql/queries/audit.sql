-- What an operator did outside this database.
-- $1 actor   $2 action   $3 target   $4 details, JSON
INSERT INTO admin_audit (actor, action, target, details)
VALUES ($1::text, $2::text, $3::text, $4::jsonb)
