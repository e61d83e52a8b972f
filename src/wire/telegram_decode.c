#include "shoal/wire/telegram.h"

#include <string.h>

#include "shoal/model/decision.h"
#include "shoal/wire/data.h"
#include "shoal/wire/own.h"

enum { NAME_BYTES = 1024, NAME_UNITS = 256 };

/* Every field of Update. What bots act on has a shape of its own; the rest is only placed. */
static const struct telegram_kind kinds[] = {
    {"message", TELEGRAM_MESSAGE, "chat", "from"},
    {"callback_query", TELEGRAM_PRESS, "message.chat", "from"},
    {"my_chat_member", TELEGRAM_MEMBER, "chat", "from"},
    {"edited_message", TELEGRAM_PLAIN, "chat", "from"},
    {"channel_post", TELEGRAM_PLAIN, "chat", "from"},
    {"edited_channel_post", TELEGRAM_PLAIN, "chat", "from"},
    {"business_connection", TELEGRAM_PLAIN, NULL, "user"},
    {"business_message", TELEGRAM_PLAIN, "chat", "from"},
    {"edited_business_message", TELEGRAM_PLAIN, "chat", "from"},
    {"deleted_business_messages", TELEGRAM_PLAIN, "chat", NULL},
    {"guest_message", TELEGRAM_PLAIN, "chat", "from"},
    {"message_reaction", TELEGRAM_PLAIN, "chat", "user"},
    {"message_reaction_count", TELEGRAM_PLAIN, "chat", NULL},
    {"inline_query", TELEGRAM_PLAIN, NULL, "from"},
    {"chosen_inline_result", TELEGRAM_PLAIN, NULL, "from"},
    {"shipping_query", TELEGRAM_PLAIN, NULL, "from"},
    {"pre_checkout_query", TELEGRAM_PLAIN, NULL, "from"},
    {"purchased_paid_media", TELEGRAM_PLAIN, NULL, "from"},
    {"poll", TELEGRAM_PLAIN, NULL, NULL},
    {"poll_answer", TELEGRAM_PLAIN, "voter_chat", "user"},
    {"chat_member", TELEGRAM_PLAIN, "chat", "from"},
    {"chat_join_request", TELEGRAM_PLAIN, "chat", "from"},
    {"chat_boost", TELEGRAM_PLAIN, "chat", "boost.source.user"},
    {"removed_chat_boost", TELEGRAM_PLAIN, "chat", "source.user"},
    {"managed_bot", TELEGRAM_PLAIN, NULL, "user"},
};

/* A kind of a later API most likely keeps the names that all present ones use. */
static const struct telegram_kind unknown_kinds[] = {
    {"unknown", TELEGRAM_PLAIN, "chat", "from"},
    {"unknown", TELEGRAM_PLAIN, "message.chat", "user"},
};

/* Content of a message without text. The first that is there names it: those that Telegram doubles for old clients
 * (animation also as document, venue also as location, live photo also as photo) come before their doubles. */
static const char *const media_names[] = {
    "animation",    "live_photo",    "photo",    "sticker",    "story",     "video",    "video_note",
    "voice",        "audio",         "document", "paid_media", "checklist", "contact",  "dice",
    "game",         "poll",          "venue",    "location",   "invoice",   "giveaway", "giveaway_winners",
    "rich_message", "passport_data",
};

