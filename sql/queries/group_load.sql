-- What a bot remembers of a group: one row, or none.
-- $1 bot   $2 chat_id
SELECT state::text AS conversation FROM conversations WHERE bot = $1::text AND chat_id = $2::bigint
