-- Whether what this database tells is heard. $1: a word that nobody else knows.
SELECT pg_notify('shoal_cache', 'probe ' || $1)
