-- How a match changes the ratings of those who played it, and what its commands look up.

-- Where each of the two is told about the match; channel_id is the first one's.
ALTER TABLE matches_1v1 ADD channel_1 bigint, ADD channel_2 bigint;

CREATE INDEX matches_1v1_open_1 ON matches_1v1 (player_1, id) WHERE result IS NULL;
CREATE INDEX matches_1v1_open_2 ON matches_1v1 (player_2, id) WHERE result IS NULL;

-- What player 1 gains and player 2 loses: Elo with K 40 on a logistic of 400 (SPEC 5).
CREATE FUNCTION elo_change(mmr_1 int, mmr_2 int, result text) RETURNS int LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT round((40 * (CASE result WHEN '1' THEN 1 WHEN 'draw' THEN 0.5 WHEN '2' THEN 0 END
		- 1 / (1 + power(10::float8, (mmr_2 - mmr_1) / 400::float8))))::numeric)::int
$$;

-- Changes both ratings after a match, once: whoever calls it has locked the match and seen that it is not settled yet. The
-- rows are locked in one order, whichever side a player is on. Answers what they are then, and what player 1 has gained.
CREATE FUNCTION settle_mmrs(player_1 bigint, race_1 text, player_2 bigint, race_2 text, result text,
	OUT mmr_1 int, OUT mmr_2 int, OUT change int) LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO public.mmrs_1v1 (discord_uid, race)
	SELECT * FROM (VALUES (player_1, race_1), (player_2, race_2)) v (uid, race) ORDER BY uid
	ON CONFLICT DO NOTHING;
	PERFORM FROM public.mmrs_1v1 m WHERE (m.discord_uid, m.race) IN ((player_1, race_1), (player_2, race_2))
	ORDER BY m.discord_uid FOR UPDATE;
	SELECT a.mmr, b.mmr INTO mmr_1, mmr_2 FROM public.mmrs_1v1 a, public.mmrs_1v1 b
	WHERE a.discord_uid = player_1 AND a.race = race_1 AND b.discord_uid = player_2 AND b.race = race_2;
	change := public.elo_change(mmr_1, mmr_2, result);
	UPDATE public.mmrs_1v1 m SET mmr = m.mmr + v.change, games_played = m.games_played + 1,
		games_won = m.games_won + (v.side = result)::int, games_drawn = m.games_drawn + ('draw' = result)::int,
		games_lost = m.games_lost + (result NOT IN (v.side, 'draw'))::int
	FROM (VALUES (player_1, race_1, change, '1'), (player_2, race_2, -change, '2')) v (uid, race, change, side)
	WHERE m.discord_uid = v.uid AND m.race = v.race;
	mmr_1 := mmr_1 + change;
	mmr_2 := mmr_2 - change;
END $$;
