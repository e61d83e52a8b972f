/* Telegram's objects and formats: what goes out as JSON, what comes in as HTML and keyboards. */
#ifndef SHOAL_SIM_TELEGRAM_H
#define SHOAL_SIM_TELEGRAM_H

#include "shoal/sim/world.h"

void tg_write_user(struct json_writer *w, const struct user *u);
void tg_write_bot(struct json_writer *w, const struct bot *b);
void tg_write_chat(struct json_writer *w, const struct chat *c);
/* nested: without reply_to_message, as the API does inside one. */
void tg_write_message(struct json_writer *w, struct chat *c, const struct message *m, bool nested);
/* The members alone, for callers that add their own. */
void tg_message_members(struct json_writer *w, struct chat *c, const struct message *m, bool nested);

struct entity {
	const char *type;       /* literal */
	size_t offset, length;  /* UTF-16 units */
	const char *extra_name; /* "url", "language", ...; NULL: none */
	const char *extra;
	int64_t unix_time; /* date_time only */
};

struct formatted {
	char *text;
	size_t len;
	struct entity *entities;
	size_t count, cap;
};

/* Text with HTML to plain text and entities, in the arena. On error *why is the API's description after
 * "can't parse entities: ". s is valid UTF-8. */
bool tg_parse_html(struct arena *a, struct span s, struct formatted *out, const char **why);
void formatted_add(struct arena *a, struct formatted *f, struct entity e);
/* What the platform finds by itself: commands, mentions, hashtags, links. Then cuts white space off both ends and
 * sorts. */
void formatted_finish(struct arena *a, struct formatted *f);
/* JSON array, NULL without entities. */
const char *formatted_entities(struct arena *a, const struct formatted *f);

enum markup_kind { MARKUP_NONE, MARKUP_INLINE, MARKUP_KEYBOARD, MARKUP_REMOVE, MARKUP_FORCE_REPLY };
struct markup {
	enum markup_kind kind;
	const char *json; /* normal form; NULL: an inline keyboard without buttons */
};
/* v: the object; on error *why is the whole description. */
bool tg_parse_markup(struct arena *a, const cJSON *v, struct markup *out, const char **why);
/* Whether the inline keyboard has a button with this callback data. */
bool tg_markup_has(struct arena *a, const char *markup_json, const char *data);

/* JSON value of a stand-in medium, in the arena; NULL: no such kind. */
const char *tg_media_json(struct arena *a, const char *kind);
extern const char *const tg_media_kinds; /* "photo, sticker, ..." for people */

#endif
