/* links: base model io store */
/* An actor of the caches' torture, a process that may be killed at any time. It writes down what it did, times in ns of
 * CLOCK_MONOTONIC, which all processes share.
 *
 *   cache_actor read ID LOG REDIS POSTGRES KEY...      looks keys up all the time, as a worker does
 *
 *       R began ended KEY VERSION LAYER        m from memory, g past it; K and k the same, while Redis was away
 *       E began ended KEY                      nobody could tell
 *
 *   cache_actor write ID LOG REDIS POSTGRES KEY...     changes the keys, which are its own
 *
 *       W began committed KEY VERSION there|gone
 *       A - acknowledged KEY VERSION           it was voided, and every worker had heard
 *       F - failed KEY VERSION ERROR           it was not
 *
 * KEY: p7 is player 7, anything else a start code. By environment: MEMORY=bytes, DEAF=1 of a reader that cannot listen
 * to Postgres; ENDS=n, the writer ends a whole generation at every nth invalidation; STALE_MS, the reader believes what
 * it has read for so long, whatever it is told: the judge must find it out. */
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "shoal/base/arena.h"
#include "shoal/base/clock.h"
#include "shoal/base/err.h"
#include "shoal/base/log.h"
#include "shoal/store/cache.h"
#include "shoal/store/cache_fence.h"
#include "shoal/store/cache_gen.h"
#include "shoal/store/cache_void.h"

enum {
	TICK_NS = 1000000,
	TICK_LOOKS = 8,
	UNDER_WAY_MAX = 64,
	KEYS_MAX = 64,
	GONE = -1,
	PAUSE_US = 15000, /* at most, between two changes */
};

struct key {
	const char *name, *text; /* "p7", "7" */
	enum cache_kind kind;
	int version; /* written */
	bool gone;
	int own;         /* STALE_MS: the version in the reader's own memory */
	int64_t own_end; /* clock_ms() */
};

static struct key keys[KEYS_MAX];
static unsigned nkeys;
static FILE *out;
static int stale_ms, memory_bytes = 1 << 20, ends = 15;

static long long now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (long long)t.tv_sec * 1000000000 + t.tv_nsec;
}

static unsigned below(unsigned n)
{
	static uint64_t x;

	if (!x)
		x = random_u64() | 1;
	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (unsigned)(x >> 33) % n;
}

static void read_keys(char **names, int n)
{
	for (int i = 0; i < n && nkeys < KEYS_MAX; i++) {
		bool player = names[i][0] == 'p';

		keys[nkeys++] = (struct key){.name = names[i],
		                             .text = names[i] + player,
		                             .kind = player ? CACHE_PLAYER : CACHE_STARTCODE,
		                             .version = 1};
	}
}

/* --- the reader */

static struct {
	struct loop *loop;
	struct redis *redis;
	struct pg *pg;
	struct cache *cache;
	struct event *tick;
	unsigned under_way;
} r;

struct looking {
	struct key *key;
	long long began;
	bool away;
};

static int version_of(const struct cache_value *v)
{
	if (!v->found)
		return GONE;
	return v->kind == CACHE_PLAYER ? atoi(v->player.name + 1) : (int)v->code.max_uses;
}

static void note(const struct key *k, long long began, int version, bool memory, bool away)
{
	fprintf(out, "R %lld %lld %s %d %c\n", began, now_ns(), k->name, version,
	        memory ? (away ? 'k' : 'm') : (away ? 'K' : 'g'));
}

static void on_value(void *arg, enum err err, struct cache_value *v)
{
	struct looking *l = arg;

	r.under_way--;
	if (err == ERR_OK) {
		note(l->key, l->began, version_of(v), false, l->away || !redis_up(r.redis));
		l->key->own = version_of(v);
		l->key->own_end = clock_ms() + stale_ms;
	} else {
		fprintf(out, "E %lld %lld %s\n", l->began, now_ns(), l->key->name);
	}
	free(l);
}

static void look(struct key *k)
{
	long long began = now_ns();
	struct cache_value *v;
	struct looking *l;

	if (stale_ms && clock_ms() < k->own_end) {
		note(k, began, k->own, true, false);
		return;
	}
	v = below(8) ? cache_peek(r.cache, k->kind, span_of(k->text)) : NULL;
	if (v) {
		note(k, began, version_of(v), true, !redis_up(r.redis));
		return;
	}
	if (r.under_way == UNDER_WAY_MAX)
		return;
	r.under_way++;
	l = mem_alloc(sizeof(*l));
	*l = (struct looking){k, began, !redis_up(r.redis)};
	cache_get(r.cache, k->kind, span_of(k->text), on_value, l);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	uint64_t ticks;

	(void)what;
	(void)arg;
	if (read(fd, &ticks, sizeof(ticks)) != sizeof(ticks))
		return;
	for (int i = 0; i < TICK_LOOKS; i++)
		look(&keys[below(nkeys)]);
	fflush(out); /* what a kill takes away was never seen */
}

/* Not a timer of the loop, which comes after all that sockets have: of a process that was stopped, this one is ready
 * before what came since, as an update is that a worker had been given. */
static void tick_from_now_on(void)
{
	struct itimerspec every = {.it_interval.tv_nsec = TICK_NS, .it_value.tv_nsec = TICK_NS};
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);

	ENSURE(fd >= 0 && timerfd_settime(fd, 0, &every, NULL) == 0);
	r.tick = event_new(loop_base(r.loop), fd, EV_READ | EV_PERSIST, on_tick, NULL);
	ENSURE(r.tick && event_add(r.tick, NULL) == 0);
}

