/* Configuration: one table of options drives reading, defaults, checks, `shoal config` and the README's table.
 * The result is one struct that is passed on, never a global. */
#ifndef SHOAL_BASE_CONF_H
#define SHOAL_BASE_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shoal/base/arena.h"
#include "shoal/base/err.h"
#include "shoal/base/str.h"

/* "20/60": a bucket of `count` that fills again in `seconds`. count 0: no limit. */
struct rate {
	int64_t count;
	int64_t seconds;
};

#define WEBHOOK_SECRET_MAX 256 /* as Telegram has it (Bot API, "setWebhook") */

enum telegram_mode { TELEGRAM_WEBHOOK, TELEGRAM_POLL };

struct conf {
	const char *redis_url, *cache_redis_url, *postgres_url, *postgres_direct_url;
	int64_t pg_connections, pg_prepare, pg_keepalive_s;
	const char *bots;     /* "persona,escrow,ladder": a name may stand here whose bot this build does not have */
	bool bots_by_default; /* nobody named them: those without a token are not missed */
	const char *persona_token, *escrow_token, *ladder_token;
	const char *ladder_app_id, *ladder_public_key;
	const char *telegram_api, *discord_api; /* without a trailing slash */
	int telegram_mode;                      /* enum telegram_mode */
	const char *webhook_url, *webhook_secret, *webhook_secret_old;
	const char *gateway_listen, *admin_listen, *metrics_listen; /* metrics_listen "0": off */
	const char *admin_token, *viewer_token;
	const char *worker_id;
	int64_t inflight, max_attempts, drain_s;
	struct rate flood_bot, flood_chat, flood_group, user_rate;
	int64_t player_ttl_s, code_ttl_s, memory_cache_mb, idempotency_ttl_s;
	const char *responder_url, *responder_key, *responder_model;
	int64_t responder_timeout_s;
	int64_t slow_query_ms, fast_ms, slow_ms;
	int log;        /* enum log_level */
	int log_format; /* enum log_format */
	int64_t log_updates;
};

enum opt_type {
	OPT_TEXT,   /* const char *; NULL or the default when unset; min..max bytes (max 0: 4096), of `chars` */
	OPT_INT,    /* int64_t within min..max */
	OPT_FLAG,   /* int64_t 0 or 1 */
	OPT_CHOICE, /* int: index into choices */
	OPT_RATE,   /* struct rate; "N/S", or "0" */
	OPT_URL,    /* const char *: http or https, no trailing slash kept */
	OPT_LIST,   /* const char *: some of choices, with commas, each once */
	OPT_LISTEN  /* const char *: host:port, [v6]:port; "0" where zero_off */
};

struct opt {
	const char *name; /* SHOAL_... */
	enum opt_type type;
	size_t offset;   /* into struct conf */
	const char *def; /* default as written; NULL: unset */
	int64_t min, max;
	const char *choices; /* "webhook|poll" */
	bool secret;         /* never shown */
	bool hides_password; /* a URL or libpq string: shown by redact() only */
	bool zero_off;       /* OPT_LISTEN: "0" is allowed and means off */
	const char *chars;   /* OPT_TEXT: the only characters allowed, "a-z" ranges; NULL: any but control characters */
	const char *help;    /* one line */
};

extern const struct opt conf_options[]; /* ends with a NULL name; order of SPEC 3 */

/* Reads all options from the environment (getenv-like fn, NULL for the real one). NAME_FILE is read from that file,
 * one trailing newline cut; both NAME and NAME_FILE, an unreadable file, or a secret file (also one of a URL that may
 * hold a password) that others may write are errors. An empty value is an unset one. Texts live in the arena. Secrets
 * are also told to log_secret(). ERR_INVALID: *why is one line naming the variable, the value (a secret's value is not
 * shown) and what is allowed. */
enum err conf_load(struct conf *c, struct arena *a, const char *(*get)(const char *), const char **why)
    __attribute__((warn_unused_result));

/* The cache's Redis and the direct Postgres URL are always set after conf_load: to the first of redis_url and to
 * postgres_url where they are not given. */

/* The effective value as text with secrets redacted ("***"), "" where unset. */
const char *conf_show(const struct conf *c, const struct opt *o, struct arena *a);

/* All names that SHOAL_BOTS may hold, and whether this is one. */
#define CONF_BOTS "persona, escrow, ladder"
bool conf_knows_bot(const char *name);

/* Whether the comma-separated list c->bots has this name. */
bool conf_has_bot(const struct conf *c, const char *name);

/* The same, but for those that run by default only and have no token. */
bool conf_expects_bot(const struct conf *c, const char *name);

/* The token of the bot of this name, NULL when it is not set or there is no such bot. */
const char *conf_bot_token(const struct conf *c, const char *name);

/* The same of what Discord knows it by. */
const char *conf_bot_app_id(const struct conf *c, const char *name);
const char *conf_bot_public_key(const struct conf *c, const char *name);
/* Base URL of the platform of this name. */
const char *conf_platform_api(const struct conf *c, const char *platform);

#endif