static const char *const service_names[] = {
    "new_chat_members",
    "left_chat_member",
    "chat_owner_left",
    "chat_owner_changed",
    "new_chat_title",
    "new_chat_photo",
    "delete_chat_photo",
    "group_chat_created",
    "supergroup_chat_created",
    "channel_chat_created",
    "message_auto_delete_timer_changed",
    "migrate_to_chat_id",
    "migrate_from_chat_id",
    "pinned_message",
    "successful_payment",
    "refunded_payment",
    "users_shared",
    "chat_shared",
    "gift",
    "unique_gift",
    "gift_upgrade_sent",
    "connected_website",
    "write_access_allowed",
    "proximity_alert_triggered",
    "boost_added",
    "chat_background_set",
    "checklist_tasks_done",
    "checklist_tasks_added",
    "direct_message_price_changed",
    "forum_topic_created",
    "forum_topic_edited",
    "forum_topic_closed",
    "forum_topic_reopened",
    "general_forum_topic_hidden",
    "general_forum_topic_unhidden",
    "giveaway_created",
    "giveaway_completed",
    "managed_bot_created",
    "paid_message_price_changed",
    "poll_option_added",
    "poll_option_deleted",
    "suggested_post_approved",
    "suggested_post_approval_failed",
    "suggested_post_declined",
    "suggested_post_paid",
    "suggested_post_refunded",
    "video_chat_scheduled",
    "video_chat_started",
    "video_chat_ended",
    "video_chat_participants_invited",
    "web_app_data",
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* "message.chat" inside obj; NULL where any step is no object. */
static const cJSON *at_path(const cJSON *obj, const char *path)
{
	char step[32];

	while (obj && *path) {
		size_t len = strcspn(path, ".");

		if (len >= sizeof(step))
			BUG("path step too long: %s", path);
		memcpy(step, path, len);
		step[len] = 0;
		obj = json_obj(obj, step);
		path += len + (path[len] == '.');
	}
	return obj;
}

/* The object at path if it has an integer id. */
static const cJSON *with_id(const cJSON *obj, const char *path, int64_t *id)
{
	const cJSON *found = path ? at_path(obj, path) : NULL;

	*id = 0;
	return found && json_i64(found, "id", id) ? found : NULL;
}

static void place(struct telegram_place *p, const struct telegram_kind *kind, const cJSON *object)
{
	*p = (struct telegram_place){.kind = kind, .object = object};
	p->chat = with_id(object, kind->chat, &p->chat_id);
	p->sender = with_id(object, kind->sender, &p->sender_id);
}

static void place_unknown(const cJSON *update, struct telegram_place *p)
{
	const cJSON *object = NULL, *member;

	cJSON_ArrayForEach(member, update)
	{
		if (cJSON_IsObject(member)) {
			object = member;
			break;
		}
	}
	for (size_t i = 0; i < COUNT(unknown_kinds); i++) {
		place(p, &unknown_kinds[i], object);
		if (p->chat || p->sender)
			return;
	}
}

void telegram_locate(const cJSON *update, struct telegram_place *out)
{
	for (size_t i = 0; i < COUNT(kinds); i++) {
		const cJSON *object = json_obj(update, kinds[i].name);

		if (object) {
			place(out, &kinds[i], object);
			return;
		}
	}
	place_unknown(update, out);
}

static enum chat_kind chat_kind_of(const cJSON *chat, int64_t id)
{
	static const struct {
		const char *type;
		enum chat_kind kind;
	} types[] = {
	    {"private", CHAT_PRIVATE}, {"group", CHAT_GROUP}, {"supergroup", CHAT_GROUP}, {"channel", CHAT_CHANNEL}};
	const char *type = json_str(chat, "type");

	for (size_t i = 0; type && i < COUNT(types); i++) {
		if (strcmp(type, types[i].type) == 0)
			return types[i].kind;
	}
	return id > 0 ? CHAT_PRIVATE : CHAT_GROUP;
}

/* Telegram's names have 64 characters at most. A longer one is from somebody else, and an index takes 2,704 bytes. */
static const char *name_in(const cJSON *user, const char *field, struct arena *a)
{
	const char *name = json_str(user, field);

	return name && strlen(name) > NAME_BYTES ? text_fit(a, name, NAME_UNITS) : name;
}

static void read_person(const cJSON *user, struct arena *a, struct person *p)
{
	if (!user || !json_i64(user, "id", &p->id))
		return;
	p->first_name = name_in(user, "first_name", a);
	p->username = name_in(user, "username", a);
	p->language_code = json_str(user, "language_code");
	json_bool(user, "is_bot", &p->is_bot);
}

static void read_place(const struct telegram_place *p, struct arena *a, struct update *u)
{
	u->kind_name = p->kind->name;
	u->chat_id = p->chat_id;
	if (p->chat && p->chat_id != 0)
		u->chat = chat_kind_of(p->chat, p->chat_id);
	read_person(p->sender, a, &u->from);
	/* A private chat is its person, under the same id. */
	if (!p->sender && u->chat == CHAT_PRIVATE)
		read_person(p->chat, a, &u->from);
}

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_word_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* "/word", "/word@bot", "/word payload". False: an ordinary text. */
static bool read_command(const char *text, struct arena *a, struct update *u)
{
	const char *p = text, *end;
	char word[DATA_WORD_MAX + 1];
	size_t n = 0;

	if (*p++ != '/')
		return false;
	while (n < DATA_WORD_MAX && is_word_char(lower(*p)))
		word[n++] = lower(*p++);
	if (n == 0)
		return false;
	if (*p == '@') {
		const char *name = ++p;

		while (is_word_char(lower(*p)))
			p++;
		if (p == name)
			return false;
	}
	if (*p && !is_space(*p))
		return false;
	while (is_space(*p))
		p++;
	end = p + strlen(p);
	while (end > p && is_space(end[-1]))
		end--;
	u->word = arena_strndup(a, word, n);
	u->payload = arena_strndup(a, p, (size_t)(end - p));
	return true;
}

/* A field counts as there unless it is null or false. */
static const char *first_there(const cJSON *obj, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const cJSON *v = json_get(obj, names[i]);

		if (v && !cJSON_IsNull(v) && !cJSON_IsFalse(v))
			return names[i];
	}
	return NULL;
}

