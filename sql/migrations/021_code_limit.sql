-- A first-touch use of a code as before. Who is refused hears which limit was reached, as a worker that remembers it must
-- not take it for the one that it knows: it may have been changed, and be about to be changed back.
CREATE OR REPLACE FUNCTION use_code(the_code bigint, the_user bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
	allowed bigint;
	used bigint;
BEGIN
	SELECT max_uses INTO allowed FROM start_codes WHERE id = the_code FOR KEY SHARE;
	IF NOT FOUND THEN
		RAISE EXCEPTION USING ERRCODE = 'SH001', MESSAGE = 'code_gone';
	END IF;
	IF allowed IS NOT NULL THEN
		SELECT max_uses INTO allowed FROM start_codes WHERE id = the_code FOR NO KEY UPDATE;
		SELECT count(*) INTO used FROM (SELECT FROM start_code_uses WHERE code_id = the_code LIMIT allowed) u;
		IF used >= allowed THEN
			RAISE EXCEPTION USING ERRCODE = 'SH001', MESSAGE = 'used_up', DETAIL = allowed;
		END IF;
	END IF;
	INSERT INTO start_code_uses (code_id, user_id) VALUES (the_code, the_user) ON CONFLICT (user_id) DO NOTHING;
	RETURN 1;
END $$;
