-- What was applied, when, and from which text.
CREATE TABLE IF NOT EXISTS public.schema_migrations (
	version    bigint PRIMARY KEY,
	name       text NOT NULL,
	checksum   text NOT NULL, -- SHA-256 of the file, in hexadecimal
	applied_at timestamptz NOT NULL DEFAULT now()
)
