-- One `shoal migrate` at a time on this database: true for whoever may go on; held until the connection ends.
SELECT pg_try_advisory_lock(5500210713) AS mine
