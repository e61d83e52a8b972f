-- A row where an update has committed, as far back as guards are kept.
SELECT FROM guards WHERE key NOT LIKE 'shoal:probe:%' ORDER BY at DESC LIMIT 1
