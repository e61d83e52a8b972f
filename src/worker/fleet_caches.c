#include "shoal/worker/fleet_caches.h"

#include <stdio.h>
#include <stdlib.h>

#include "shoal/store/cache_admin.h"
#include "shoal/store/cache_gen.h"

/* Those without an end; the others' values go by themselves. */
static const enum cache_kind kinds[] = {CACHE_STARTCODE, CACHE_PERSONA};

enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

/* One step. run->at is the number of the kind, run->from where the names go on. */
struct sweep {
	struct fleet_run *run;
	struct arena a;
	char ident[CACHE_IDENT_SIZE];
	struct cache_names names;
};

static void sweep_free(struct sweep *s)
{
	arena_release(&s->a);
	free(s);
}

static void failed(struct sweep *s, enum err err, const char *why)
{
	struct fleet_run *run = s->run;

	sweep_free(s);
	fleet_step_failed(run, err, why);
}

static void done(struct sweep *s, int64_t removed)
{
	struct fleet_run *run = s->run;

	if (snprintf(run->from, sizeof(run->from), "%s", s->names.cursor ? s->names.cursor : "") >=
	    (int)sizeof(run->from)) {
		failed(s, ERR_PROTOCOL, "Redis' cursor is too long");
		return;
	}
	run->at += s->names.cursor == NULL;
	sweep_free(s);
	fleet_step_done(run, removed, run->at < KINDS);
}

static void on_swept(void *arg, enum err err, const redisReply *reply)
{
	struct sweep *s = arg;
	struct cache_seen *seen = arena_array(&s->a, struct cache_seen, s->names.n);
	int64_t removed = 0;

	if (err == ERR_OK)
		err = cache_look_read(reply, seen, s->names.n);
	if (err != ERR_OK) {
		failed(s, err, "Redis does not remove what is void");
		return;
	}
	for (size_t i = 0; i < s->names.n; i++)
		removed += seen[i].holds == CACHE_HOLDS_VOID;
	done(s, removed);
}

static void send(struct sweep *s, const struct cache_call *c, redis_fn *fn)
{
	redis_eval(s->run->redis, c->script, fn, s, c->nkeys, c->argc, c->argv);
}

static void on_names(void *arg, enum err err, const redisReply *reply)
{
	struct sweep *s = arg;
	struct span *keys;

	if (err == ERR_OK)
		err = cache_names_read(reply, &s->a, &s->names);
	if (err != ERR_OK) {
		failed(s, err, "Redis does not tell its names");
		return;
	}
	if (s->names.n == 0) {
		done(s, 0);
		return;
	}
	keys = arena_array(&s->a, struct span, s->names.n);
	for (size_t i = 0; i < s->names.n; i++)
		keys[i] = s->names.v[i].key;
	send(s, cache_look_call(&s->a, s->ident, kinds[s->run->at], keys, s->names.n, true), on_swept);
}

/* Which server it is decides which generation is in force, so it is asked at each step. */
static void on_info(void *arg, enum err err, const redisReply *reply)
{
	struct sweep *s = arg;
	const char *from = s->run->from;

	if (err == ERR_OK &&
	    (reply->type != REDIS_REPLY_STRING || !cache_gen_ident((struct span){reply->str, reply->len}, s->ident)))
		err = ERR_PROTOCOL;
	if (err != ERR_OK) {
		failed(s, err, "Redis does not tell who it is");
		return;
	}
	send(s, cache_match_call(&s->a, kinds[s->run->at], SPAN("*"), false, *from ? from : NULL), on_names);
}

void fleet_caches_step(struct fleet_run *run)
{
	struct sweep *s = mem_zalloc(sizeof(*s));

	s->run = run;
	arena_init(&s->a);
	redis_call(run->redis, on_info, s, 3, (struct span[]){SPAN("INFO"), SPAN("server"), SPAN("replication")});
}
