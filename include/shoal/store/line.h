/* The line of the ladder's players who wait for an opponent, in shard 0 of the queue, so that a pair leaves it in the
 * same step as the entry that makes its match is appended. lua/line_enter.lua tells what is kept.
 *
 * All of it may be done again, also late: what a player said last counts (serial: of the update, larger than of any
 * before), and a pairing touches only those whom it took out. */
#ifndef SHOAL_STORE_LINE_H
#define SHOAL_STORE_LINE_H

#include <stdbool.h>
#include <stdint.h>

#include "shoal/base/err.h"
#include "shoal/base/str.h"
#include "shoal/io/redis.h"
#include "shoal/model/facts.h"

#define LINE_WORDS 13 /* fewer than that, of one call */

/* PLAYER SERIAL TILL RACES, then NAME VALUE of what the match will have to know. Waits until the time `till`, wall
 * clock in ms. races: "code:mmr" with blanks between, at least one. reply: a word, "waiting" where they wait now. */
void line_enter(struct redis *r, const struct span *words, size_t n, redis_fn *fn, void *arg);
/* KEY, then PLAYER "met" or "back" of each: the match of this pairing is made, or the player goes back to their place.
 */
void line_paired(struct redis *r, const struct span *words, size_t n, redis_fn *fn, void *arg);

/* How the player stands, in the reply; serial > 0: that update takes them out of the line first. */
void line_player(struct redis *r, int64_t player, int64_t serial, redis_fn *fn, void *arg);
/* False: that is no such reply. */
bool line_read(const redisReply *reply, struct arena *a, struct fact_line *out) __attribute__((warn_unused_result));

/* A part of the matcher's work, beginning at 0; *next: where the next part begins, -1: there is none. */
void line_match(struct redis *r, const char *bot, const char *lanes, int64_t at, redis_fn *fn, void *arg);
bool line_match_read(const redisReply *reply, int64_t *pairs, int64_t *over, int64_t *next)
    __attribute__((warn_unused_result));

#endif
