#include "shoal/store/cache_load.h"

#include <stdlib.h>

#include "shoal/base/arena.h"
#include "shoal/store/cache_flight.h"
#include "shoal/store/cache_key.h"

struct cache_load {
	struct cache_gen *gen;
	struct cache_flights *flights;
	struct cache_counts counts;
};

static void on_generation(void *arg, enum cache_kind kind)
{
	struct cache_load *l = arg;

	cache_flights_changed_kind(l->flights, kind);
}

static struct cache_value *nothing(void *arg, enum cache_kind kind, struct span key)
{
	(void)arg;
	(void)kind;
	(void)key;
	return NULL;
}

static uint64_t no_belief(void *arg)
{
	(void)arg;
	return 0;
}

/* Redis holds nothing from before the end of the generation. */
static bool no_doubt(void *arg)
{
	(void)arg;
	return false;
}

static void not_kept(void *arg, enum cache_kind kind, struct span key, struct cache_value *v)
{
	(void)arg;
	(void)kind;
	(void)key;
	(void)v;
}

struct wish {
	cache_load_fn *fn;
	void *arg;
};

static void on_list(void *arg, enum err err, struct cache_value *list)
{
	struct wish *w = arg;

	if (err == ERR_OK && !list->found)
		err = ERR_PROTOCOL;
	if (err == ERR_OK)
		w->fn(w->arg, ERR_OK, list->directory.n, list->directory.many);
	else
		w->fn(w->arg, err, 0, false);
	free(w);
}

void cache_load_whole(struct cache_load *l, enum cache_kind kind, cache_load_fn *fn, void *arg)
{
	struct wish *w = mem_alloc(sizeof(*w));

	ENSURE(cache_defs[kind].all);
	*w = (struct wish){fn, arg};
	cache_flights_get(l->flights, kind, SPAN(CACHE_WHOLE), on_list, w);
}

void cache_load_redis_came(struct cache_load *l)
{
	cache_gen_redis_came(l->gen);
}

struct cache_load *cache_load_open(const struct cache_load_opts *opts)
{
	struct cache_load *l = mem_zalloc(sizeof(*l));
	struct cache_flight_opts o = {.loop = opts->loop,
	                              .redis = opts->redis,
	                              .pg = opts->pg,
	                              .counts = &l->counts,
	                              .remembered = nothing,
	                              .belief = no_belief,
	                              .doubtful = no_doubt,
	                              .remember = not_kept,
	                              .arg = l};

	l->gen = o.gen = cache_gen_open(&(struct cache_gen_opts){opts->loop, opts->redis, on_generation, l});
	for (int kind = 0; kind < CACHE_KINDS; kind++)
		o.life_ms[kind] = 1000 * cache_ttl_s((enum cache_kind)kind, opts->player_ttl_s, opts->code_ttl_s);
	l->flights = cache_flights_open(&o);
	return l;
}

void cache_load_close(struct cache_load *l)
{
	if (!l)
		return;
	cache_flights_close(l->flights);
	cache_gen_close(l->gen);
	free(l);
}