static void on_redis_up(void *arg)
{
	(void)arg;
	if (r.cache)
		cache_redis_came(r.cache);
}

static void read_on(const char *id, const char *redis, const char *postgres)
{
	r.loop = loop_new();
	r.redis = redis_open(
	    r.loop, &(struct redis_opts){.url = redis, .label = "cache", .timeout_ms = 2000, .on_up = on_redis_up});
	r.pg = pg_open(r.loop, &(struct pg_opts){.url = postgres,
	                                         .application_name = id,
	                                         .connections = 2,
	                                         .prepare = true,
	                                         .statement_timeout_ms = 10000});
	r.cache = cache_open(&(struct cache_opts){.loop = r.loop,
	                                          .redis = r.redis,
	                                          .pg = r.pg,
	                                          .redis_url = redis,
	                                          .listen_url = getenv("DEAF") ? "host=/nowhere" : postgres,
	                                          .id = id,
	                                          .memory_bytes = (size_t)memory_bytes,
	                                          .player_ttl_s = 300});
	tick_from_now_on();
	loop_run(r.loop);
}

/* --- the writer */

static volatile sig_atomic_t ending;

static void on_term(int signum)
{
	(void)signum;
	ending = 1;
}

static bool run(PGconn *pg, const char *sql)
{
	PGresult *res = PQexec(pg, sql);
	bool ok = PQresultStatus(res) == PGRES_COMMAND_OK;

	if (!ok)
		fprintf(stderr, "%s: %s", sql, PQerrorMessage(pg));
	PQclear(res);
	return ok;
}

/* Its next version: another text, or gone, or there again. */
static void change_text(const struct key *k, bool gone, char *sql, size_t size)
{
	const char *table = k->kind == CACHE_PLAYER ? "real_players" : "real_codes";
	const char *id = k->kind == CACHE_PLAYER ? "discord_uid" : "code";
	const char *column = k->kind == CACHE_PLAYER ? "player_name" : "max_uses";
	char value[32];

	snprintf(value, sizeof(value), k->kind == CACHE_PLAYER ? "v%d" : "%d", k->version);
	if (gone)
		snprintf(sql, size, "DELETE FROM %s WHERE %s = '%s'", table, id, k->text);
	else if (k->gone)
		snprintf(sql, size, "INSERT INTO %s (%s, %s) VALUES ('%s', '%s')", table, id, column, k->text, value);
	else
		snprintf(sql, size, "UPDATE %s SET %s = '%s' WHERE %s = '%s'", table, column, value, id, k->text);
}

static bool change(PGconn *pg, struct key *k)
{
	bool gone = !k->gone && below(5) == 0;
	long long began = now_ns();
	char sql[300];

	k->version++;
	change_text(k, gone, sql, sizeof(sql));
	if (!run(pg, sql))
		return false;
	k->gone = gone;
	fprintf(out, "W %lld %lld %s %d %s\n", began, now_ns(), k->name, k->version, gone ? "gone" : "there");
	fflush(out);
	return true;
}

/* One key, with the list of all start codes; now and then everything. */
static enum err tell(redisContext *c, const struct key *k)
{
	struct span names[2] = {span_of(k->text), SPAN("%")};
	struct cache_heard heard;
	int64_t values;
	enum err err = below((unsigned)ends)
	                   ? cache_void_now(c, k->kind, names, k->kind == CACHE_STARTCODE ? 2 : 1, &values)
	                   : cache_gen_end_now(c, k->kind);

	return err == ERR_OK ? cache_fence_now(c, &heard) : err;
}

static void invalidate(redisContext **c, const char *redis, const struct key *k)
{
	const char *why = NULL;
	enum err err = ERR_UNREACHABLE;
	struct arena a;

	arena_init(&a);
	if (!*c)
		*c = redis_connect_now(redis, NULL, &a, &why);
	if (*c)
		err = tell(*c, k);
	if (err == ERR_OK) {
		fprintf(out, "A - %lld %s %d\n", now_ns(), k->name, k->version);
	} else {
		fprintf(out, "F - %lld %s %d %s\n", now_ns(), k->name, k->version, err_text(err));
		redisFree(*c);
		*c = NULL;
		usleep(20000);
	}
	fflush(out);
	arena_release(&a);
}

static int write_on(const char *redis, const char *postgres)
{
	PGconn *pg = PQconnectdb(postgres);
	redisContext *c = NULL;

	signal(SIGTERM, on_term);
	while (!ending) {
		struct key *k = &keys[below(nkeys)];

		if (!change(pg, k))
			return 1;
		if (below(10) < 7) /* else by plain SQL alone */
			invalidate(&c, redis, k);
		usleep(below(PAUSE_US));
	}
	redisFree(c);
	PQfinish(pg);
	return 0;
}

static void read_setting(const char *name, int *value)
{
	const char *text = getenv(name);

	if (text)
		*value = atoi(text);
}

int main(int argc, char **argv)
{
	if (argc < 7 || !(out = fopen(argv[3], "a")))
		return 2;
	read_setting("STALE_MS", &stale_ms);
	read_setting("MEMORY", &memory_bytes);
	read_setting("ENDS", &ends);
	log_init(LOG_INFO, LOG_TEXT, "cache_actor", argv[2]);
	read_keys(argv + 6, argc - 6);
	if (strcmp(argv[1], "write") == 0)
		return write_on(argv[4], argv[5]);
	read_on(argv[2], argv[4], argv[5]);
	return 0;
}
