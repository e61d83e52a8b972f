/* Messages of bots: sending, editing, deleting, chat actions. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "shoal/base/clock.h"
#include "shoal/base/json.h"
#include "shoal/sim/call.h"
#include "shoal/sim/telegram.h"

#define TEXT_UNITS_MAX 4096

/* --- chats */

struct chat *call_chat_seen(struct call *c)
{
	const char *text = param_text(c, "chat_id");
	int64_t id = 0;

	if (!text) {
		call_fail(c, 400, "Bad Request: chat_id is empty");
		return NULL;
	}
	bool numeric = span_i64(span_of(text), &id);
	c->chat_id = id;
	struct chat *chat = numeric ? bot_chat(c->bot, id) : NULL;
	if (!chat && numeric && sim_user(c->sim, id))
		call_fail(c, 403, "Forbidden: bot can't initiate conversation with a user");
	else if (!chat)
		call_fail(c, 400, "Bad Request: chat not found");
	return chat;
}

struct chat *call_chat(struct call *c)
{
	struct chat *chat = call_chat_seen(c);

	if (!chat || !chat->blocked)
		return chat;
	if (chat->user)
		call_fail(c, 403, "Forbidden: bot was blocked by the user");
	else
		call_fail(c, 403, "Forbidden: bot was kicked from the %s chat", chat->type);
	return NULL;
}

/* --- the parts of a message */

struct content {
	const char *text, *entities, *preview;
	struct markup markup;
};

static bool read_text(struct call *c, struct content *out)
{
	const char *text = param_text(c, "text"), *mode = param_text(c, "parse_mode"), *why = NULL;
	struct formatted f = {0};

	if (!text) {
		call_fail(c, 400, "Bad Request: message text is empty");
		return false;
	}
	struct span s = span_of(text);
	if (!utf8_valid(s)) {
		call_fail(c, 400, "Bad Request: strings must be encoded in UTF-8");
		return false;
	}
	if (!mode) {
		f.text = arena_strndup(c->arena, s.ptr, s.len);
		f.len = s.len;
	} else if (strcasecmp(mode, "HTML") != 0) {
		bool markdown = strncasecmp(mode, "Markdown", 8) == 0;
		call_fail(c, 400,
		          markdown ? "Bad Request: parse_mode %s is not supported by this simulator; use HTML"
		                   : "Bad Request: unsupported parse_mode %s",
		          mode);
		return false;
	} else if (!tg_parse_html(c->arena, s, &f, &why)) {
		call_fail(c, 400, "Bad Request: can't parse entities: %s", why);
		return false;
	}
	formatted_finish(c->arena, &f);
	if (f.len == 0) {
		call_fail(c, 400, "Bad Request: message text is empty");
		return false;
	}
	if (utf8_utf16_len((struct span){f.text, f.len}) > TEXT_UNITS_MAX) {
		call_fail(c, 400, "Bad Request: message is too long");
		return false;
	}
	out->text = f.text;
	out->entities = formatted_entities(c->arena, &f);
	return true;
}

static bool read_markup(struct call *c, struct content *out)
{
	bool bad;
	const char *why;
	const cJSON *v = param_json(c, "reply_markup", &bad);

	if (bad)
		call_fail(c, 400, "Bad Request: can't parse reply keyboard markup JSON object");
	else if (v && !tg_parse_markup(c->arena, v, &out->markup, &why))
		call_fail(c, 400, "%s", why);
	return c->status == 200;
}

static bool read_preview(struct call *c, struct content *out)
{
	bool bad;
	const cJSON *v = param_json(c, "link_preview_options", &bad);
	struct json_writer w;
	struct buf b;

	if (bad || (v && !cJSON_IsObject(v))) {
		call_fail(c, 400, "Bad Request: object expected as link preview options");
		return false;
	}
	if (!v || !v->child)
		return true;
	buf_init(&b, 16u << 10);
	json_writer_init(&w, &b);
	json_put(&w, v);
	out->preview = b.failed ? NULL : arena_strndup(c->arena, b.ptr, b.len);
	buf_release(&b);
	return true;
}

static bool read_reply_to(struct call *c, struct chat *chat, int64_t *out)
{
	bool bad, without = param_bool(c, "allow_sending_without_reply");
	const cJSON *v = param_json(c, "reply_parameters", &bad);
	int64_t id = 0;

	if (bad || (v && !json_i64(v, "message_id", &id))) {
		call_fail(c, 400, "Bad Request: can't parse reply parameters: message_id is needed");
		return false;
	}
	if (v)
		json_bool(v, "allow_sending_without_reply", &without);
	else if (!param_i64(c, "reply_to_message_id", &id))
		id = 0;
	if (id && !chat_message(chat, id)) {
		if (!without)
			call_fail(c, 400, "Bad Request: message to be replied not found");
		return without;
	}
	*out = id;
	return true;
}

