-- Removes a start code that is held, if nobody came by it or its uses may go with it.
-- $1 id   $2 with its uses   $3 actor
WITH uses AS (
	SELECT count(*) AS n FROM start_code_uses WHERE code_id = $1::bigint
), gone AS (
	DELETE FROM start_codes c USING uses WHERE c.id = $1::bigint AND (uses.n = 0 OR $2::boolean)
	RETURNING c.*
), audit AS (
	INSERT INTO admin_audit (actor, action, target, details)
	SELECT $3::text, 'code.remove', 'code:' || gone.code, to_jsonb(gone) || jsonb_build_object('uses', uses.n)
	FROM gone, uses
)
SELECT uses.n AS uses, (SELECT count(*) FROM gone) AS removed FROM uses
