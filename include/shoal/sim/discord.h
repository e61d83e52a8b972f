/* What the simulated Discord knows: one application, a server ("guild") of people with one channel, their private
 * channels, messages, interactions. Written from Discord's documentation alone, without the bots' own codec. */
#ifndef SHOAL_SIM_DISCORD_H
#define SHOAL_SIM_DISCORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "shoal/base/json.h"
#include "shoal/base/siphash.h"
#include "shoal/sim/map.h"
#include "shoal/sim/samples.h"
#include "shoal/sim/world.h"

#define DC_TOKEN_LIFE_MS (15 * 60 * 1000) /* "Interaction tokens are valid for 15 minutes" */
#define DC_ANSWER_MS 3000                 /* for the first response */
#define DC_CHANNEL_SHOWN 300              /* newest messages of a channel that the page shows */
#define DC_MESSAGES_MAX 200000            /* kept; older ones are forgotten */
#define DC_INTERACTIONS_MAX 200000
#define DC_INVALID_MAX 10000 /* answers of 401, 403, 429 in ten minutes; more shut an address out */
#define DC_INVALID_WINDOW_MS (10 * 60 * 1000)

enum { DC_FLAG_NO_EMBEDS = 1 << 2, DC_FLAG_EPHEMERAL = 1 << 6, DC_FLAG_LOADING = 1 << 7, DC_FLAG_SILENT = 1 << 12 };
enum { DC_FLAG_COMPONENTS_V2 = 1 << 15 };

struct discord;
struct dc_user;

struct dc_channel {
	int64_t id;
	char *name;           /* NULL: private */
	struct dc_user *with; /* of a private one */
	struct dc_message *shown[DC_CHANNEL_SHOWN];
	size_t nshown; /* ever added; a ring */
};

struct dc_user {
	int64_t id, joined_ms;
	char *name, *username;
	bool closed; /* takes no private messages */
	struct dc_channel *dm;
};

struct dc_message {
	int64_t id, at_ms, edited_ms; /* wall clock; edited_ms 0: never */
	struct dc_channel *channel;
	struct dc_user *only; /* ephemeral: who sees it */
	const char *notice;   /* not NULL: the platform's own words to `only`, about an interaction that failed */
	char *content;        /* "" for none */
	char *embeds;         /* JSON array, NULL: none */
	char *components;     /* JSON array with ids, NULL: none */
	char *mentions;       /* JSON array of the ids of those who are told, NULL: nobody */
	bool everyone;        /* all are told */
	int64_t flags, type;  /* type 0 by the bot, 20 of a command, 19 a reply or of a component */
	char *nonce;          /* JSON value, NULL: none */
	int64_t reply_to;     /* message id, 0: none */
	int64_t interaction;  /* id, 0: sent without one */
	bool deleted;
	unsigned refs;     /* 1 for the table, 1 for the ring that shows it */
	int64_t seq;       /* of its last change */
	char worker[32];   /* who sent or last edited it */
	int64_t waited_us; /* since the interaction began, -1 without one */
	TAILQ_ENTRY(dc_message) link;
};

enum dc_kind { DC_PING = 1, DC_COMMAND, DC_COMPONENT, DC_AUTOCOMPLETE, DC_SUBMIT };
enum dc_state {
	DC_SENT,      /* waits for its first response */
	DC_ANSWERED,  /* its token lives for 15 minutes */
	DC_NO_ANSWER, /* too late, or no connection: its token is dead, as with the next two */
	DC_REFUSED,   /* answered with another status than 200 */
	DC_MALFORMED, /* with what is no response to it */
	DC_STATES
};

struct dc_wait;

struct dc_interaction {
	int64_t id, at_ms; /* at_ms: wall clock when it was sent */
	int64_t sent_us;   /* clock_us */
	int64_t aged_us;   /* by request: how much older its token is than that */
	int64_t first_us,
	    done_us; /* since it was sent; -1: not yet. done: the first edit or follow-up after a deferral */
	char *token;
	int64_t token_hash;
	enum dc_kind kind;
	enum dc_state state;
	char *name; /* the command, or the custom_id */
	char *data; /* JSON of `data` as it was sent */
	struct dc_user *user;
	struct dc_channel *channel;
	int64_t message;     /* whose component was used, 0: none */
	int64_t original;    /* message that @original stands for, 0: none */
	int focus_type;      /* of an autocomplete: type of the option */
	int64_t answer_type; /* of the first response, 0: none */
	int status;          /* of HTTP, 0: none */
	char *answer;        /* JSON of its `data`, NULL: none */
	char *why;           /* what is wrong with it, NULL: nothing */
	bool deferred;       /* answered with type 5 and not filled yet */
	bool submitted;      /* a modal that was handed in */
	unsigned edits, followups;
	struct discord *discord;
	char *late; /* a response that is held back, NULL: none */
	struct timer lateness;
	struct http_call *call; /* on its way */
	struct dc_wait *wait;   /* a control request that waits for it */
	TAILQ_ENTRY(dc_interaction) link;
};

