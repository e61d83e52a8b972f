/* What a person does, and the update that the bot hears of it by. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shoal/base/clock.h"
#include "shoal/base/json.h"
#include "shoal/sim/control.h"
#include "shoal/sim/telegram.h"

#define TEXT_UNITS_MAX 4096
#define CAPTION_UNITS_MAX 1024
#define ID_MAX ((1ll << 52) - 1)

static bool refuse(struct deed *d, int status, const char *why)
{
	d->status = status;
	d->why = why;
	return false;
}

static bool read_id(struct deed *d, const cJSON *spec, const char *name, int64_t *out)
{
	if (json_i64(spec, name, out) && *out != 0 && *out >= -ID_MAX && *out <= ID_MAX)
		return true;
	return refuse(d, 422, arena_printf(d->arena, "%s: an integer of at most 52 bits, not 0, is needed", name));
}

static bool start(struct deed *d)
{
	d->update_id = -1;
	if (updates_full(&d->bot->updates))
		return refuse(d, 503, "too many undelivered updates");
	return true;
}

static struct json_writer begin_update(struct deed *d, const char *kind)
{
	struct json_writer w;

	buf_clear(&d->sim->scratch);
	json_writer_init(&w, &d->sim->scratch);
	json_key(&w, kind);
	return w;
}

static bool end_update(struct deed *d, const char *kind, bool by_user, int64_t key)
{
	if (d->sim->scratch.failed)
		return refuse(d, 413, "the update is too long");
	d->update_id =
	    updates_add(&d->bot->updates, kind, (struct update_lane){by_user, key}, buf_span(&d->sim->scratch));
	return true;
}

/* --- people and chats */

bool deed_user(struct deed *d, const cJSON *spec, struct user **out)
{
	int64_t id = 0;
	const char *name = json_str(spec, "first_name");

	if (json_get(spec, "id")) {
		if (!read_id(d, spec, "id", &id))
			return false;
		if (id < 0)
			return refuse(d, 422, "id: people have positive ids");
	} else {
		do /* beyond 32 bits, as today's ids are */
			id = 5000000000 + (int64_t)(random_u64() % 3000000000);
		while (sim_user(d->sim, id));
		if (!name || !*name)
			return refuse(d, 422, "first_name: a new person needs one");
	}
	if (name && utf8_utf16_len(span_of(name)) > 64)
		return refuse(d, 422, "first_name: at most 64 characters");
	*out = sim_put_user(d->sim, id, name, json_str(spec, "username"), json_str(spec, "language_code"));
	return true;
}

/* The person and the chat that a deed takes place in; the chat is opened where `open` is set. */
static bool find_chat(struct deed *d, const cJSON *spec, bool open, struct user **user, struct chat **chat)
{
	int64_t user_id, chat_id;

	if (!read_id(d, spec, "user_id", &user_id))
		return false;
	if (user_id < 0)
		return refuse(d, 422, "user_id: people have positive ids");
	chat_id = user_id;
	if (json_get(spec, "chat_id") && !read_id(d, spec, "chat_id", &chat_id))
		return false;
	if (chat_id > 0 && chat_id != user_id)
		return refuse(d, 422, "chat_id: the person's own id, or a group's negative one");
	*user = sim_put_user(d->sim, user_id, json_str(spec, "first_name"), json_str(spec, "username"),
	                     json_str(spec, "language_code"));
	*chat = open ? bot_open_chat(d->bot, chat_id, *user, json_str(spec, "title")) : bot_chat(d->bot, chat_id);
	if (!*chat)
		return refuse(d, 404, "there is no such chat yet");
	return true;
}

static bool not_blocked(struct deed *d, const struct chat *c)
{
	return !c->blocked || refuse(d, 409, "the bot is blocked here; unblock it first");
}

/* --- messages */

