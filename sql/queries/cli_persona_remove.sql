-- Removes a persona that is held, if nothing uses it.
-- $1 id   $2 actor
WITH used AS (
	SELECT (SELECT count(*) FROM start_codes WHERE persona_id = $1::bigint) AS codes,
		(SELECT count(*) FROM chats WHERE persona_id = $1::bigint) AS chats
), gone AS (
	DELETE FROM personas p USING used WHERE p.id = $1::bigint AND used.codes = 0 AND used.chats = 0
	RETURNING p.*
), audit AS (
	INSERT INTO admin_audit (actor, action, target, details)
	SELECT $2::text, 'persona.remove', 'persona:' || gone.key, to_jsonb(gone) FROM gone
)
SELECT used.codes, used.chats, (SELECT count(*) FROM gone) AS removed FROM used