/* Messages are numbered from 1. */
static void read_message_id(const cJSON *m, struct update *u)
{
	int64_t id;

	if (json_i64(m, "message_id", &id) && id > 0)
		u->message_id = id;
}

static void read_message(const cJSON *m, struct arena *a, struct update *u)
{
	const char *text = json_str(m, "text");

	read_message_id(m, u);
	if (u->chat == CHAT_NONE)
		return;
	if (text && *text) {
		u->text = text;
		u->kind = read_command(text, a, u) ? UPDATE_COMMAND : UPDATE_TEXT;
	} else if ((u->media = first_there(m, media_names, COUNT(media_names)))) {
		const char *caption = json_str(m, "caption");

		u->kind = UPDATE_MEDIA;
		u->text = caption ? caption : "";
	} else if ((u->media = first_there(m, service_names, COUNT(service_names)))) {
		u->kind = UPDATE_SERVICE;
	}
}

static void read_press(const cJSON *q, struct arena *a, struct update *u)
{
	const char *id = json_str(q, "id"), *data = json_str(q, "data");

	read_message_id(json_obj(q, "message"), u);
	if (!id || !*id || u->from.id == 0)
		return;
	u->kind = UPDATE_PRESS;
	u->press_id = id;
	u->data = data ? data : "";
	data_read(a, u);
}

static void read_member(const cJSON *m, struct update *u)
{
	const cJSON *now = json_obj(m, "new_chat_member");
	const char *status = json_str(now, "status");
	bool inside = true;

	if (!status || u->chat == CHAT_NONE)
		return;
	json_bool(now, "is_member", &inside); /* "restricted" may be either */
	u->kind = UPDATE_MEMBER;
	u->blocked = strcmp(status, "kicked") == 0 || strcmp(status, "left") == 0 || !inside;
}

/* Telegram's updates, which the gateway takes in, all have an update_id. */
static bool read_own(const cJSON *root, struct arena *a, struct update *u)
{
	if (json_get(root, "update_id") || !own_read(root, a, u))
		return false;
	if (u->kind == UPDATE_REFUSED)
		u->chat = chat_kind_of(NULL, u->chat_id);
	if (u->chat == CHAT_PRIVATE)
		u->from.id = u->chat_id;
	return true;
}

void telegram_read(const cJSON *root, const char *key, int64_t at_ms, struct arena *a, struct update *u)
{
	struct telegram_place p;

	*u = (struct update){
	    .kind = UPDATE_OTHER, .kind_name = "unknown", .key = key, .received_ms = at_ms, .text = "", .payload = ""};
	if (read_own(root, a, u))
		return;
	telegram_locate(root, &p);
	read_place(&p, a, u);
	if (p.kind->shape == TELEGRAM_MESSAGE)
		read_message(p.object, a, u);
	else if (p.kind->shape == TELEGRAM_PRESS)
		read_press(p.object, a, u);
	else if (p.kind->shape == TELEGRAM_MEMBER)
		read_member(p.object, u);
	else
		read_message_id(p.object, u);
}

enum err telegram_decode(const struct bot *bot, struct span body, const char *key, int64_t at_ms, struct arena *a,
                         struct update *u, const char **why)
{
	const cJSON *root = json_parse(a, body, why);

	(void)bot;
	if (!root)
		return ERR_INVALID;
	if (!cJSON_IsObject(root)) {
		*why = "the body is not a JSON object";
		return ERR_INVALID;
	}
	telegram_read(root, key, at_ms, a, u);
	return ERR_OK;
}

struct span telegram_allowed_updates(const struct bot *bot, struct arena *a)
{
	static const struct {
		const char *name;
		unsigned kinds;
	} needs[] = {
	    {"message", UPDATE_COMMAND | UPDATE_TEXT | UPDATE_MEDIA | UPDATE_SERVICE},
	    {"callback_query", UPDATE_PRESS},
	    {"my_chat_member", UPDATE_MEMBER},
	};
	unsigned wanted = 0;
	struct buf b;
	struct json_writer w;
	struct span out;

	for (size_t i = 0; i < bot->ncommands; i++)
		wanted |= bot->commands[i].kinds;
	buf_init(&b, 1024);
	json_writer_init(&w, &b);
	json_begin_arr(&w);
	for (size_t i = 0; i < COUNT(needs); i++) {
		if (wanted & needs[i].kinds)
			json_put_str(&w, needs[i].name);
	}
	json_end_arr(&w);
	ENSURE(!b.failed);
	out = arena_span(a, buf_span(&b));
	buf_release(&b);
	return out;
}
