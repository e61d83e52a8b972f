-- Places of the leaderboard by plans that are made once in a session, and that never ask for parallel workers: a range of
-- (below, discord_uid, race) is guessed by its first column alone, at a hundred thousand entries where there are a thousand at
-- most, and starting processes to count these took longer than all the rest.

-- As before, each set of filters by its own index; the step before an entry is less than a thousand entries away.
DO $$
DECLARE
	filters text[];
	branches text := '';
BEGIN
	FOREACH filters SLICE 1 IN ARRAY ARRAY[['', '', ''], ['race', '', ''], ['', 'region', ''], ['', '', 'country'], ['race', 'region', ''],
			['race', '', 'country'], ['', 'region', 'country'], ['race', 'region', 'country']] LOOP
		branches := branches || format('
	WHEN %s THEN
		SELECT count(*) INTO passed FROM (
			SELECT FROM leaderboard_1v1 e
			WHERE (e.below, e.discord_uid, e.race) >= (step.below, step.discord_uid, step.entry_race)
				AND (e.below, e.discord_uid, e.race) < (entry.below, entry.discord_uid, entry.race)%s
			ORDER BY e.below, e.discord_uid, e.race LIMIT 1000) before;',
			(SELECT string_agg(format('by_%s IS %sNULL', name, CASE WHEN name = ANY (filters) THEN 'NOT ' END), ' AND ')
				FROM unnest(ARRAY['race', 'region', 'country']) name),
			(SELECT string_agg(format(' AND e.%I = by_%s', name, name), '') FROM unnest(filters) name WHERE name <> ''));
	END LOOP;
	EXECUTE format('
CREATE OR REPLACE FUNCTION leaderboard_place(by_race text, by_region text, by_country text, entry leaderboard_1v1)
RETURNS bigint LANGUAGE plpgsql STABLE SET plan_cache_mode = force_generic_plan AS %L', '
DECLARE
	step leaderboard_1v1_steps;
	passed bigint;
BEGIN
	SELECT * INTO step FROM leaderboard_1v1_steps s
	WHERE s.race = coalesce(by_race, '''') AND s.region = coalesce(by_region, '''') AND s.country = coalesce(by_country, '''')
		AND (s.below, s.discord_uid, s.entry_race) <= (entry.below, entry.discord_uid, entry.race)
	ORDER BY s.below DESC, s.discord_uid DESC, s.entry_race DESC LIMIT 1;
	CASE' || branches || '
	END CASE;
	RETURN step.place + passed;
END ');
END $$;
-- leaderboard_count_sql has no callers now but those that are in the midst of the former leaderboard_place.

-- --- what people mean, as before; nothing is looked up where nothing was said

CREATE OR REPLACE FUNCTION race_of(told text) RETURNS text LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
	RETURN coalesce(
		(SELECT code FROM races WHERE lower(code) = lower(told) OR short_code(code) = told ORDER BY code <> told LIMIT 1),
		(SELECT min(code) FROM races WHERE lower(name) = lower(told) HAVING count(*) = 1));
END $$;
CREATE OR REPLACE FUNCTION region_of(told text) RETURNS text LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
	RETURN coalesce(
		(SELECT code FROM regions WHERE lower(code) = lower(told) OR short_code(code) = told ORDER BY code <> told LIMIT 1),
		(SELECT min(code) FROM regions WHERE lower(name) = lower(told) HAVING count(*) = 1));
END $$;
CREATE OR REPLACE FUNCTION leaderboard_filter(told_race text, told_region text, told_country text)
RETURNS leaderboard_filter LANGUAGE plpgsql STABLE AS $$
DECLARE
	f leaderboard_filter;
BEGIN
	IF told_race <> '' THEN
		f.race := race_of(told_race);
		f.unknown := CASE WHEN f.race IS NULL THEN 'race' END;
	END IF;
	IF told_region <> '' THEN
		f.region := region_of(told_region);
		f.unknown := coalesce(f.unknown, CASE WHEN f.region IS NULL THEN 'region' END);
	END IF;
	IF told_country <> '' THEN
		f.country := country_of(told_country);
		f.unknown := coalesce(f.unknown, CASE WHEN f.country IS NULL THEN 'country' END);
	END IF;
	RETURN f;
END $$;
