/* Those who asked for a value of a cache and wait to be told. Only cache_flight*.c. */
#ifndef SHOAL_STORE_CACHE_WANT_H
#define SHOAL_STORE_CACHE_WANT_H

#include "shoal/base/err.h"
#include "shoal/store/cache_flight.h"
#include "shoal/store/cache_value.h"

struct cache_want;

/* First in, first out; owns its members. */
struct cache_wants {
	struct cache_want *head, **tail;
};

void cache_wants_init(struct cache_wants *w);
void cache_wants_add(struct cache_wants *w, cache_fn *fn, void *arg);
/* Appends all of from, which is empty then. */
void cache_wants_move(struct cache_wants *from, struct cache_wants *to);
/* The same, with what they are to be told. v: each takes a reference of its own; may be NULL. */
void cache_wants_answer(struct cache_wants *from, struct cache_wants *to, enum err err, struct cache_value *v);
/* Tells each, until none is left; they may add to it meanwhile. Who has no answer yet is told ERR_UNREACHABLE. */
void cache_wants_tell(struct cache_wants *w);

#endif
