-- Two players who were paired have a match: once for their pairing, and not before they have reported the last one.
-- $1 key   $2 effects
-- $3 player_1
-- $4 player_2
-- $5 race_1
-- $6 race_2
-- $7 map
-- $8 region
-- $9 channel_1: where player 1 is told
-- $10 channel_2
WITH guard AS (
	INSERT INTO guards (key, effects) VALUES ($1::text, $2::text) RETURNING key
), match AS (
	INSERT INTO matches_1v1 (player_1, player_2, race_1, race_2, map, region, channel_id, channel_1, channel_2,
		idempotency_key)
	SELECT $3::bigint, $4::bigint, $5::text, $6::text, $7::text, $8::text, $9::bigint, $9::bigint, $10::bigint, key
	FROM guard
	WHERE NOT EXISTS (SELECT FROM matches_1v1
			WHERE player_1 IN ($3::bigint, $4::bigint) AND result IS NULL AND report_1 IS NULL)
		AND NOT EXISTS (SELECT FROM matches_1v1
			WHERE player_2 IN ($3::bigint, $4::bigint) AND result IS NULL AND report_2 IS NULL)
	ON CONFLICT (idempotency_key) DO NOTHING
	RETURNING id
)
SELECT expect(1, (SELECT count(*) FROM guard), 'changed'),
	expect(1, count(*), 'made')
FROM match
