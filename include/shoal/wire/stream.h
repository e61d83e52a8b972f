/* The stream's entry format (SPEC 4): fields, keys, lanes. */
#ifndef SHOAL_WIRE_STREAM_H
#define SHOAL_WIRE_STREAM_H

#include <stdint.h>

#include "shoal/base/arena.h"
#include "shoal/base/err.h"
#include "shoal/base/json.h"
#include "shoal/base/str.h"
#include "shoal/base/trace.h"
#include "shoal/model/bot.h"

/* What the gateway appends for a Telegram update. Reads update_id and the chat; body is kept as it is.
 * ERR_INVALID with *why: not an object, or update_id not an integer from 0 to 2^53 (answer 400). */
struct entry {
	const char *bot, *lane, *key;
	int64_t at_ms;
	struct span body;
	const struct trace *trace; /* carried on as the field traceparent; NULL: none */
	/* not stored */
	const char *kind_name; /* as of the update in normal form: "message", "modal_submit", "unknown", "refused" */
	int64_t update_id;     /* Telegram's; -1: none */
	const cJSON *tree;     /* of Telegram's body, in a; NULL: of another's */
};
enum err entry_from_telegram(const struct bot *bot, struct span body, int64_t now_ms, struct arena *a,
                             struct entry *out, const char **why) __attribute__((warn_unused_result));

/* What it appends for an interaction of Discord that is no PING. */
struct discord_place;
void entry_from_discord(const struct bot *bot, const struct discord_place *p, struct span body, int64_t now_ms,
                        struct arena *a, struct entry *out);

/* Entry for an update that the fleet sends itself (refused_encode): lane of the chat, key derived from `cause`, which
 * names this one among all of the bot. Keys outlive people: no id of a platform belongs into one. */
void entry_internal(const struct bot *bot, int64_t chat_id, const char *cause, struct span body, int64_t now_ms,
                    struct arena *a, struct entry *out);

/* argv of the XADD, keys and values in a. Returns the count. */
size_t entry_xadd(const struct entry *e, const char *stream_key, struct arena *a, struct span **argv);

/* Which of n shards a lane lives on: the same for every program. */
unsigned lane_shard(struct span lane, unsigned shards);

#endif
