-- Who a player is, the ratings and what was chosen last, a row for each rating; of every player who is meant, by id or
-- else by name, at most six.
-- $1 discord_uid, or NULL
-- $2 name, or NULL
SELECT p.discord_uid AS profile_uid, coalesce(p.player_name, '') AS profile_name,
	coalesce(c.name, p.country, '') AS profile_country, coalesce(r.name, p.region, '') AS profile_region,
	p.setup_completed_at IS NOT NULL AS profile_set_up,
	coalesce((SELECT string_agg(race_label(code), ', ' ORDER BY n)
		FROM unnest(l.last_chosen_races) WITH ORDINALITY chosen (code, n)), '') AS profile_races,
	coalesce((SELECT string_agg(coalesce(maps.name, chosen.code), ', ' ORDER BY n)
		FROM unnest(l.last_chosen_vetoes) WITH ORDINALITY chosen (code, n)
		LEFT JOIN maps ON maps.code = chosen.code), '') AS profile_vetoes,
	coalesce(race_label(m.race), '') AS profile_race, coalesce(m.mmr, 0) AS profile_mmr,
	coalesce(m.games_played, 0) AS profile_played, coalesce(m.games_won, 0) AS profile_won,
	coalesce(m.games_lost, 0) AS profile_lost, coalesce(m.games_drawn, 0) AS profile_drawn
FROM (
	SELECT discord_uid FROM players WHERE discord_uid = $1::bigint
	UNION
	(SELECT discord_uid FROM players WHERE lower(player_name) = lower($2::text) ORDER BY discord_uid LIMIT 6)
) meant
JOIN players p ON p.discord_uid = meant.discord_uid
LEFT JOIN countries c ON c.code = p.country
LEFT JOIN regions r ON r.code = p.region
LEFT JOIN preferences_1v1 l ON l.discord_uid = p.discord_uid
LEFT JOIN mmrs_1v1 m ON m.discord_uid = p.discord_uid
ORDER BY p.discord_uid, m.mmr DESC, m.race
