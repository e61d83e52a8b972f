-- One batch of players who have yet to hear how an admin settled their match.
-- The limit is a literal, so that every plan counts on it; src/worker/fleet_due.c knows it too.
-- $1 match of the last one, or NULL   $2 its side
SELECT n.match_id, CASE n.side WHEN 1 THEN m.player_1 ELSE m.player_2 END AS discord_uid, n.match_id, n.side
FROM ladder_notices n
JOIN matches_1v1 m ON m.id = n.match_id
WHERE $1::bigint IS NULL OR (n.match_id, n.side) > ($1::bigint, $2::int)
ORDER BY n.match_id, n.side
LIMIT 500
