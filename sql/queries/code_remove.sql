-- Removes a start code, if nobody came by it or its uses may go with it. No row: there is none.
-- $1 code   $2 with its uses   $3 actor
SELECT uses, removed FROM remove_code($1::text, $2::boolean, $3::text)
