-- A player goes into the line of those who wait for an opponent, or says something else while waiting there.
-- $1 key   $2 effects
-- $3 discord_uid
-- $4 races: codes with a blank between
-- $5 vetoes: the same, of maps
-- $6 joins: was not waiting before
WITH guard AS (
	INSERT INTO guards (key, effects) VALUES ($1::text, $2::text) RETURNING key
), player AS (
	SELECT p.discord_uid FROM guard, players p
	WHERE p.discord_uid = $3::bigint AND p.tos_accepted_at IS NOT NULL AND p.setup_completed_at IS NOT NULL
		AND NOT EXISTS (SELECT FROM matches_1v1
			WHERE player_1 = $3::bigint AND result IS NULL AND report_1 IS NULL)
		AND NOT EXISTS (SELECT FROM matches_1v1
			WHERE player_2 = $3::bigint AND result IS NULL AND report_2 IS NULL)
), chosen AS (
	INSERT INTO preferences_1v1 AS c (discord_uid, last_chosen_races, last_chosen_vetoes)
	SELECT discord_uid, string_to_array($4::text, ' '), string_to_array($5::text, ' ') FROM player
	ON CONFLICT (discord_uid) DO UPDATE SET last_chosen_races = excluded.last_chosen_races,
		last_chosen_vetoes = excluded.last_chosen_vetoes
), log AS (
	INSERT INTO player_action_logs (discord_uid, action, details, idempotency_key)
	SELECT discord_uid, 'joined queue', jsonb_build_object('races', string_to_array($4::text, ' '),
		'vetoes', string_to_array($5::text, ' ')), $1::text
	FROM player WHERE $6::boolean
)
SELECT expect(1, (SELECT count(*) FROM guard), 'changed'),
	expect(1, count(*), 'player')
FROM player
