-- The newest migration that this database has seen.
SELECT version, name FROM public.schema_migrations ORDER BY version DESC LIMIT 1
