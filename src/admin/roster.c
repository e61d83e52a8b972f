#include "shoal/admin/roster.h"

#include <stdlib.h>
#include <string.h>

#include "shoal/base/clock.h"
#include "shoal/store/latency.h"
#include "shoal/store/queue.h"

enum { NAMES_MAX = 4096, FORGET_MS = 60000, LOOK_ROUND_MS = 30000 };

struct name {
	char *id;
	int64_t seen_ms; /* when it was alive, or was named */
};

struct roster {
	struct api *api;
	struct name *v;
	size_t n;
	int64_t looked_ms; /* round the key space, the last piece */
	bool looking;
};

struct roster *roster_open(struct api *api)
{
	struct roster *r = mem_zalloc(sizeof(*r));

	r->api = api;
	r->looked_ms = -LOOK_ROUND_MS;
	r->v = mem_zalloc(NAMES_MAX * sizeof(*r->v));
	return r;
}

void roster_close(struct roster *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->n; i++)
		free(r->v[i].id);
	free(r->v);
	free(r);
}

/* --- names */

static void see(struct roster *r, struct span id)
{
	struct name *n = r->v;

	while (n < r->v + r->n && !span_is(id, n->id))
		n++;
	if (n == r->v + NAMES_MAX || id.len == 0)
		return;
	if (n == r->v + r->n) {
		n->id = mem_zalloc(id.len + 1);
		memcpy(n->id, id.ptr, id.len);
		r->n++;
	}
	n->seen_ms = clock_ms();
}

static void forget_old(struct roster *r)
{
	int64_t now = clock_ms();
	size_t kept = 0;

	for (size_t i = 0; i < r->n; i++) {
		if (now - r->v[i].seen_ms < FORGET_MS)
			r->v[kept++] = r->v[i];
		else
			free(r->v[i].id);
	}
	r->n = kept;
}

/* --- one question: names from the shards, then what they tell */

struct question {
	struct roster *r;
	struct arena *a;
	unsigned left; /* shards that have not answered */
	const char **ids;
	size_t nids;
	roster_fn *fn;
	void *arg;
};

static void on_told(void *arg, enum err err, const redisReply *reply)
{
	struct question *q = arg;
	struct roster_answer answer = {.timing = NULL};
	struct span *timing;

	if (err == ERR_OK && (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 * q->nids))
		err = ERR_PROTOCOL;
	if (err != ERR_OK) {
		q->fn(q->arg, err, NULL);
		return;
	}
	answer.timing = timing = arena_array(q->a, struct span, q->nids + 1);
	for (size_t i = 0; i < q->nids; i++) {
		const redisReply *told = reply->element[i], *timed = reply->element[q->nids + i];
		size_t before = answer.alive.n;

		if (told->type == REDIS_REPLY_STRING)
			beacons_add(&answer.alive, q->a, (struct span){told->str, told->len});
		if (answer.alive.n == before)
			continue;
		see(q->r, span_of(q->ids[i]));
		if (timed->type == REDIS_REPLY_STRING)
			timing[before] = arena_span(q->a, (struct span){timed->str, timed->len});
	}
	q->fn(q->arg, ERR_OK, &answer);
	free(answer.alive.v);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void ask_all(struct question *q)
{
	struct roster *r = q->r;
	struct span *argv;

	if (r->api->closing) {
		q->fn(q->arg, ERR_UNREACHABLE, NULL);
		return;
	}
	forget_old(r);
	q->nids = r->n;
	q->ids = arena_array(q->a, const char *, q->nids + 1);
	argv = arena_array(q->a, struct span, 2 * q->nids + 2);
	for (size_t i = 0; i < q->nids; i++)
		q->ids[i] = arena_strdup(q->a, r->v[i].id);
	if (q->nids > 1)
		qsort(q->ids, q->nids, sizeof(*q->ids), by_text);
	argv[0] = SPAN("MGET");
	for (size_t i = 0; i < q->nids; i++) {
		argv[1 + i] = span_of(arena_printf(q->a, BEACON_KEY "%s", q->ids[i]));
		argv[1 + q->nids + i] = span_of(arena_printf(q->a, LATENCY_KEY "%s", q->ids[i]));
	}
	if (q->nids > 0)
		redis_call(r->api->cache, on_told, q, 2 * q->nids + 1, argv);
	else /* nobody; whether it can be asked at all is an answer, too */
		redis_call(r->api->cache, on_told, q, 4,
		           (struct span[]){SPAN("ZRANGE"), SPAN(BEACON_KEY), SPAN("0"), SPAN("0")});
}

static void one_answered(struct question *q)
{
	if (--q->left == 0)
		ask_all(q);
}

/* "ID~random", as the queue names a worker's connection. */
static void on_registered(void *arg, enum err err, const redisReply *reply)
{
	struct question *q = arg;

	for (size_t i = 0; err == ERR_OK && reply->type == REDIS_REPLY_ARRAY && i < reply->elements; i++) {
		const redisReply *e = reply->element[i];
		const char *end = e->type == REDIS_REPLY_STRING ? memrchr(e->str, '~', e->len) : NULL;

		if (end)
			see(q->r, (struct span){e->str, (size_t)(end - e->str)});
	}
	one_answered(q);
}

/* --- now and then, by and by: the whole key space, which nobody waits for */

static void look_round(struct roster *r, const char *cursor);

static void on_keys(void *arg, enum err err, const redisReply *reply)
{
	struct roster *r = arg;
	const redisReply *keys;

	r->looking = false;
	if (err != ERR_OK || r->api->closing || reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
	    reply->element[0]->type != REDIS_REPLY_STRING || reply->element[1]->type != REDIS_REPLY_ARRAY)
		return;
	keys = reply->element[1];
	for (size_t i = 0; i < keys->elements; i++)
		if (span_starts(span_of(keys->element[i]->str), BEACON_KEY))
			see(r, span_of(keys->element[i]->str + strlen(BEACON_KEY)));
	if (strcmp(reply->element[0]->str, "0") != 0)
		look_round(r, reply->element[0]->str);
}

static void look_round(struct roster *r, const char *cursor)
{
	r->looking = true;
	r->looked_ms = clock_ms();
	redis_call(r->api->cache, on_keys, r, 6,
	           (struct span[]){SPAN("SCAN"), span_of(cursor), SPAN("MATCH"), SPAN(BEACON_KEY "*"), SPAN("COUNT"),
	                           SPAN("1000")});
}

void roster_ask(struct roster *r, struct arena *a, roster_fn *fn, void *arg)
{
	struct question *q = arena_new(a, struct question);

	*q = (struct question){.r = r, .a = a, .left = r->api->nshards, .fn = fn, .arg = arg};
	for (unsigned i = 0; i < r->api->nshards; i++) {
		char key[QUEUE_KEY_MAX];

		queue_key(key, i, "workers");
		redis_call(r->api->shards[i], on_registered, q, 4,
		           (struct span[]){SPAN("ZRANGE"), span_of(key), SPAN("0"), SPAN("-1")});
	}
	if (!r->looking && clock_ms() - r->looked_ms >= LOOK_ROUND_MS)
		look_round(r, "0");
}
