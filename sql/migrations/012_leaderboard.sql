-- The leaderboard: an entry for each race that a player has a rating in, best first; of equal ratings the older account
-- first. Any filter by race, region and country has places of its own.
--
-- The places themselves are not kept with the entries: one rating that changes moves a thousand others by one, and all
-- of their rows would be written anew every minute. Instead each thousandth place of every filter is kept as a step: a
-- page, or the place of one entry, is found from the step before it, by index, in at most a thousand entries.

CREATE MATERIALIZED VIEW leaderboard_1v1 AS
SELECT m.discord_uid, m.race, -m.mmr AS below, p.player_name, p.country, p.region, m.games_played
FROM mmrs_1v1 m JOIN players p ON p.discord_uid = m.discord_uid;
CREATE UNIQUE INDEX leaderboard_1v1_entry ON leaderboard_1v1 (discord_uid, race);

-- For each set of filters an index, in whose order the steps are counted; '' in a step: any.
DO $$
DECLARE
	filters text;
	steps text[] := '{}';
BEGIN
	FOREACH filters IN ARRAY ARRAY['', 'race', 'region', 'country', 'race, region', 'race, country', 'region, country',
			'race, region, country'] LOOP
		EXECUTE format('CREATE INDEX ON leaderboard_1v1 (%s below, discord_uid %s)', nullif(filters, '') || ',',
			CASE WHEN filters NOT LIKE '%race%' THEN ', race' END);
		steps := steps || format(
			'SELECT %s AS race, %s AS region, %s AS country, place, below, discord_uid, race AS entry_race FROM ('
			'SELECT *, row_number() OVER w AS place, lead(below) OVER w IS NULL AS last FROM leaderboard_1v1 '
			'WINDOW w AS (%s ORDER BY below, discord_uid, race)) entries WHERE (place %% 1000 = 1 OR last) %s',
			CASE WHEN filters LIKE '%race%' THEN 'race' ELSE '''''' END,
			CASE WHEN filters LIKE '%region%' THEN 'region' ELSE '''''' END,
			CASE WHEN filters LIKE '%country%' THEN 'country' ELSE '''''' END,
			'PARTITION BY ' || nullif(filters, ''),
			(SELECT string_agg(format('AND %s IS NOT NULL', f), ' ') FROM unnest(string_to_array(filters, ', ')) f));
	END LOOP;
	EXECUTE 'CREATE MATERIALIZED VIEW leaderboard_1v1_steps AS ' || array_to_string(steps, ' UNION ALL ');
END $$;
CREATE UNIQUE INDEX leaderboard_1v1_steps_place ON leaderboard_1v1_steps (race, region, country, place);
CREATE INDEX leaderboard_1v1_steps_entry ON leaderboard_1v1_steps
	(race, region, country, below, discord_uid, entry_race);

CREATE TABLE leaderboard_1v1_state (
	one          boolean PRIMARY KEY DEFAULT true CHECK (one),
	refreshed_at timestamptz,
	changes      bigint -- of the tables that it is made of, as the server has counted them until then
);
INSERT INTO leaderboard_1v1_state DEFAULT VALUES;

-- Makes it anew while it is read. Returns the number of its entries. Unless `always`, nothing is done, and NULL
-- returned, where somebody else is at it or nothing has changed since: what changed is counted after it is committed,
-- and read here before the refresh looks, so that a change is seen at the latest by the next one.
CREATE FUNCTION leaderboard_refresh(always boolean) RETURNS bigint LANGUAGE plpgsql
SET work_mem = '64MB' SET jit = off SET max_parallel_workers_per_gather = 0 AS $$
DECLARE
	counted bigint;
BEGIN
	IF always THEN
		PERFORM pg_advisory_xact_lock(hashtext('leaderboard_1v1'));
	ELSIF NOT pg_try_advisory_xact_lock(hashtext('leaderboard_1v1')) THEN
		RETURN NULL;
	END IF;
	IF current_setting('track_counts')::boolean THEN
		SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) INTO counted
		FROM pg_stat_user_tables WHERE relid IN ('mmrs_1v1'::regclass, 'players'::regclass);
	END IF;
	IF NOT always AND counted = (SELECT changes FROM leaderboard_1v1_state) THEN
		RETURN NULL;
	END IF;
	REFRESH MATERIALIZED VIEW CONCURRENTLY leaderboard_1v1;
	REFRESH MATERIALIZED VIEW CONCURRENTLY leaderboard_1v1_steps;
	UPDATE leaderboard_1v1_state SET refreshed_at = clock_timestamp(), changes = counted;
	PERFORM tell_cache('board', '{*}');
	RETURN coalesce((SELECT max(place) FROM leaderboard_1v1_steps WHERE (race, region, country) = ('', '', '')), 0);
END $$;

-- --- what people mean

