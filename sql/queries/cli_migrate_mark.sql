-- First of all in a migration's transaction: no row where another one was faster.
-- $1 version   $2 name   $3 checksum
INSERT INTO public.schema_migrations (version, name, checksum) VALUES ($1::bigint, $2::text, $3::text)
ON CONFLICT (version) DO NOTHING
RETURNING version
