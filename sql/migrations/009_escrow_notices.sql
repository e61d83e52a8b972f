-- Who has yet to hear that an admin decided their trade. Written with the decision, gone when it is told: so both hear of
-- it, whatever becomes of the admin's command.
CREATE TABLE escrow_notices (
	escrow_id bigint NOT NULL REFERENCES escrows,
	user_id   bigint NOT NULL REFERENCES users,
	PRIMARY KEY (escrow_id, user_id)
);
CREATE INDEX escrow_notices_user ON escrow_notices (user_id);