-- A code as it travels in a button, where there is little room.
CREATE FUNCTION short_code(code text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT CASE WHEN length(code) <= 12 THEN code ELSE '~' || left(md5(code), 8) END
$$;

-- By code, as of a button or typed, or by a name that no other has; NULL: there is none.
CREATE FUNCTION race_of(told text) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
	SELECT coalesce(
		(SELECT code FROM races WHERE lower(code) = lower(told) OR short_code(code) = told ORDER BY code <> told LIMIT 1),
		(SELECT min(code) FROM races WHERE lower(name) = lower(told) HAVING count(*) = 1))
$$;
CREATE FUNCTION region_of(told text) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
	SELECT coalesce(
		(SELECT code FROM regions WHERE lower(code) = lower(told) OR short_code(code) = told ORDER BY code <> told LIMIT 1),
		(SELECT min(code) FROM regions WHERE lower(name) = lower(told) HAVING count(*) = 1))
$$;

-- "Zerg (sc2)"; of a code that is gone, the code.
CREATE FUNCTION race_label(wanted text) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
	SELECT coalesce((SELECT coalesce(nullif(name, ''), code) || coalesce(' (' || nullif(game, '') || ')', '')
		FROM races WHERE code = wanted), wanted)
$$;

-- --- pages and places; a filter that is NULL lets everything pass

-- The entries of a filter from one of them on, in order. $1 to $3 the filter   $4 to $6 that entry
CREATE FUNCTION leaderboard_from(race text, region text, country text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT 'FROM leaderboard_1v1 WHERE (below, discord_uid, race) >= ($4, $5, $6)'
		|| CASE WHEN race IS NULL THEN '' ELSE ' AND race = $1' END
		|| CASE WHEN region IS NULL THEN '' ELSE ' AND region = $2' END
		|| CASE WHEN country IS NULL THEN '' ELSE ' AND country = $3' END
$$;

-- $7 how many are passed over   $8 how many are wanted
CREATE FUNCTION leaderboard_entries_sql(race text, region text, country text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT 'SELECT * ' || leaderboard_from(race, region, country)
		|| ' ORDER BY below, discord_uid, race OFFSET $7 LIMIT $8'
$$;

-- $7 to $9 the entry before which they are counted
CREATE FUNCTION leaderboard_count_sql(race text, region text, country text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT 'SELECT count(*) ' || leaderboard_from(race, region, country)
		|| ' AND (below, discord_uid, race) < ($7, $8, $9)'
$$;

-- The place of an entry among those that pass as it does.
CREATE FUNCTION leaderboard_place(by_race text, by_region text, by_country text, entry leaderboard_1v1) RETURNS bigint
LANGUAGE plpgsql STABLE AS $$
DECLARE
	step leaderboard_1v1_steps;
	passed bigint;
BEGIN
	SELECT * INTO step FROM leaderboard_1v1_steps s
	WHERE s.race = coalesce(by_race, '') AND s.region = coalesce(by_region, '') AND s.country = coalesce(by_country, '')
		AND (s.below, s.discord_uid, s.entry_race) <= (entry.below, entry.discord_uid, entry.race)
	ORDER BY s.below DESC, s.discord_uid DESC, s.entry_race DESC LIMIT 1;
	EXECUTE leaderboard_count_sql(by_race, by_region, by_country) INTO passed
	USING by_race, by_region, by_country, step.below, step.discord_uid, step.entry_race,
		entry.below, entry.discord_uid, entry.race;
	RETURN step.place + passed;
END $$;

-- The entries from one place on.
CREATE FUNCTION leaderboard_entries(by_race text, by_region text, by_country text, first bigint, wanted bigint)
RETURNS SETOF leaderboard_1v1 LANGUAGE plpgsql STABLE AS $$
DECLARE
	step leaderboard_1v1_steps;
BEGIN
	SELECT * INTO step FROM leaderboard_1v1_steps s
	WHERE s.race = coalesce(by_race, '') AND s.region = coalesce(by_region, '') AND s.country = coalesce(by_country, '')
		AND s.place <= first
	ORDER BY s.place DESC LIMIT 1;
	RETURN QUERY EXECUTE leaderboard_entries_sql(by_race, by_region, by_country)
	USING by_race, by_region, by_country, step.below, step.discord_uid, step.entry_race, first - step.place, wanted;
END $$;

-- How many pass.
CREATE FUNCTION leaderboard_total(by_race text, by_region text, by_country text) RETURNS bigint
LANGUAGE sql STABLE AS $$
	SELECT coalesce(max(place), 0) FROM leaderboard_1v1_steps
	WHERE race = coalesce(by_race, '') AND region = coalesce(by_region, '') AND country = coalesce(by_country, '')
$$;

-- What somebody filters by: each '' (any) or as they said it. A filter that means nothing is named in `unknown`.
CREATE TYPE leaderboard_filter AS (unknown text, race text, region text, country text);
CREATE FUNCTION leaderboard_filter(told_race text, told_region text, told_country text) RETURNS leaderboard_filter
LANGUAGE sql STABLE AS $$
	SELECT CASE
		WHEN told_race <> '' AND race IS NULL THEN 'race'
		WHEN told_region <> '' AND region IS NULL THEN 'region'
		WHEN told_country <> '' AND country IS NULL THEN 'country' END, race, region, country
	FROM (SELECT race_of(told_race) AS race, region_of(told_region) AS region, country_of(told_country) AS country) found
$$;