struct dc_command {
	int64_t id;
	char *name;
	char *json; /* as it was given, an object */
	int64_t version;
	struct dc_command *next;
};

struct dc_waiter;
struct dc_limits;
struct dc_probe;

struct discord {
	struct sim *sim;
	char *name, *token;
	int64_t app_id;
	void *key;           /* EVP_PKEY */
	char public_key[65]; /* hex */
	char *endpoint;      /* interactions_endpoint_url, NULL: none */
	int64_t answer_ms;
	int64_t guild;
	struct dc_channel *channel; /* the one of the guild */
	struct dc_command *commands;
	struct siphash_seed seed;
	struct map users, channels, messages, interactions, tokens, nonces;
	TAILQ_HEAD(dc_messages, dc_message) all_messages; /* oldest first */
	TAILQ_HEAD(dc_interactions, dc_interaction) all_interactions;
	size_t nmessages, ninteractions;
	struct dc_limits *limits;
	int64_t invalid_max;
	struct dc_probe *probe; /* of a new endpoint, NULL: none under way */
	struct dc_waiter *waiters;
	struct task wake;
	uint64_t states[DC_STATES], by_kind[DC_SUBMIT + 1];
	struct samples first_response, done;
	struct method_count counts[METHODS_MAX]; /* of calls, by route */
};

struct discord *discord_new(struct sim *s, const char *name, int64_t app_id, const char *token);
void discord_free(struct discord *d); /* may be NULL */
/* Forgets people, messages, interactions, limits; application, endpoint and commands stay. */
void discord_reset(struct discord *d);

int64_t dc_snowflake(void); /* of now; rises */
/* A snowflake as the platform writes them: a string of digits. */
bool dc_id(const cJSON *v, int64_t *out);
/* As text, in sim->scratch. */
const char *dc_json(struct discord *d, const cJSON *v);
bool dc_member_id(const cJSON *obj, const char *name, int64_t *out);
/* "2026-01-31T12:00:00.000000+00:00"; out holds at least 40 bytes. */
void dc_time(int64_t wall_ms, char *out, size_t size);

struct dc_user *dc_user(struct discord *d, int64_t id); /* NULL */
struct dc_user *dc_put_user(struct discord *d, int64_t id, const char *name, const char *username);
struct dc_channel *dc_channel(struct discord *d, int64_t id);   /* NULL */
struct dc_channel *dc_dm(struct discord *d, struct dc_user *u); /* opened where there is none */

struct dc_message *dc_add_message(struct discord *d, struct dc_channel *c, struct dc_user *only);
struct dc_message *dc_message(struct discord *d, int64_t id); /* NULL: unknown, forgotten or deleted */
/* Messages by the nonce (JSON) that they were made with in a channel; NULL. */
struct dc_message *dc_by_nonce(struct discord *d, const struct dc_channel *c, const char *nonce);
void dc_note_nonce(struct discord *d, struct dc_message *m);
bool dc_sees(const struct dc_user *u, const struct dc_message *m);
void dc_changed(struct discord *d, struct dc_message *m);
void dc_delete(struct discord *d, struct dc_message *m);

struct dc_interaction *dc_add_interaction(struct discord *d, enum dc_kind kind, struct dc_user *u,
                                          struct dc_channel *c);
struct dc_interaction *dc_interaction(struct discord *d, int64_t id); /* NULL */
struct dc_interaction *dc_by_token(struct discord *d, struct span token);

/* Ed25519 */
bool dc_key_make(struct discord *d, const char *seed_hex); /* NULL: a new one. False: not 64 hex digits */
void dc_key_free(struct discord *d);
void dc_sign(const struct discord *d, const char *timestamp, struct span body, char out[129]);
void dc_sign_as_other(const char *timestamp, struct span body, char out[129]); /* by a key that nobody knows */

/* Whose changes somebody waits for; answered with dc_show_feed. */
void dc_feed_wait(struct discord *d, struct httpd_request *r, struct dc_user *u, int64_t after, int64_t ms);
void dc_feed_end(struct discord *d); /* all, at once */

#endif
