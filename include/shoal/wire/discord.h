/* Discord beyond the table of platform.h: where an interaction belongs, what it is answered with at once, the bot's
 * menu of commands. API v10, interactions by HTTP. */
#ifndef SHOAL_WIRE_DISCORD_H
#define SHOAL_WIRE_DISCORD_H

#include <stdint.h>

#include "shoal/base/arena.h"
#include "shoal/base/err.h"
#include "shoal/base/json.h"
#include "shoal/base/str.h"
#include "shoal/model/bot.h"
#include "shoal/wire/platform.h"

#define DISCORD_CONTENT_UNITS 2000 /* of a message, with its Markdown */
#define DISCORD_LABEL_UNITS 80
#define DISCORD_DATA_BYTES 100
#define DISCORD_URL_BYTES 512
#define DISCORD_ROWS 5
#define DISCORD_ROW_BUTTONS 5
#define DISCORD_CHOICE_UNITS 100

enum discord_type {
	DISCORD_UNKNOWN, /* of a later API */
	DISCORD_PING,
	DISCORD_COMMAND,
	DISCORD_COMPONENT,
	DISCORD_AUTOCOMPLETE,
	DISCORD_MODAL,
	DISCORD_TYPES
};

/* Which interaction this is and where it belongs. Nodes go into the tree. */
struct discord_place {
	const cJSON *root; /* the object */
	enum discord_type type;
	const char *kind_name; /* "ping", "application_command", ...; "unknown" */
	int64_t id;            /* of the interaction; 0: a PING may have none */
	const cJSON *user;     /* NULL: none with an id */
	int64_t user_id;       /* 0 without */
};
/* ERR_INVALID with *why: not a JSON object, or without an integer type, or, but for a PING, without an id. */
enum err discord_locate(struct span body, struct arena *a, struct discord_place *out, const char **why)
    __attribute__((warn_unused_result));

/* A snowflake is written as a string: decimal, positive, within 63 bits. */
bool discord_snowflake(const cJSON *obj, const char *name, int64_t *out);

/* The entries of platform_discord that lie in other files than the table. */
enum err discord_decode(const struct bot *bot, struct span body, const char *key, int64_t at_ms, struct arena *a,
                        struct update *out, const char **why);
extern const char *const discord_headers[];
void discord_judge(const struct response *res, struct arena *a, struct ruling *out);

/* Adds html, in the subset that replies are written in, as Markdown. False with *why (a literal): unknown or crossed
 * tags, or ill-formed UTF-8. */
bool discord_markdown(const char *html, struct buf *out, const char **why) __attribute__((warn_unused_result));
/* "allowed_mentions": no name in a text reaches anybody. Inside an object. */
void discord_put_nobody(struct json_writer *w);

/* Bodies of the answers to interactions, complete. */
#define DISCORD_PONG SPAN("{\"type\":1}")
struct span discord_defer(bool hidden, struct arena *a);
/* To the person alone. text is plain. */
struct span discord_say(const char *text, struct arena *a);
/* The message of the interaction with every button and menu disabled; where it has none, nothing changes. */
struct span discord_disable(const cJSON *interaction, struct arena *a);
struct discord_choices {
	size_t n;
	const struct choice *v;
};
/* At most CHOICES_MAX of them, each cut to what fits. */
struct span discord_suggest(const struct discord_choices *c, struct arena *a);
/* tables: what may be chosen in each field, form->nfields of them. More than CHOICES_MAX, or none: it is typed. */
struct span discord_form(const struct form *form, const struct discord_choices *tables, struct arena *a);

/* The bot's menu: body of the call setCommands. ERR_INVALID with *why (in a): the table breaks a limit. */
enum err discord_commands(const struct bot *bot, struct arena *a, struct call *out, const char **why)
    __attribute__((warn_unused_result));
/* Its entries of platform_discord for the menu, and for the endpoint of interactions. */
bool discord_menu_same(struct span menu, struct span answer, struct arena *a, size_t *n);
void discord_hook_set(const struct bot *bot, const struct hook *h, struct arena *a, struct call *out);
bool discord_hook_read(const struct bot *bot, struct span answer, struct arena *a, struct hook *out);

#endif
