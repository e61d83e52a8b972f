/* A bot's undelivered updates, and the two ways out: getUpdates and the webhook.
 * Updates of one chat leave in order, callback queries in order per user; different lanes in parallel. */
#ifndef SHOAL_SIM_UPDATES_H
#define SHOAL_SIM_UPDATES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shoal/base/json.h"
#include "shoal/base/str.h"
#include "shoal/io/http.h"
#include "shoal/io/loop.h"
#include "shoal/sim/map.h"

#define UPDATES_MAX 1000000

struct bot;
struct call;
struct lane;

struct update {
	int64_t id, at_ms;          /* at_ms: clock_ms when it was made */
	struct update *next, *prev; /* all of the bot, oldest first */
	struct update *behind;      /* next of its lane */
	struct lane *lane;
	bool query; /* callback queries expire sooner */
	size_t len;
	char json[];
};

struct lane {
	struct bot *bot;
	bool by_user;
	int64_t key;
	struct update *first, *last;
	struct update *sent; /* first, while its request is under way */
	struct http_call *call;
	unsigned failures;
	struct timer again; /* armed while the lane waits for its next try */
	bool queued;
	struct lane *next; /* ready ones */
};

struct webhook {
	char *url; /* NULL: none */
	char *secret;
	int max_connections, inflight;
	int64_t error_date; /* 0: none */
	char *error;
};

struct updates {
	struct bot *bot;
	struct update *first, *last;
	size_t pending;
	int64_t next_id;
	uint64_t allowed; /* bits by update_kinds */
	bool allowed_set;
	struct map chat_lanes, user_lanes;
	struct lane *ready, **ready_end;
	struct webhook hook;
	struct task pump;
	struct call *poller; /* a getUpdates that waits */
	int64_t poller_limit;
	struct timer poll_end;
	struct task poll_wake;
	uint64_t created, delivered, retries, expired, filtered;
};

/* Where an update belongs: by chat, or for callback queries by user. */
struct update_lane {
	bool by_user;
	int64_t key;
};

extern const char *const update_kinds[]; /* ends with NULL */

void updates_init(struct updates *q, struct bot *b);
void updates_release(struct updates *q);
/* Drops the undelivered ones and cancels their requests. Returns how many. */
size_t updates_clear(struct updates *q);

bool updates_full(const struct updates *q);
/* body: the update's members without update_id and braces, e.g. "message":{...}. Returns the update_id, or -1 when
 * the bot does not want this kind. The queue must not be full. */
int64_t updates_add(struct updates *q, const char *kind, struct update_lane lane, struct span body);

/* Names to bits; an empty list is the default set. False with the offending name for what is no list of strings. */
bool updates_allow(struct updates *q, const cJSON *names);
void updates_write_allowed(const struct updates *q, struct json_writer *w);

/* Confirms what is below the offset; a negative one keeps that many of the newest. */
void updates_confirm(struct updates *q, int64_t offset);
void updates_expire(struct updates *q);
/* At most limit updates as an array; returns how many. */
size_t updates_write(const struct updates *q, struct json_writer *w, int64_t offset, int64_t limit);
void updates_poll(struct updates *q, struct call *c, int64_t limit, int64_t ms);
/* The waiting getUpdates gets 409 with this description. */
void updates_end_poll(struct updates *q, const char *description);

/* NULL url: none. Copies its texts. What is undelivered goes to the new address at once. */
void webhook_set(struct updates *q, const char *url, const char *secret, int max_connections);

#endif
