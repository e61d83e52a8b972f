#include "shoal/store/cache_flight_parts.h"

#include <stdlib.h>
#include <string.h>

#include "shoal/base/arena.h"
#include "shoal/store/cache_key.h"

/* --- the table */

static struct flight **bucket_of(struct cache_flights *all, enum cache_kind kind, struct span key)
{
	uint32_t h = 2166136261u ^ (uint32_t)kind;

	for (size_t i = 0; i < key.len; i++)
		h = (h ^ (unsigned char)key.ptr[i]) * 16777619u;
	return &all->buckets[(h ^ h >> 16) % CACHE_FLIGHT_BUCKETS];
}

struct flight *flight_find(struct cache_flights *all, enum cache_kind kind, struct span key)
{
	struct flight *f = *bucket_of(all, kind, key);

	while (f && (f->kind != kind || !span_eq(f->key, key)))
		f = f->next;
	return f;
}

struct flight *flight_new(struct cache_flights *all, enum cache_kind kind, struct span key)
{
	struct flight *f = mem_zalloc(sizeof(*f) + key.len + 1), **at = bucket_of(all, kind, key);

	f->all = all;
	f->kind = kind;
	memcpy(f->text, key.ptr, key.len);
	f->key = (struct span){f->text, key.len};
	f->lease.kind = kind;
	f->lease.key = f->key;
	cache_wants_init(&f->serving);
	cache_wants_init(&f->waiting);
	f->next = *at;
	*at = f;
	return f;
}

void flight_free(struct flight *f)
{
	cache_value_unref(f->value);
	free(f);
}

static void flight_end(struct flight *f)
{
	struct flight **at = bucket_of(f->all, f->kind, f->key);

	while (*at != f)
		at = &(*at)->next;
	*at = f->next;
	timer_release(&f->poll);
	flight_free(f);
}

/* --- telling */

void flight_tell(void *arg)
{
	struct cache_flights *all = arg;

	all->telling = true;
	cache_wants_tell(&all->told);
	all->telling = false;
	if (all->closed)
		free(all);
}

static void serve(struct flight *f, struct cache_wants *whom, enum err err, struct cache_value *v)
{
	cache_wants_answer(whom, &f->all->told, err, v);
	loop_defer(f->all->opts.loop, &f->all->tell);
}

/* Who came too late for what was read: memory knows, or it is read anew. */
static void go_on_or_end(struct flight *f)
{
	struct cache_value *v = f->waiting.head ? f->all->opts.remembered(f->all->opts.arg, f->kind, f->key) : NULL;

	if (v)
		serve(f, &f->waiting, ERR_OK, v);
	if (!f->waiting.head) {
		flight_end(f);
		return;
	}
	f->rounds = 0;
	f->patience = 0;
	f->whole_asked = false;
	flight_ask(f);
}

bool flight_whole(const struct flight *f)
{
	return span_is(f->key, CACHE_WHOLE);
}

void flight_answer(struct flight *f, enum err err, struct cache_value *v)
{
	if (err == ERR_OK && flight_whole(f) && f->all->opts.listed)
		f->all->opts.listed(f->all->opts.arg, f->kind);
	serve(f, &f->serving, err, v);
	cache_value_unref(v);
	go_on_or_end(f);
}

void flight_count(const struct flight *f, enum cache_layer layer, enum cache_result result)
{
	cache_count(f->all->opts.counts, f->kind, layer, result);
}

void flight_count_found(const struct flight *f, enum cache_layer layer, const struct cache_value *v)
{
	flight_count(f, layer, v->found ? CACHE_HIT : CACHE_NEGATIVE);
}

bool flight_landed(struct flight *f)
{
	bool wanted = f->all != NULL;

	f->called = false;
	if (!wanted)
		flight_free(f);
	return wanted;
}

void flight_found(struct flight *f, struct cache_value *v)
{
	const struct cache_flight_opts *o = &f->all->opts;
	uint64_t belief = o->belief(o->arg);

	if (!f->changed && belief && belief == f->belief)
		o->remember(o->arg, f->kind, f->key, v);
	flight_answer(f, ERR_OK, v);
}
