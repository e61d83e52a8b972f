/* An update in normal form: what a platform sent, as the bots see it. Made by wire/, read by everyone, changed by
 * nobody. All texts are NUL-terminated, well-formed UTF-8 without U+0000, and live in the job's arena. */
#ifndef SHOAL_MODEL_UPDATE_H
#define SHOAL_MODEL_UPDATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What happened. One bit each, so that a trigger can name several. */
enum update_kind {
	UPDATE_OTHER = 1 << 0,   /* sound, but of a kind that no bot handles, edits included; kind_name tells which */
	UPDATE_COMMAND = 1 << 1, /* message whose text begins with "/word": word, payload */
	UPDATE_TEXT = 1 << 2,    /* any other message text */
	UPDATE_MEDIA = 1 << 3,   /* message without text, with content: media ("photo"), text is the caption or "" */
	UPDATE_SERVICE = 1 << 4, /* message about the chat itself (joined, pinned, ...): media names it */
	UPDATE_PRESS =
	    1 << 5, /* button under a message: word, args, mark, press_id. Of a menu: options, all named "value" */
	UPDATE_MEMBER = 1 << 6,  /* the bot's own membership changed: blocked */
	UPDATE_REFUSED = 1 << 7, /* from the fleet itself: the platform refused to deliver to chat_id (403) */
	UPDATE_SLASH =
	    1 << 8, /* command of the platform's own menu: word ("queue", or "set name" of a subcommand), options */
	UPDATE_FORM = 1 << 9,     /* a form was handed in: word, args, mark as of a press; its fields are options */
	UPDATE_SUGGEST = 1 << 10, /* an option of a slash command is being typed: as UPDATE_SLASH, and focus. The
	                            gateway answers it; it is never in the stream */
	UPDATE_DUE = 1 << 11      /* from the fleet itself, in the lane of chat_id: word is due for args[0]; options */
};

enum chat_kind { CHAT_NONE = 0, CHAT_PRIVATE = 1 << 0, CHAT_GROUP = 1 << 1, CHAT_CHANNEL = 1 << 2 };
#define CHAT_ANY (CHAT_NONE | CHAT_PRIVATE | CHAT_GROUP | CHAT_CHANNEL)

#define UPDATE_ARGS_MAX 6
#define UPDATE_MARK_LEN 8 /* characters of a rendering's mark */

struct person {
	int64_t id;                                        /* the platform's; 0: none */
	const char *first_name, *username, *language_code; /* NULL where not given */
	bool is_bot;
};

/* What was filled in or chosen. Of several chosen together each is an option of the same name. */
struct option {
	const char *name, *value; /* never NULL */
	int64_t id;               /* the value, where it is an integer; else 0 */
};

struct update {
	enum update_kind kind;
	const char
	    *kind_name;      /* the platform's own word, one of a fixed list: "message", "callback_query", "unknown" */
	const char *key;     /* idempotency key (SPEC 4) */
	int64_t serial;      /* the platform's number of it, larger than of any update before; 0: it has none */
	int64_t received_ms; /* wall clock, when the gateway had it */
	struct person from;
	int64_t chat_id;  /* 0: none */
	int64_t guild_id; /* the server that the chat is in; 0: none */
	enum chat_kind chat;
	int64_t message_id; /* the message, or the one that carries the pressed button; 0: none */
	const char *text;   /* message text or caption; never NULL */
	const char *media;  /* UPDATE_MEDIA, UPDATE_SERVICE: its kind; else NULL */
	const char *word; /* command word without "/" and "@bot", lower case; the button's verb; what is due; or NULL */
	const char *payload;  /* what follows the command word, white space trimmed; never NULL */
	const char *press_id; /* for the platform's answer to a press; else NULL */
	const char *data;     /* UPDATE_PRESS, UPDATE_FORM: callback data as it came */
	unsigned nargs;       /* of these: data is word[:arg]*:mark; UPDATE_DUE: 1 */
	const char *args[UPDATE_ARGS_MAX];
	const char *mark;  /* of the rendering; NULL when the data has none */
	bool blocked;      /* UPDATE_MEMBER: the bot was blocked or removed; false: let in (again) */
	const char *token; /* by which just this update can be answered, for a quarter of an hour; NULL: it has none */
	size_t noptions;
	const struct option *options;
	const struct option *focus; /* UPDATE_SUGGEST: the one of them that is being typed */
};

/* The first option of that name, NULL: not given. */
const struct option *update_option(const struct update *u, const char *name);

struct arena;
/* What the person said as one line of a conversation: the text; for media "[photo] caption", or "[photo]". */
const char *update_line(const struct update *u, struct arena *a);

#endif
