/* What one look at the fleet sees. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shoal/base/clock.h"
#include "shoal/cli/scan.h"
#include "shoal/cli/status.h"
#include "shoal/io/redis.h"
#include "shoal/store/cache_key.h"
#include "shoal/store/queue.h"
#include "shoal/store/queue_admin.h"
#include "shoal/store/shards.h"

enum { NAMES_MAX = 4096, FORGET_LOOKS = 30, SCAN_MS = 200, SCAN_FIRST_MS = 2000, PATIENCE_S = 3, HASTE_S = 1 };

/* A worker's id, and at which look it was last heard of. */
struct name {
	char *id;
	int64_t seen;
};

struct status_eye {
	struct session *session;
	const char **urls;
	unsigned nshards;
	redisContext **shards, *cache;
	bool waited; /* one of them has kept us waiting in this look */
	bool hasty;  /* or in the last: the others do so for less */
	int64_t looks;
	struct name *names;
	size_t nnames;
	char cursor[SCAN_CURSOR_MAX]; /* in the caches' key space */
};

static void close_redis(redisContext **r)
{
	if (*r)
		redisFree(*r);
	*r = NULL;
}

static void eye_close(void *arg)
{
	struct status_eye *e = arg;

	for (unsigned i = 0; i < e->nshards; i++)
		close_redis(&e->shards[i]);
	close_redis(&e->cache);
	for (size_t i = 0; i < e->nnames; i++)
		free(e->names[i].id);
	free(e->names);
	free(e->shards);
}

struct status_eye *status_eye_open(struct session *s)
{
	struct status_eye *e = arena_new(s->a, struct status_eye);
	const char *why = NULL;

	if (!session_conf(s))
		return NULL;
	if (shards_parse(s->conf.redis_url, s->a, &e->urls, &e->nshards, &why) != ERR_OK) {
		session_fail(s, EXIT_FAILED, "%s", why);
		return NULL;
	}
	if (pg_check_url(s->conf.postgres_url, s->a, &why) != ERR_OK) {
		session_fail(s, EXIT_FAILED, "SHOAL_POSTGRES_URL: %s", why);
		return NULL;
	}
	e->session = s;
	e->shards = mem_zalloc(e->nshards * sizeof(redisContext *));
	e->names = mem_zalloc(NAMES_MAX * sizeof(*e->names));
	snprintf(e->cursor, sizeof(e->cursor), "0");
	arena_defer(s->a, eye_close, e);
	return e;
}

/* --- Redis */

/* NULL with *why; the connection is closed then. */
static redisReply *ask(redisContext **r, struct arena *a, const char **why, size_t argc, const char **argv)
{
	redisReply *reply = redisCommandArgv(*r, (int)argc, argv, NULL);

	if (reply && reply->type != REDIS_REPLY_ERROR)
		return reply;
	*why = arena_strdup(a, reply ? reply->str : redis_trouble_now(*r));
	if (reply)
		freeReplyObject(reply);
	close_redis(r);
	return NULL;
}

static bool reach(const struct status_eye *e, redisContext **r, const char *url, const char *home, struct arena *a,
                  const char **why)
{
	unsigned seconds = e->hasty ? HASTE_S : REDIS_NOW_S;

	if (*r)
		redisSetTimeout(*r, (struct timeval){.tv_sec = seconds});
	else
		*r = redis_connect_within(seconds, url, home, a, why);
	return *r != NULL;
}

static void see(struct status_eye *e, struct span id)
{
	struct name *n = e->names;

	while (n < e->names + e->nnames && !span_is(id, n->id))
		n++;
	if (n == e->names + NAMES_MAX || id.len == 0)
		return;
	if (n == e->names + e->nnames) {
		n->id = mem_zalloc(id.len + 1);
		memcpy(n->id, id.ptr, id.len);
		e->nnames++;
	}
	n->seen = e->looks;
}

static void forget_old(struct status_eye *e)
{
	size_t kept = 0;

	for (size_t i = 0; i < e->nnames; i++)
		if (e->looks - e->names[i].seen < FORGET_LOOKS)
			e->names[kept++] = e->names[i];
		else
			free(e->names[i].id);
	e->nnames = kept;
}

/* "ID~random", as the queue names a worker's connection. */
static void see_registered(struct status_eye *e, const redisReply *reply)
{
	for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i < reply->elements; i++) {
		const redisReply *v = reply->element[i];
		const char *end = v->type == REDIS_REPLY_STRING ? memrchr(v->str, '~', v->len) : NULL;

		if (end)
			see(e, (struct span){v->str, (size_t)(end - v->str)});
	}
}

