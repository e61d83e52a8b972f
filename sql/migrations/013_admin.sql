-- What the admin API asks: people by the beginning of their names, and how it removes a start code.

-- Of a time: ms since 1970 for listings. NULL: there is none, or it never comes. Before all time is 0.
CREATE FUNCTION wall_ms(t timestamptz) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT CASE WHEN isfinite(t) THEN floor(extract(epoch FROM t) * 1000)::bigint WHEN t = '-infinity' THEN 0 END
$$;

-- In the order of bytes, so that a beginning is a range, whatever the database's own order is.
CREATE INDEX users_username ON users (lower(username) COLLATE "C");
CREATE INDEX users_first_name ON users (lower(first_name) COLLATE "C");
CREATE INDEX users_source ON users (acquisition_source COLLATE "C");

-- Removes a start code if nobody came by it, or its uses may go with it. Its row is held first, so that nobody comes by
-- it between the count and the end. No row: there is no such code.
CREATE FUNCTION remove_code(the_code text, with_uses boolean, who text) RETURNS TABLE (uses bigint, removed bigint)
LANGUAGE plpgsql AS $$
DECLARE
	held start_codes;
BEGIN
	SELECT * INTO held FROM start_codes WHERE code = the_code FOR UPDATE;
	IF NOT FOUND THEN
		RETURN;
	END IF;
	SELECT count(*) INTO uses FROM start_code_uses u WHERE u.code_id = held.id;
	removed := 0;
	IF uses = 0 OR with_uses THEN
		DELETE FROM start_codes c WHERE c.id = held.id;
		INSERT INTO admin_audit (actor, action, target, details)
		VALUES (who, 'code.remove', 'code:' || held.code, to_jsonb(held) || jsonb_build_object('uses', uses));
		removed := 1;
	END IF;
	RETURN NEXT;
END $$;
