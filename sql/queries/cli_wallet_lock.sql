-- One credit or debit under this key at a time: who comes second sees what the first one did. Until the end of the
-- transaction.
-- $1 key
SELECT pg_advisory_xact_lock(hashtextextended($1::text, 5))