static const char *ask_shard(struct status_eye *e, unsigned n, struct arena *a, struct queue_stats *out)
{
	char key[QUEUE_KEY_MAX];
	const char *argv[] = {"ZRANGE", key, "0", "-1"}, *why = NULL;
	redisReply *reply;
	enum err err;

	if (!reach(e, &e->shards[n], e->urls[n], queue_home(a, n), a, &why))
		return why;
	err = queue_stats_now(e->shards[n], n, out);
	if (err != ERR_OK) {
		why = arena_strdup(a, queue_stats_trouble(e->shards[n], err, out));
		close_redis(&e->shards[n]);
		return why;
	}
	queue_key(key, n, "workers");
	reply = ask(&e->shards[n], a, &why, 4, argv);
	if (reply)
		see_registered(e, reply);
	freeReplyObject(reply);
	return why;
}

/* False: it is no answer to SCAN. */
static bool take_round(struct status_eye *e, const redisReply *r)
{
	const redisReply *keys = scan_keys(r, e->cursor);

	for (size_t i = 0; keys && i < keys->elements; i++) {
		const redisReply *key = keys->element[i];

		if (!span_starts((struct span){key->str, key->len}, BEACON_KEY))
			return false;
		see(e, span_of(key->str + strlen(BEACON_KEY)));
	}
	return keys;
}

/* Workers that no shard knows, being cut off: found by and by, however much else lies in that Redis. */
static const char *look_round(struct status_eye *e, struct arena *a)
{
	int64_t until = clock_ms() + (e->looks == 1 ? SCAN_FIRST_MS : SCAN_MS);
	const char *why = NULL;

	do {
		const char *argv[] = {"SCAN", e->cursor, "MATCH", BEACON_KEY "*", "COUNT", "1000"};
		redisReply *r = ask(&e->cache, a, &why, 6, argv);

		if (!r)
			return why;
		if (!take_round(e, r))
			why = err_text(ERR_PROTOCOL);
		freeReplyObject(r);
		if (why) {
			close_redis(&e->cache);
			return why;
		}
	} while (strcmp(e->cursor, "0") != 0 && clock_ms() < until);
	return NULL;
}

/* --- what workers tell. Whoever can write there can tell anything: no sum of it overflows. */

#define COUNT_MAX INT64_C(1000000000000000)

int64_t status_count(const cJSON *worker, const char *name)
{
	int64_t n;

	return json_i64(worker, name, &n) && n > 0 ? n < COUNT_MAX ? n : COUNT_MAX : 0;
}

double status_number(const cJSON *worker, const char *name)
{
	double v;

	return json_num(worker, name, &v) ? v : 0;
}

static struct status_job *job_of(struct status *s, const char *name)
{
	for (size_t i = 0; i < s->njobs; i++)
		if (strcmp(s->jobs[i].name, name) == 0)
			return &s->jobs[i];
	if (s->njobs == STATUS_JOBS_MAX)
		return NULL;
	s->jobs[s->njobs] = (struct status_job){.name = name};
	return &s->jobs[s->njobs++];
}

static void add_jobs(struct status *s, const cJSON *told)
{
	const cJSON *one;

	cJSON_ArrayForEach(one, told)
	{
		const char *name = json_str(one, "job");
		struct status_job *job = name ? job_of(s, name) : NULL;
		bool running = false;
		int64_t ended = status_count(one, "ended_ms");

		if (!job)
			continue;
		job->running |= json_bool(one, "running", &running) && running;
		job->done += status_count(one, "done");
		job->failed += status_count(one, "failed");
		if (ended > job->ended_ms)
			job->ended_ms = ended;
	}
}

static void add_worker(struct status *s, const cJSON *told)
{
	s->in_flight += status_count(told, "in_flight");
	s->in_flight_max += status_count(told, "in_flight_max");
	s->done += status_count(told, "done");
	s->per_second += status_number(told, "per_second");
	s->flood_waiting += status_count(told, "flood_waiting");
	s->flood_waits += status_count(told, "flood_waits");
	cache_report_add(s->caches, json_get(told, "caches"));
	add_jobs(s, json_arr(told, "fleet_jobs"));
}

