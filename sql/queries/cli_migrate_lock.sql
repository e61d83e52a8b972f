-- One `shoal migrate` at a time on this database: true for whoever may go on; held until the transaction ends. Not longer, as
-- behind a pooler the session is nobody's, and would keep it.
SELECT pg_try_advisory_xact_lock(5500210713) AS mine
