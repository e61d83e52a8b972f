/* What the rest needs of a platform, as a table of functions, one a platform. Codecs only: no sockets. */
#ifndef SHOAL_WIRE_PLATFORM_H
#define SHOAL_WIRE_PLATFORM_H

#include <stdbool.h>
#include <stdint.h>

#include "shoal/base/arena.h"
#include "shoal/base/err.h"
#include "shoal/base/json.h"
#include "shoal/base/str.h"
#include "shoal/model/bot.h"

/* A call of the platform's API, rendered: what a reply becomes, what a commit stores, what is sent. */
struct call {
	const char *method; /* "sendMessage": metrics label */
	int64_t chat_id;    /* scope of the flood budget; 0: none (answers to presses) */
	bool group;
	int64_t message_id; /* where the platform names it beside the body; else 0 */
	const char *token;  /* the update's own way to be answered, which no budget concerns; NULL: none */
	struct span body;   /* JSON; empty: there is none */
};

/* What it takes to speak for a bot. */
struct credentials {
	const char *api;            /* base URL */
	const char *token, *app_id; /* app_id: NULL where the platform has none */
};

/* A call as an HTTP request. Its texts are in the arena; url and headers hold secrets, never to be logged. */
struct request {
	const char *method, *url;
	const char *headers[2]; /* "Name: value", ends with NULL */
	struct span body;
};

/* An answer, as it came. */
struct response {
	int status;
	struct span body;
	int64_t retry_after_ms;     /* from Retry-After; -1: not told */
	const char *const *headers; /* of the platform's `headers`, in that order, each NULL where it is not there;
	                               NULL: none are known */
};

/* What the platform tells of the bucket that a call counts in: so many in a window. */
struct quota {
	const char *bucket; /* its name for the bucket, the same for all calls that share it; NULL: nothing is told */
	int64_t limit, left;
	int64_t reset_ms; /* until all are there again */
};

/* What the answer to a call means. */
enum verdict {
	CALL_DONE,
	CALL_LATER,   /* a limit, or somebody in the way: wait_ms says until when (-1: not told) */
	CALL_OUTAGE,  /* the platform fails, or it is not the platform that answers; wait_ms as above */
	CALL_DENIED,  /* the bot's token is not accepted: trouble of the configuration */
	CALL_FINAL,   /* refused for good: counts as delivered */
	CALL_GONE,    /* the message that it was to change is not there any more, or cannot be changed, or the token is
	                 dead by which it was to go: as final, but what it says may be said in a new message */
	CALL_BLOCKED, /* refused for good because the chat does not want us: the chat becomes blocked */
};

struct ruling {
	enum verdict verdict;
	int64_t wait_ms;
	bool limited;   /* CALL_LATER: there were too many calls (429); wait_ms is known then */
	bool scoped;    /* of these: whose limit that is, is said */
	bool whole_bot; /* CALL_LATER: it is the bot's, not the chat's */
	bool early;     /* CALL_GONE: or the first response to the update has not arrived there yet */
	bool shut_out;  /* CALL_LATER: it is no word of the API: nothing of this address is let in for wait_ms */
	bool refused;   /* one of the refusals of which the platform bears so many before it shuts the address out */
	struct quota quota;
	const char *why; /* description from the platform, in the arena; never NULL, holds no secret */
};

/* Where a platform sends a bot's updates, as it is to be set or as it is told. */
struct hook {
	const char *url;     /* "": nowhere */
	const char *secret;  /* is never told */
	int64_t connections; /* 0: not told */
	/* told: */
	int64_t pending;        /* updates that wait at the platform; -1: not told */
	const char *last_error; /* NULL: none lately */
	int64_t last_error_s;   /* since 1970; 0: not told */
	bool updates_same;      /* it sends the kinds that the bot can use, and no others */
};

struct platform {
	const char *name;  /* "telegram" */
	bool wants_app_id; /* calls name the bot's application */
	/* Body of an entry to normal form, in a. ERR_INVALID with *why: dead letter. bot and key are kept, not copied.
	 */
	enum err (*decode)(const struct bot *bot, struct span body, const char *key, int64_t at_ms, struct arena *a,
	                   struct update *out, const char **why);
	const char *probe; /* method that asks whether a token is served, and changes nothing */
	/* The bot's user name in the probe's answer; NULL: it has none that a link could hold. */
	const char *(*name_in)(struct span answer, struct arena *a);
	/* Reply to call. once: names this message among all, so that the platform knows it when it comes again, where
	 * it can. ERR_INVALID when it breaks a limit of the platform. */
	enum err (*encode)(const struct reply *r, const char *once, struct arena *a, struct call *out,
	                   const char **why);
	/* Answer to a press (toast may be ""). NULL: the gateway has answered it, always. */
	void (*answer_press)(const char *press_id, const char *toast, struct arena *a, struct call *out);
	/* Takes back the promise of an answer that the gateway gave to an update with this token. NULL: it gives none.
	 */
	void (*dismiss)(const char *token, struct call *out);
	/* The bot's commands for the platform's own menu: the call that registers them. ERR_INVALID with *why (in a):
	 * the table breaks a limit. */
	enum err (*menu)(const struct bot *bot, struct arena *a, struct call *out, const char **why);
	const char *menu_told; /* the method that tells what is registered */
	/* Whether the answer to it is this menu, the body of such a call. *n: how many commands it tells. */
	bool (*menu_same)(struct span menu, struct span answer, struct arena *a, size_t *n);
	void (*hook_set)(const struct bot *bot, const struct hook *h, struct arena *a, struct call *out);
	const char *hook_told;
	/* false: it is no such answer. */
	bool (*hook_read)(const struct bot *bot, struct span answer, struct arena *a, struct hook *out);
	/* What a call that met CALL_GONE, or by a token CALL_FINAL, has to say, as a new message; false: nothing. NULL:
	 * calls never meet it. */
	bool (*anew)(const struct call *c, struct arena *a, struct call *out);
	bool buckets; /* it tells its limits call by call: ruling.quota */
	/* ruling.refused: after so many in ten minutes nothing more is to be sent, or it shuts the address out; 0: it
	 * does not. */
	unsigned refusals_most;
	int64_t token_life_ms; /* an update can be answered by its token for so long */
	void (*request)(const struct credentials *who, const struct call *c, struct arena *a, struct request *out);
	const char *const *headers; /* of its answers that the ruling needs; ends with NULL; may be NULL */
	void (*judge)(const struct response *res, struct arena *a, struct ruling *out);
};

extern const struct platform platform_telegram, platform_discord;
/* NULL: not spoken by this program. */
const struct platform *platform_of(enum platform_id id);

/* What a decision leads to beside its commit. */
struct effects {
	const struct errand *errands; /* first */
	struct call *calls;
	size_t ncalls;
};
/* As they are stored with a commit: a JSON array of {"o","w"}, what and words of an errand, and
 * {"m","c","g","i","t","b"}, a call, i and t only where there is a message or a token; and back (ERR_INVALID: not of
 * that form). Whoever stores the text may reorder members and white space. */
struct span effects_encode(const struct effects *e, struct arena *a);
enum err effects_decode(struct span text, struct arena *a, struct effects *out) __attribute__((warn_unused_result));

#endif
