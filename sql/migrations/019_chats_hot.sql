-- Opening a chat changes no index: the row's new version stays on its page, where there is room. What the index told, which
-- chat was opened last, the few chats of a person tell as well, by the one of (user_id, persona_id).
DROP INDEX chats_opened;
ALTER TABLE chats SET (fillfactor = 80);
ALTER TABLE users SET (fillfactor = 80);
ALTER TABLE activity_daily SET (fillfactor = 90);