static bool read_content(struct deed *d, const cJSON *spec, struct formatted *f, const char **kind, const char **media)
{
	const char *text = json_str(spec, "text");

	*kind = json_str(spec, "kind");
	if (*kind && strcmp(*kind, "text") == 0)
		*kind = NULL;
	if (*kind) {
		*media = tg_media_json(d->arena, *kind);
		if (!*media)
			return refuse(d, 422, arena_printf(d->arena, "kind: text, %s", tg_media_kinds));
		text = json_str(spec, "caption");
	} else if (!text) {
		return refuse(d, 422, "text or kind is needed");
	}
	f->text = arena_strdup(d->arena, text ? text : "");
	f->len = strlen(f->text);
	formatted_finish(d->arena, f);
	if (!*kind && f->len == 0)
		return refuse(d, 422, "text: must not be empty");
	if (utf8_utf16_len((struct span){f->text, f->len}) > (*kind ? CAPTION_UNITS_MAX : TEXT_UNITS_MAX))
		return refuse(d, 422, "text: too long for one message");
	return true;
}

bool deed_message(struct deed *d, const cJSON *spec)
{
	struct user *u;
	struct chat *c;
	struct formatted f = {0};
	const char *kind, *media = NULL;

	if (!start(d) || !read_content(d, spec, &f, &kind, &media) || !find_chat(d, spec, true, &u, &c) ||
	    !not_blocked(d, c))
		return false;
	struct message *m = chat_add_message(c, u);
	message_set(&m->text, f.text);
	message_set(&m->entities, formatted_entities(d->arena, &f));
	message_set(&m->media_kind, kind);
	message_set(&m->media, media);
	json_i64(spec, "reply_to", &m->reply_to);
	d->message_id = m->id;
	d->sim->messages_in++;
	chat_acted(c, clock_us(), true);
	chat_changed(c, m);
	struct json_writer w = begin_update(d, "message");
	tg_write_message(&w, c, m, false);
	return end_update(d, "message", false, c->id);
}

/* --- presses */

static void write_pressed(struct json_writer *w, struct chat *c, const struct message *m, int64_t message_id)
{
	json_key(w, "message");
	if (m) {
		tg_write_message(w, c, m, false);
		return;
	}
	/* what the platform shows of a message that it cannot show any more */
	json_begin_obj(w);
	json_key(w, "chat");
	tg_write_chat(w, c);
	json_kv_i64(w, "message_id", message_id);
	json_kv_i64(w, "date", 0);
	json_end_obj(w);
}

bool deed_press(struct deed *d, const cJSON *spec)
{
	struct user *u;
	struct chat *c;
	const char *data = json_str(spec, "data");
	bool force = false;
	char instance[24];

	json_bool(spec, "force", &force);
	if (!start(d) || !read_id(d, spec, "message_id", &d->message_id) || !find_chat(d, spec, false, &u, &c) ||
	    !not_blocked(d, c))
		return false;
	if (!data || !*data)
		return refuse(d, 422, "data: the button's callback_data is needed");
	struct message *m = chat_message(c, d->message_id);
	if (!force && (!m || m->from))
		return refuse(d, 404, "the bot has no such message in this chat");
	if (!force && !tg_markup_has(d->arena, m->markup, data))
		return refuse(d, 409, "the message has no such button now");
	struct query *q = sim_add_query(d->sim, c, u, d->message_id);
	snprintf(d->query_id, sizeof(d->query_id), "%lld", (long long)q->id);
	snprintf(instance, sizeof(instance), "%lld", (long long)c->instance);
	d->sim->presses_in++;
	chat_acted(c, q->at_us, false);
	struct json_writer w = begin_update(d, "callback_query");
	json_begin_obj(&w);
	json_kv_str(&w, "id", d->query_id);
	json_key(&w, "from");
	tg_write_user(&w, u);
	write_pressed(&w, c, m, d->message_id);
	json_kv_str(&w, "chat_instance", instance);
	json_kv_str(&w, "data", data);
	json_end_obj(&w);
	return end_update(d, "callback_query", true, u->id);
}

/* --- coming and going */

static void write_member(struct json_writer *w, const char *name, const struct bot *b, const char *status)
{
	json_key(w, name);
	json_begin_obj(w);
	json_key(w, "user");
	tg_write_bot(w, b);
	json_kv_str(w, "status", status);
	if (strcmp(status, "kicked") == 0)
		json_kv_i64(w, "until_date", 0);
	json_end_obj(w);
}

