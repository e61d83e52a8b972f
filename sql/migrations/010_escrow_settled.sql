-- What a trade's money does follows its state, by whomever either is changed: once its money was held, all of it is held
-- while the trade is open, and when it ends it goes to the seller or back, in the same transaction. Trades that were made by
-- hand without holding anything have nothing to follow.
CREATE FUNCTION escrow_settled() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
	the_id bigint;
	wrong record;
BEGIN
	IF TG_TABLE_NAME = 'escrows' THEN
		the_id := NEW.id;
	ELSE
		the_id := NEW.escrow_id;
	END IF;
	SELECT e.public_id, e.status INTO wrong
	FROM escrows e
	CROSS JOIN LATERAL (
		SELECT bool_or(t.kind = 'hold') AS begun, bool_and(l.currency = e.currency) AS same,
			coalesce(sum(l.amount) FILTER (WHERE l.account = 'held' AND l.user_id = e.buyer_id), 0) AS held,
			coalesce(sum(l.amount) FILTER (WHERE l.account = 'available' AND l.user_id = e.buyer_id), 0) AS buyers,
			coalesce(sum(l.amount) FILTER (WHERE l.account = 'available' AND l.user_id = e.seller_id), 0) AS sellers
		FROM ledger_transactions t JOIN ledger_entries l ON l.transaction_id = t.id
		WHERE t.escrow_id = e.id
	) money
	WHERE e.id = the_id AND money.begun AND NOT (money.same AND (money.held, money.buyers, money.sellers) = (
		CASE WHEN e.status IN ('pending', 'active', 'disputed') THEN e.amount ELSE 0 END,
		CASE WHEN e.status IN ('pending', 'active', 'disputed', 'released') THEN -e.amount ELSE 0 END,
		CASE WHEN e.status = 'released' THEN e.amount ELSE 0 END));
	IF FOUND THEN
		RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'escrow_settled',
			MESSAGE = format('trade %s is %s, and its money is elsewhere', wrong.public_id, wrong.status);
	END IF;
	RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER escrow_settled AFTER UPDATE ON escrows DEFERRABLE INITIALLY DEFERRED
	FOR EACH ROW WHEN (NEW.status IS DISTINCT FROM OLD.status) EXECUTE FUNCTION escrow_settled();
CREATE CONSTRAINT TRIGGER escrow_settled AFTER INSERT ON ledger_transactions DEFERRABLE INITIALLY DEFERRED
	FOR EACH ROW WHEN (NEW.escrow_id IS NOT NULL) EXECUTE FUNCTION escrow_settled();

-- Another scale would be other amounts, of all that there are.
CREATE FUNCTION currency_guard() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'currencies_scale',
		MESSAGE = format('%s keeps its scale: amounts are stored in it', OLD.code);
END $$;
CREATE TRIGGER currency_guard BEFORE UPDATE ON currencies
	FOR EACH ROW WHEN (NEW.scale <> OLD.scale) EXECUTE FUNCTION currency_guard();
