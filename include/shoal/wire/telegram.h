/* Telegram beyond the table of platform.h: where an update belongs, what a bot wants delivered, how getUpdates and
 * webhook answers look. Bot API 10.1. */
#ifndef SHOAL_WIRE_TELEGRAM_H
#define SHOAL_WIRE_TELEGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shoal/base/arena.h"
#include "shoal/base/err.h"
#include "shoal/base/json.h"
#include "shoal/base/str.h"
#include "shoal/model/bot.h"
#include "shoal/wire/platform.h"

#define TELEGRAM_TEXT_UNITS 4096 /* UTF-16 units of a message, after entity parsing */
#define TELEGRAM_TOAST_UNITS 200
#define TELEGRAM_DATA_BYTES 64

/* How the object of an update is read. */
enum telegram_shape {
	TELEGRAM_PLAIN,   /* chat and sender only */
	TELEGRAM_MESSAGE, /* a message to the bot */
	TELEGRAM_PRESS,
	TELEGRAM_MEMBER,
};

struct telegram_kind {
	const char *name; /* field of Update; "unknown" for those of a later API */
	enum telegram_shape shape;
	const char *chat, *sender; /* paths inside the field's object, "message.chat"; NULL: has none */
};

/* Which update this is and where it belongs. The pointers go into the tree. */
struct telegram_place {
	const struct telegram_kind *kind; /* never NULL */
	const cJSON *object;              /* the field's value; NULL: there is none */
	const cJSON *chat, *sender;       /* NULL: none with an integer id */
	int64_t chat_id, sender_id;       /* 0 without */
};
void telegram_locate(const cJSON *update, struct telegram_place *out);

/* The entries of platform_telegram that lie in other files than the table. */
enum err telegram_decode(const struct bot *bot, struct span body, const char *key, int64_t at_ms, struct arena *a,
                         struct update *out, const char **why);
/* The same of an object that has been parsed already. */
void telegram_read(const cJSON *root, const char *key, int64_t at_ms, struct arena *a, struct update *out);
const char *telegram_name_in(struct span answer, struct arena *a);
void telegram_judge(const struct response *res, struct arena *a, struct ruling *out);

/* UTF-16 units of a text in Telegram's HTML subset once tags are gone and entities are characters. False with *why (a
 * literal): a tag that Telegram does not know, closes wrongly or does not end, or ill-formed UTF-8. */
bool telegram_html_units(struct span html, size_t *units, bool *blank, const char **why);

/* JSON array of the kinds that the bot's commands can use, for allowed_updates. */
struct span telegram_allowed_updates(const struct bot *bot, struct arena *a);

/* Body of getUpdates. offset 0: from the oldest that is not confirmed. */
struct span telegram_get_updates(const struct bot *bot, int64_t offset, unsigned limit, unsigned timeout_s,
                                 struct arena *a);

/* An answer of getUpdates to the bytes of each update, untouched. ERR_INVALID with *why: no {"ok":true,"result":[]}. */
enum err telegram_updates(struct span answer, struct arena *a, struct span **updates, size_t *n, const char **why)
    __attribute__((warn_unused_result));

/* The entries of platform_telegram for the bot's menu. */
enum err telegram_menu(const struct bot *bot, struct arena *a, struct call *out, const char **why);
bool telegram_menu_same(struct span menu, struct span answer, struct arena *a, size_t *n);

/* The same for its webhook. */
void telegram_hook_set(const struct bot *bot, const struct hook *h, struct arena *a, struct call *out);
bool telegram_hook_read(const struct bot *bot, struct span answer, struct arena *a, struct hook *out);

/* The call as the answer to a webhook request. */
struct span telegram_webhook_reply(const struct call *c, struct arena *a);

#endif
