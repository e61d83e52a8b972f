-- Three rules more for the ladder's matches and ratings.

-- A match that both reported alike is settled in the same statement: NULL is not what they agreed on. What was there before
-- stays as it is, and is settled by the next report or by an admin.
ALTER TABLE matches_1v1 DROP CONSTRAINT matches_1v1_as_agreed,
	ADD CONSTRAINT matches_1v1_as_agreed
		CHECK (report_1 <> report_2 OR num_nulls(report_1, report_2) > 0 OR result IS NOT DISTINCT FROM report_1) NOT VALID;

-- No play comes near: 40 points a match lead from 1500 to there in more than a thousand. And two so far apart are still
-- rated: power(10, difference / 400) is a float8 up to a difference of 123,200.
UPDATE mmrs_1v1 SET mmr = greatest(-50000, least(50000, mmr)) WHERE mmr NOT BETWEEN -50000 AND 50000;
ALTER TABLE mmrs_1v1 ADD CONSTRAINT mmrs_1v1_bounds CHECK (mmr BETWEEN -50000 AND 50000);

-- As before; and neither leaves the bounds: whoever would gain beyond them gains less, and the other loses as much less.
CREATE OR REPLACE FUNCTION elo_change(mmr_1 int, mmr_2 int, result text) RETURNS int LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT CASE WHEN change > 0 THEN least(change, 50000 - mmr_1, mmr_2 + 50000)
		WHEN change <= 0 THEN greatest(change, -50000 - mmr_1, mmr_2 - 50000) END
	FROM (SELECT round((40 * (CASE result WHEN '1' THEN 1 WHEN 'draw' THEN 0.5 WHEN '2' THEN 0 END
		- 1 / (1 + power(10::float8, (mmr_2 - mmr_1) / 400::float8))))::numeric)::int AS change) elo
$$;

-- What was settled stays, and with it what the ratings have come from.
CREATE FUNCTION match_keep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF OLD.result <> 'conflict' THEN
		RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'matches_1v1_settled_once',
			MESSAGE = format('match %s is settled: it stays', OLD.id);
	END IF;
	RETURN OLD;
END $$;
CREATE TRIGGER match_keep BEFORE DELETE ON matches_1v1 FOR EACH ROW EXECUTE FUNCTION match_keep();
