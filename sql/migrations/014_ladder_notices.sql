-- Who has yet to hear that an admin settled their match. Written with the decision, gone when it is told. No references:
-- what has gone is simply not told.
CREATE TABLE ladder_notices (
	match_id bigint NOT NULL,
	side     int    NOT NULL CHECK (side IN (1, 2)),
	PRIMARY KEY (match_id, side)
);
