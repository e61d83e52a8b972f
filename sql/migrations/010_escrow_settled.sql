-- What a trade's money does follows its state, by whomever either is changed: once its money was held, all of it is held
-- while the trade is open, and when it ends it goes to the seller or back, in the same transaction. Trades that were made by
-- hand without holding anything have nothing to follow.
CREATE FUNCTION escrow_settled_fail(trade text, status text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'escrow_settled',
		MESSAGE = format('trade %s is %s, and its money is elsewhere', trade, status);
END $$;

-- No end without its transaction.
CREATE FUNCTION escrow_ended() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
	IF (SELECT count(*) = 1 AND bool_and(kind = 'hold') FROM ledger_transactions WHERE escrow_id = NEW.id) THEN
		PERFORM escrow_settled_fail(NEW.public_id, NEW.status);
	END IF;
	RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER escrow_settled AFTER UPDATE ON escrows DEFERRABLE INITIALLY DEFERRED
	FOR EACH ROW WHEN (NEW.status IS DISTINCT FROM OLD.status AND NEW.status NOT IN ('pending', 'active', 'disputed'))
	EXECUTE FUNCTION escrow_ended();

-- No transaction but that of its state.
CREATE FUNCTION escrow_booked() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
	e escrows;
	money record;
	is_open boolean;
BEGIN
	SELECT bool_or(t.kind = 'hold') AS begun, min(l.currency) AS currency, max(l.currency) AS other_currency,
		coalesce(sum(l.amount) FILTER (WHERE l.account = 'held' AND l.user_id = x.buyer_id), 0) AS held,
		coalesce(sum(l.amount) FILTER (WHERE l.account = 'available' AND l.user_id = x.buyer_id), 0) AS buyers,
		coalesce(sum(l.amount) FILTER (WHERE l.account = 'available' AND l.user_id = x.seller_id), 0) AS sellers
	INTO money
	FROM escrows x JOIN ledger_transactions t ON t.escrow_id = x.id JOIN ledger_entries l ON l.transaction_id = t.id
	WHERE x.id = NEW.escrow_id;
	SELECT * INTO e FROM escrows WHERE id = NEW.escrow_id;
	is_open := e.status IN ('pending', 'active', 'disputed');
	IF money.begun AND (money.currency, money.other_currency, money.held, money.buyers, money.sellers)
			IS DISTINCT FROM (e.currency, e.currency, CASE WHEN is_open THEN e.amount ELSE 0 END::numeric,
				CASE WHEN is_open OR e.status = 'released' THEN -e.amount ELSE 0 END::numeric,
				CASE WHEN e.status = 'released' THEN e.amount ELSE 0 END::numeric) THEN
		PERFORM escrow_settled_fail(e.public_id, e.status);
	END IF;
	RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER escrow_settled AFTER INSERT ON ledger_transactions DEFERRABLE INITIALLY DEFERRED
	FOR EACH ROW WHEN (NEW.escrow_id IS NOT NULL) EXECUTE FUNCTION escrow_booked();

-- What is asked for every entry goes by index, also in sessions that planned it when the tables were small.
ALTER FUNCTION ledger_apply() SET enable_seqscan = off;
ALTER FUNCTION ledger_balanced() SET enable_seqscan = off;
ALTER FUNCTION escrow_ended() SET enable_seqscan = off;
ALTER FUNCTION escrow_booked() SET enable_seqscan = off;

-- Another scale would be other amounts, of all that there are.
CREATE FUNCTION currency_guard() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'currencies_scale',
		MESSAGE = format('%s keeps its scale: amounts are stored in it', OLD.code);
END $$;
CREATE TRIGGER currency_guard BEFORE UPDATE ON currencies
	FOR EACH ROW WHEN (NEW.scale <> OLD.scale) EXECUTE FUNCTION currency_guard();
