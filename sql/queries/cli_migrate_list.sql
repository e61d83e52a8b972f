-- What was applied, in order; the time in ms since 1970.
SELECT version, name, checksum, floor(extract(epoch FROM applied_at) * 1000)::bigint AS applied_at
FROM public.schema_migrations
ORDER BY version
