-- Migrations make their tables in the schema public, whatever this role looks through first. For this transaction.
SELECT set_config('search_path', 'public', true)
