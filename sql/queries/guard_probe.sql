-- Whether a commit would find Postgres ready to write: a guard row that no update has, removed with the old ones.
INSERT INTO guards (key) VALUES ('shoal:probe:' || gen_random_uuid())