/* Those that answer under their key are alive. */
static void take(struct status_eye *e, struct status *s, const redisReply *r)
{
	size_t n = r->type == REDIS_REPLY_ARRAY && r->elements == 2 * e->nnames ? e->nnames : 0;

	for (size_t i = 0; i < n; i++) {
		const redisReply *told = r->element[i], *timing = r->element[n + i];
		size_t before = s->workers.n;

		if (told->type == REDIS_REPLY_STRING)
			beacons_add(&s->workers, s->arena, (struct span){told->str, told->len});
		if (s->workers.n == before)
			continue;
		e->names[i].seen = e->looks;
		add_worker(s, s->workers.v[before]);
		if (timing->type == REDIS_REPLY_STRING)
			performance_add(&s->performance, arena_span(s->arena, (struct span){timing->str, timing->len}));
	}
	beacons_sort(&s->workers);
}

static const char *ask_cache(struct status_eye *e, struct arena *a, struct status *s)
{
	const char *why = NULL, **argv;
	redisReply *r;

	if (!reach(e, &e->cache, e->session->conf.cache_redis_url, CACHE_HOME, a, &why) || (why = look_round(e, a)))
		return why;
	forget_old(e);
	if (e->nnames == 0)
		return NULL;
	argv = arena_array(a, const char *, 2 * e->nnames + 1);
	argv[0] = "MGET";
	for (size_t i = 0; i < e->nnames; i++) {
		argv[1 + i] = arena_printf(a, BEACON_KEY "%s", e->names[i].id);
		argv[1 + e->nnames + i] = arena_printf(a, LATENCY_KEY "%s", e->names[i].id);
	}
	r = ask(&e->cache, a, &why, 2 * e->nnames + 1, argv);
	if (r)
		take(e, s, r);
	freeReplyObject(r);
	return why;
}

/* --- Postgres */

static const char *ask_pg(struct status_eye *e, struct arena *a)
{
	struct session *s = e->session;
	const char *why = NULL;
	PGresult *res;

	if (!s->pg && !(s->pg = pg_connect_now(s->conf.postgres_url, "shoal cli", PATIENCE_S, a, &why)))
		return why;
	res = PQexec(s->pg, "SELECT 1");
	if (PQresultStatus(res) != PGRES_TUPLES_OK) {
		why = arena_strdup(a, PQerrorMessage(s->pg));
		PQfinish(s->pg);
		s->pg = NULL;
	}
	PQclear(res);
	return why;
}

/* --- a look */

static void note(struct status_eye *e, struct status *s, const char *name, const char *why, int64_t began_us)
{
	if (why && clock_us() - began_us > HASTE_S * 900000)
		e->waited = e->hasty = true;
	s->servers[s->nservers++] =
	    (struct status_server){.name = name, .why = why, .ms = (double)(clock_us() - began_us) / 1e3};
}

void status_look(struct status_eye *e, struct arena *a, struct status *s)
{
	int64_t began;

	*s = (struct status){.arena = a, .at_ms = clock_wall_ms(), .nshards = e->nshards, .total = QUEUE_STATS_NONE};
	s->servers = arena_array(a, struct status_server, e->nshards + 2);
	s->shards = arena_array(a, struct queue_stats, e->nshards);
	performance_init(&s->performance, a);
	cache_report_init(s->caches);
	e->waited = false;
	e->looks++;
	for (unsigned i = 0; i < e->nshards; i++) {
		const char *name = e->nshards > 1 ? arena_printf(a, "queue %u", i) : "queue";

		began = clock_us();
		note(e, s, name, ask_shard(e, i, a, &s->shards[i]), began);
		if (!s->servers[i].why)
			queue_stats_add(&s->total, &s->shards[i]);
	}
	began = clock_us();
	note(e, s, "caches", ask_cache(e, a, s), began);
	s->told = !s->servers[s->nshards].why;
	began = clock_us();
	note(e, s, "postgres", ask_pg(e, a), began);
	e->hasty = e->waited;
	performance_sum(&s->performance);
}

void status_release(struct status *s)
{
	free(s->workers.v);
	s->workers = (struct beacons){0};
}

bool status_all_up(const struct status *s)
{
	for (size_t i = 0; i < s->nservers; i++)
		if (s->servers[i].why)
			return false;
	return true;
}

const char *status_foreign(const struct status_eye *e, unsigned *shard, struct arena *a)
{
	const char *why = NULL;

	for (*shard = 0; *shard < e->nshards; ++*shard)
		if (e->shards[*shard] && (why = queue_foreign_now(e->shards[*shard], *shard, e->nshards, a)))
			break;
	return why;
}