static bool member_changed(struct deed *d, struct chat *c, const struct user *by, const char *from, const char *to)
{
	struct json_writer w = begin_update(d, "my_chat_member");

	json_begin_obj(&w);
	json_key(&w, "chat");
	tg_write_chat(&w, c);
	json_key(&w, "from");
	tg_write_user(&w, by);
	json_kv_i64(&w, "date", clock_wall_ms() / 1000);
	write_member(&w, "old_chat_member", d->bot, from);
	write_member(&w, "new_chat_member", d->bot, to);
	json_end_obj(&w);
	return end_update(d, "my_chat_member", false, c->id);
}

bool deed_block(struct deed *d, const cJSON *spec, bool block)
{
	struct user *u;
	struct chat *c;

	if (!start(d) || !find_chat(d, spec, false, &u, &c))
		return false;
	if (c->blocked == block)
		return true; /* as it is already: nothing to tell */
	c->blocked = block;
	chat_note(c, block ? "blocked" : "unblocked", NULL, 0, NULL, -1);
	return member_changed(d, c, u, block ? "member" : "kicked", block ? "kicked" : "member");
}

bool deed_group(struct deed *d, const cJSON *spec)
{
	int64_t id = 0;
	struct user *u;

	if (!start(d) || !read_id(d, spec, "user_id", &id))
		return false;
	if (id < 0)
		return refuse(d, 422, "user_id: people have positive ids");
	u = sim_put_user(d->sim, id, json_str(spec, "first_name"), NULL, NULL);
	if (json_get(spec, "chat_id")) {
		if (!read_id(d, spec, "chat_id", &id))
			return false;
	} else {
		id = -(1000000000 + (int64_t)(random_u64() % 3000000000));
	}
	if (id > 0)
		return refuse(d, 422, "chat_id: groups have negative ids");
	if (bot_chat(d->bot, id))
		return refuse(d, 409, "there is such a group already");
	struct chat *c = bot_open_chat(d->bot, id, NULL, json_str(spec, "title"));
	d->message_id = 0;
	d->chat_id = c->id;
	return member_changed(d, c, u, "left", "member");
}

/* --- raw updates */

static int64_t id_of(const cJSON *object, const char *name)
{
	int64_t id = 0;
	json_i64(json_obj(object, name), "id", &id);
	return id;
}

/* A bot may answer where a raw message came from. */
static void open_for_raw(struct deed *d, const cJSON *object)
{
	const cJSON *from = json_obj(object, "from"), *chat = json_obj(object, "chat");
	int64_t user_id = id_of(object, "from"), chat_id = id_of(object, "chat");

	if (user_id <= 0 || chat_id == 0 || (chat_id > 0 && chat_id != user_id))
		return;
	struct user *u = sim_put_user(d->sim, user_id, json_str(from, "first_name"), json_str(from, "username"),
	                              json_str(from, "language_code"));
	chat_acted(bot_open_chat(d->bot, chat_id, u, json_str(chat, "title")), clock_us(), true);
}

bool deed_update(struct deed *d, const cJSON *spec)
{
	const cJSON *update = json_obj(spec, "update"), *v;
	const char *kind = NULL;
	struct update_lane lane = {false, 0};

	if (!start(d))
		return false;
	for (v = update ? update->child : NULL; v && !kind; v = v->next)
		kind = strcmp(v->string, "update_id") != 0 ? v->string : NULL;
	if (!kind)
		return refuse(d, 422, "update: an object with a member beside update_id is needed");
	const cJSON *object = json_obj(update, kind);
	if (strcmp(kind, "callback_query") == 0 && id_of(object, "from"))
		lane = (struct update_lane){true, id_of(object, "from")};
	else if (id_of(object, "chat"))
		lane.key = id_of(object, "chat");
	else if (id_of(object, "from"))
		lane = (struct update_lane){true, id_of(object, "from")};
	else
		lane.key = d->bot->updates.next_id;
	if (strcmp(kind, "message") == 0)
		open_for_raw(d, object);

	struct json_writer w;
	buf_clear(&d->sim->scratch);
	json_writer_init(&w, &d->sim->scratch);
	for (v = update->child; v; v = v->next) {
		if (strcmp(v->string, "update_id") == 0)
			continue;
		json_key(&w, v->string);
		json_put(&w, v);
	}
	return end_update(d, kind, lane.by_user, lane.key);
}