static bool same(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static void written(struct call *c, struct chat *chat, struct message *m)
{
	memcpy(m->worker, c->worker, sizeof(m->worker));
	m->waited_us = chat->acted_us ? c->at_us - chat->acted_us : -1;
	chat_changed(chat, m);
	c->message_id = m->id;
	tg_write_message(&c->w, chat, m, false);
}

/* --- methods */

enum outcome tg_send_message(struct call *c)
{
	struct content n = {0};
	int64_t reply_to = 0;
	struct chat *chat = call_chat(c);

	if (!chat || !read_text(c, &n) || !read_markup(c, &n) || !read_preview(c, &n) ||
	    !read_reply_to(c, chat, &reply_to))
		return CALL_DONE;
	struct message *m = chat_add_message(chat, NULL);
	message_set(&m->text, n.text);
	message_set(&m->entities, n.entities);
	message_set(&m->preview, n.preview);
	m->reply_to = reply_to;
	if (n.markup.kind == MARKUP_INLINE)
		message_set(&m->markup, n.markup.json);
	else if (n.markup.kind == MARKUP_KEYBOARD)
		message_set(&chat->reply_keyboard, n.markup.json);
	else if (n.markup.kind == MARKUP_REMOVE)
		message_set(&chat->reply_keyboard, NULL);
	c->sim->messages_out++;
	int64_t waited = chat_replied(chat, clock_us());
	if (waited >= 0)
		samples_add(&c->sim->message_to_reply, waited);
	written(c, chat, m);
	return CALL_DONE;
}

/* The message that an edit names; NULL after call_fail. */
static struct message *message_to_edit(struct call *c, struct chat **chat)
{
	int64_t id = 0;

	if (param_text(c, "inline_message_id")) {
		call_fail(c, 400, "Bad Request: MESSAGE_ID_INVALID");
		return NULL;
	}
	*chat = call_chat(c);
	if (!*chat)
		return NULL;
	if (!param_text(c, "message_id") || !param_i64(c, "message_id", &id)) {
		call_fail(c, 400, "Bad Request: message identifier is not specified");
		return NULL;
	}
	c->message_id = id;
	struct message *m = chat_message(*chat, id);
	if (!m)
		call_fail(c, 400, "Bad Request: message to edit not found");
	else if (m->from)
		call_fail(c, 400, "Bad Request: message can't be edited");
	return m && !m->from ? m : NULL;
}

static bool read_edited_markup(struct call *c, struct content *n)
{
	if (!read_markup(c, n))
		return false;
	if (n->markup.kind == MARKUP_NONE || n->markup.kind == MARKUP_INLINE)
		return true;
	call_fail(c, 400, "Bad Request: inline keyboard expected");
	return false;
}

static enum outcome not_modified(struct call *c)
{
	return call_fail(c, 400,
	                 "Bad Request: message is not modified: specified new message content and reply markup "
	                 "are exactly the same as a current content and reply markup of the message");
}

enum outcome tg_edit_message_text(struct call *c)
{
	struct content n = {0};
	struct chat *chat;
	struct message *m = message_to_edit(c, &chat);

	if (!m || !read_text(c, &n) || !read_edited_markup(c, &n) || !read_preview(c, &n))
		return CALL_DONE;
	if (same(m->text, n.text) && same(m->entities, n.entities) && same(m->markup, n.markup.json))
		return not_modified(c);
	message_set(&m->text, n.text);
	message_set(&m->entities, n.entities);
	message_set(&m->markup, n.markup.json);
	message_set(&m->preview, n.preview);
	m->edit_date = c->at_ms / 1000;
	written(c, chat, m);
	return CALL_DONE;
}

enum outcome tg_edit_message_reply_markup(struct call *c)
{
	struct content n = {0};
	struct chat *chat;
	struct message *m = message_to_edit(c, &chat);

	if (!m || !read_edited_markup(c, &n))
		return CALL_DONE;
	if (same(m->markup, n.markup.json))
		return not_modified(c);
	message_set(&m->markup, n.markup.json);
	m->edit_date = c->at_ms / 1000;
	written(c, chat, m);
	return CALL_DONE;
}

enum outcome tg_delete_message(struct call *c)
{
	struct chat *chat = call_chat(c);
	int64_t id = 0;

	if (!chat)
		return CALL_DONE;
	if (!param_text(c, "message_id") || !param_i64(c, "message_id", &id))
		return call_fail(c, 400, "Bad Request: message identifier is not specified");
	c->message_id = id;
	struct message *m = chat_message(chat, id);
	if (!m)
		return call_fail(c, 400, "Bad Request: message to delete not found");
	if (m->from && !chat->user)
		return call_fail(c, 400, "Bad Request: message can't be deleted");
	m->deleted = true;
	chat_changed(chat, m);
	return call_true(c);
}

enum outcome tg_send_chat_action(struct call *c)
{
	static const char *const actions[] = {
	    "typing",        "upload_photo",      "record_video",      "upload_video",    "record_voice",
	    "upload_voice",  "record_audio",      "upload_audio",      "upload_document", "choose_sticker",
	    "find_location", "record_video_note", "upload_video_note",
	};
	struct chat *chat = call_chat(c);
	const char *action = param_text(c, "action");

	if (!chat)
		return CALL_DONE;
	for (size_t i = 0; action && i < sizeof(actions) / sizeof(actions[0]); i++) {
		if (strcmp(action, actions[i]) == 0) {
			chat_note(chat, "action", action, 0, c->worker, -1);
			return call_true(c);
		}
	}
	return call_fail(c, 400, "Bad Request: wrong parameter action in request");
}
