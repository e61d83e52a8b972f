#include "shoal/admin/walk.h"

#include <stdio.h>
#include <stdlib.h>

#include "shoal/base/clock.h"
#include "shoal/store/cache_gen.h"

struct walk {
	struct api *api;
	struct walk_opts opts;
	struct walked w;
	int64_t deadline_ms;
	struct arena a; /* of one step: a piece of the names, and what is under them */
	struct cache_names names;
	char cursor[32]; /* "": that was all */
	int kind;        /* of the names that are looked at */
	struct span *keys;
	size_t nkeys;
	walk_fn *fn;
	void *arg;
};

static void end(struct walk *k, enum err err)
{
	k->w.err = err;
	k->w.whole = err == ERR_OK && !k->cursor[0];
	k->fn(k->arg, &k->w);
	arena_release(&k->a);
	free(k);
}

static void on_names(void *arg, enum err err, const redisReply *reply);

static void ask_names(struct walk *k, const char *cursor)
{
	struct cache_call *c;

	arena_release(&k->a);
	c = k->opts.all ? cache_scan_call(&k->a, cursor)
	                : cache_match_call(&k->a, k->opts.kind, SPAN("*"), false, cursor);
	redis_eval(k->api->cache, c->script, on_names, k, c->nkeys, c->argc, c->argv);
}

static void on_looked(void *arg, enum err err, const redisReply *reply);

/* The names of the next cache that has any among these, then the next piece. */
static void look_on(struct walk *k)
{
	const char *ident = cache_gen_server(k->api->gen);
	struct cache_call *c;

	if (!*ident) {
		end(k, ERR_UNREACHABLE);
		return;
	}
	for (k->nkeys = 0; k->kind < CACHE_KINDS && k->nkeys == 0; k->kind++)
		for (size_t i = 0; i < k->names.n; i++)
			if ((int)k->names.v[i].kind == k->kind)
				k->keys[k->nkeys++] = k->names.v[i].key;
	if (k->nkeys > 0) {
		c = cache_look_call(&k->a, ident, (enum cache_kind)(k->kind - 1), k->keys, k->nkeys, k->opts.sweep);
		redis_eval(k->api->cache, c->script, on_looked, k, c->nkeys, c->argc, c->argv);
	} else if (!k->cursor[0] || clock_ms() >= k->deadline_ms) {
		end(k, ERR_OK);
	} else {
		char at[sizeof(k->cursor)];

		snprintf(at, sizeof(at), "%s", k->cursor);
		ask_names(k, at);
	}
}

static void on_looked(void *arg, enum err err, const redisReply *reply)
{
	struct walk *k = arg;
	struct cache_seen *seen = arena_array(&k->a, struct cache_seen, k->nkeys);

	if (err == ERR_OK)
		err = cache_look_read(reply, seen, k->nkeys);
	if (err != ERR_OK) {
		end(k, err);
		return;
	}
	cache_tally_add(&k->w.tally[k->kind - 1], k->keys, seen, k->nkeys);
	look_on(k);
}

static void on_names(void *arg, enum err err, const redisReply *reply)
{
	struct walk *k = arg;

	if (err == ERR_OK)
		err = cache_names_read(reply, &k->a, &k->names);
	if (err != ERR_OK) {
		end(k, err);
		return;
	}
	snprintf(k->cursor, sizeof(k->cursor), "%s", k->names.cursor ? k->names.cursor : "");
	k->keys = arena_array(&k->a, struct span, k->names.n + 1);
	k->kind = 0;
	look_on(k);
}

void walk_begin(struct api *api, const struct walk_opts *opts, walk_fn *fn, void *arg)
{
	struct walk *k = mem_zalloc(sizeof(*k));

	k->api = api;
	k->opts = *opts;
	k->deadline_ms = opts->budget_ms ? clock_ms() + opts->budget_ms : INT64_MAX;
	k->fn = fn;
	k->arg = arg;
	arena_init(&k->a);
	ask_names(k, NULL);
}
