-- Two rules more for the entries of the ledger, and a bound for wallets, far beyond what credits may bring in (AMOUNT_MAX,
-- include/shoal/model/amount.h), and so far from the end of bigint that no booking of the program reaches that.
ALTER TABLE wallets ADD CONSTRAINT wallets_bound CHECK (available::numeric + held <= 9000000000000000000);

-- NULL: before this was written down.
ALTER TABLE ledger_entries ADD COLUMN booked_in xid8;
ALTER TABLE ledger_entries ALTER COLUMN booked_in SET DEFAULT pg_current_xact_id();

-- As before; and what is booked is closed when it is committed: nothing is added to it later. Only trades hold money. SH001
-- with `full` is for who would get it.
CREATE OR REPLACE FUNCTION ledger_apply() RETURNS trigger
LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
	change record;
	wrong record;
BEGIN
	IF pg_trigger_depth() > 1 THEN
		RETURN NULL; -- wallet_opening: the wallet has the balance already
	END IF;
	FOR wrong IN
		SELECT t.id, added.account = 'held' AND t.escrow_id IS NULL AS stray
		FROM added JOIN ledger_transactions t ON t.id = added.transaction_id
		WHERE (added.account = 'held' AND t.escrow_id IS NULL) OR EXISTS (SELECT FROM ledger_entries o
			WHERE o.transaction_id = t.id AND o.booked_in IS DISTINCT FROM pg_current_xact_id())
	LOOP
		RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = CASE WHEN wrong.stray THEN 'ledger_held' ELSE 'ledger_closed' END,
			MESSAGE = format(CASE WHEN wrong.stray THEN 'ledger transaction %s holds money, but is of no trade'
				ELSE 'ledger transaction %s is closed: book another one' END, wrong.id);
	END LOOP;
	FOR change IN
		SELECT user_id, currency,
			coalesce(sum(amount) FILTER (WHERE account = 'available'), 0) AS available,
			coalesce(sum(amount) FILTER (WHERE account = 'held'), 0) AS held
		FROM added WHERE account <> 'outside'
		GROUP BY user_id, currency ORDER BY user_id, currency
	LOOP
		UPDATE wallets SET available = available + change.available, held = held + change.held
		WHERE user_id = change.user_id AND currency = change.currency
			AND available + change.available >= 0 AND held + change.held >= 0
			AND available + change.available + held + change.held <= 9000000000000000000;
		CONTINUE WHEN FOUND;
		IF change.available < 0 OR change.held < 0 THEN
			RAISE EXCEPTION USING ERRCODE = 'SH001', MESSAGE = 'funds';
		ELSIF change.available + change.held > 9000000000000000000
			OR EXISTS (SELECT FROM wallets WHERE user_id = change.user_id AND currency = change.currency) THEN
			RAISE EXCEPTION USING ERRCODE = 'SH001', MESSAGE = 'full';
		END IF;
		INSERT INTO wallets AS w (user_id, currency, available, held)
		VALUES (change.user_id, change.currency, change.available, change.held)
		ON CONFLICT (user_id, currency) DO UPDATE SET
			available = w.available + excluded.available, held = w.held + excluded.held;
	END LOOP;
	RETURN NULL;
END $$;
