-- Opening a chat changes no index: the row's new version stays on its page, where there is room. What the index told, which
-- chat was opened last, the few chats of a person tell as well, by the one of (user_id, persona_id).
ALTER TABLE chats SET (fillfactor = 80);
ALTER TABLE users SET (fillfactor = 80);
ALTER TABLE activity_daily SET (fillfactor = 90);
-- last, for it alone keeps everybody waiting; and only briefly where somebody reads on and on: then migrate fails, and is
-- run again
SET LOCAL lock_timeout = '5s';
DROP INDEX chats_opened;
