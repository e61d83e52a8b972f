/* What the tests of the caches share: a Redis and a Postgres of their own, several caches on one loop as if of several
 * workers, and hands to hold a lookup still wherever it stands:
 *
 *   the loop runs only while it is asked to, so an answer of Redis may wait in its socket as long as one likes
 *   players and start_codes are views that read their rows first and then wait for a lock, hold() and let_go()
 *
 * A value's version is a player's name, "v7", and a start code's max_uses. */
#ifndef SHOAL_TESTS_CACHE_RIG_H
#define SHOAL_TESTS_CACHE_RIG_H

#include <poll.h>

#include "check.h"
#include "pgserver.h"
#include "servers.h"
#include "shoal/base/arena.h"
#include "shoal/base/clock.h"
#include "shoal/base/embed.h"
#include "shoal/base/log.h"
#include "shoal/base/metrics.h"
#include "shoal/io/loop.h"
#include "shoal/io/pg.h"
#include "shoal/io/redis.h"
#include "shoal/store/cache.h"
#include "shoal/store/cache_fence.h"
#include "shoal/store/cache_gen.h"
#include "shoal/store/cache_key.h"
#include "shoal/store/cache_void.h"

enum { PATIENCE_MS = 30000 }; /* with what has to come: a busy machine may stand still for seconds */

/* What a lookup gave instead of a version. */
enum { NONE = -1, FAILED = -2, NOT_THERE = -3, STRANGE = -4, UNDER_WAY = -5 };

static struct pgserver postgres;
static struct redis_server server;
static struct loop *loop;
static struct timer limit;
static PGconn *hand;      /* on Postgres */
static redisContext *tap; /* on Redis */

/* --- time */

static void on_limit(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

static void run_ms(int ms)
{
	timer_set(&limit, ms);
	loop_run(loop);
	timer_stop(&limit);
}

/* Until cond is true. */
#define UNTIL(cond)                                                                                                    \
	do {                                                                                                           \
		int64_t end_ = clock_ms() + PATIENCE_MS;                                                               \
		bool true_ = (cond);                                                                                   \
		while (!true_ && clock_ms() < end_) {                                                                  \
			run_ms(1);                                                                                     \
			true_ = (cond);                                                                                \
		}                                                                                                      \
		if (!true_)                                                                                            \
			printf("# %s:%d: did not become true: %s\n", __FILE__, __LINE__, #cond), check_failed_here++;  \
	} while (0)

/* --- the servers, by hand */

static void sql(const char *text)
{
	PGresult *r = PQexec(hand, text);

	if (PQresultStatus(r) != PGRES_COMMAND_OK && PQresultStatus(r) != PGRES_TUPLES_OK)
		printf("# %s: %s", text, PQerrorMessage(hand)), check_failed_here++;
	PQclear(r);
}

static __attribute__((unused, format(printf, 1, 2))) void sqlf(const char *format, ...)
{
	char text[1000];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	sql(text);
}

/* One command, its answer as text; "none" where none came. */
static __attribute__((format(printf, 1, 2))) const char *command(const char *format, ...)
{
	static char out[512];
	va_list args;
	redisReply *r = NULL;

	for (int i = 0; !r && i < 2; i++) {
		if (!tap || tap->err) {
			redisFree(tap);
			tap = redisConnect("127.0.0.1", server.port);
		}
		va_start(args, format);
		r = redisvCommand(tap, format, args);
		va_end(args);
	}
	if (!r)
		return "none";
	if (r->type == REDIS_REPLY_INTEGER)
		snprintf(out, sizeof(out), "%lld", r->integer);
	else
		snprintf(out, sizeof(out), "%s", r->str ? r->str : r->type == REDIS_REPLY_ARRAY ? "array" : "nil");
	freeReplyObject(r);
	return out;
}

static __attribute__((unused)) bool exists(const char *name)
{
	return strcmp(command("EXISTS %s", name), "1") == 0;
}

/* Calls of all commands whose name holds `part` ("": of all), as INFO counts them. */
static __attribute__((unused)) long long calls(const char *part)
{
	redisReply *r = redisCommand(tap, "INFO commandstats");
	long long n = 0;

	for (char *line = r ? strtok(r->str, "\r\n") : NULL; line; line = strtok(NULL, "\r\n")) {
		char *at = strstr(line, ":calls=");

		if (strncmp(line, "cmdstat_", 8) == 0 && at) {
			*at = '\0';
			n += strstr(line, part) ? atoll(at + 7) : 0;
		}
	}
	freeReplyObject(r);
	return n;
}

static __attribute__((unused)) int statements(const char *name)
{
	return (int)series_value(SERIES(metric_counter("shoal_sql_statements_total", "statement", ""), name));
}

/* Lookups that read their rows wait, with what they have read, until let_go(). */
static __attribute__((unused)) void hold(void)
{
	sql("SELECT pg_advisory_lock(42)");
}

static __attribute__((unused)) void let_go(void)
{
	sql("SELECT pg_advisory_unlock(42)");
}

/* --- caches */

struct node {
	struct redis *redis;
	struct pg *pg;
	struct cache *cache;
	bool pg_came; /* it was told */
	char id[32];
};

static void redis_came(void *arg)
{
	struct node *n = arg;

	if (n->cache)
		cache_redis_came(n->cache);
}

static void pg_changed(void *arg, bool up)
{
	struct node *n = arg;

	n->pg_came = up;
	if (n->cache && up)
		cache_pg_came(n->cache);
}

/* memory: bytes. listens: to Postgres. */
static void node_open(struct node *n, const char *id, size_t memory, bool listens)
{
	memset(n, 0, sizeof(*n));
	snprintf(n->id, sizeof(n->id), "%s", id);
	n->redis = redis_open(
	    loop, &(struct redis_opts){
	              .url = server.url, .label = "cache", .timeout_ms = 2000, .on_up = redis_came, .arg = n});
	n->pg = pg_open(loop, &(struct pg_opts){.url = postgres.url,
	                                        .application_name = "test",
	                                        .connections = 2,
	                                        .prepare = true,
	                                        .statement_timeout_ms = 20000,
	                                        .on_change = pg_changed,
	                                        .arg = n});
	n->cache = cache_open(&(struct cache_opts){.loop = loop,
	                                           .redis = n->redis,
	                                           .pg = n->pg,
	                                           .redis_url = server.url,
	                                           .listen_url = listens ? postgres.url : "host=/nowhere",
	                                           .id = n->id,
	                                           .memory_bytes = memory,
	                                           .player_ttl_s = 300});
}

static void node_close(struct node *n)
{
	cache_close(n->cache);
	pg_close(n->pg);
	redis_close(n->redis);
	memset(n, 0, sizeof(*n));
}

/* --- lookups */

static int version_of(enum cache_kind kind, const struct cache_value *v)
{
	if (!v)
		return NOT_THERE;
	if (!v->found)
		return NONE;
	if (v->kind == CACHE_PLAYER && kind == CACHE_PLAYER && v->player.name && v->player.name[0] == 'v')
		return atoi(v->player.name + 1);
	return v->kind == CACHE_STARTCODE && kind == CACHE_STARTCODE ? (int)v->code.max_uses : STRANGE;
}

struct asked {
	enum cache_kind kind;
	int times, version;
	enum err err;
};

static void answered(void *arg, enum err err, struct cache_value *v)
{
	struct asked *a = arg;

	a->times++;
	a->err = err;
	a->version = err == ERR_OK ? version_of(a->kind, v) : FAILED;
	CHECK((v != NULL) == (err == ERR_OK));
}

static void begin(struct asked *a, struct node *n, enum cache_kind kind, const char *key)
{
	*a = (struct asked){.kind = kind, .version = UNDER_WAY};
	cache_get(n->cache, kind, span_of(key), answered, a);
	CHECK_INT(a->times, 0);
}

/* Past memory. */
static int get(struct node *n, enum cache_kind kind, const char *key)
{
	struct asked a;

	begin(&a, n, kind, key);
	UNTIL(a.times > 0);
	CHECK_INT(a.times, 1);
	return a.version;
}

/* From memory alone. */
static __attribute__((unused)) int peek(struct node *n, enum cache_kind kind, const char *key)
{
	return version_of(kind, cache_peek(n->cache, kind, span_of(key)));
}

/* As a worker does it. */
static __attribute__((unused)) int look(struct node *n, enum cache_kind kind, const char *key)
{
	int v = peek(n, kind, key);

	return v == NOT_THERE ? get(n, kind, key) : v;
}

/* Looks until it is in memory: what was just filled is forgotten once, because of the fill. */
static __attribute__((unused)) int learn(struct node *n, enum cache_kind kind, const char *key)
{
	UNTIL(peek(n, kind, key) != NOT_THERE || (get(n, kind, key), run_ms(5), peek(n, kind, key)) != NOT_THERE);
	return peek(n, kind, key);
}

/* --- invalidation by somebody else, who waits until all have heard */

struct voided {
	enum err err;
	struct cache_heard workers;
};

struct voider {
	pid_t pid;
	int fd;
};

/* In a process of its own, since the loop has to run meanwhile. key NULL: the whole cache. */
static __attribute__((unused)) struct voider void_begin(enum cache_kind kind, const char *key)
{
	struct voider v;
	int fds[2];

	if (pipe(fds) != 0)
		server_die("pipe");
	fflush(stdout);
	v.pid = fork();
	if (v.pid == 0) {
		redisContext *c = redisConnect("127.0.0.1", server.port);
		struct voided d = {0};
		int64_t n;

		d.err =
		    key ? cache_void_now(c, kind, (struct span[]){span_of(key)}, 1, &n) : cache_gen_end_now(c, kind);
		if (d.err == ERR_OK)
			d.err = cache_fence_now(c, &d.workers);
		_exit(write(fds[1], &d, sizeof(d)) != sizeof(d));
	}
	close(fds[1]);
	v.fd = fds[0];
	return v;
}

static __attribute__((unused)) bool void_over(const struct voider *v)
{
	return poll(&(struct pollfd){.fd = v->fd, .events = POLLIN}, 1, 0) > 0;
}

static __attribute__((unused)) struct voided void_end(struct voider *v)
{
	struct voided d = {.err = ERR_INTERNAL};

	UNTIL(void_over(v));
	CHECK(read(v->fd, &d, sizeof(d)) == sizeof(d));
	close(v->fd);
	waitpid(v->pid, NULL, 0);
	return d;
}

static __attribute__((unused)) struct voided void_all_hear(enum cache_kind kind, const char *key)
{
	struct voider v = void_begin(kind, key);

	return void_end(&v);
}

/* On the tap, without waiting for anybody. */
static __attribute__((unused)) void void_now(enum cache_kind kind, const char *key)
{
	int64_t n;

	command("PING"); /* that it is connected */
	CHECK_INT(cache_void_now(tap, kind, (struct span[]){span_of(key)}, 1, &n), ERR_OK);
}

/* --- one change of version */

static __attribute__((unused)) void write_version(enum cache_kind kind, const char *key, int version)
{
	if (kind == CACHE_PLAYER)
		sqlf("UPDATE real_players SET player_name = 'v%d' WHERE discord_uid = %s", version, key);
	else
		sqlf("UPDATE real_codes SET max_uses = %d WHERE code = '%s'", version, key);
}

/* Changes tell nobody, as if no listener had ever been there. */
static __attribute__((unused)) void notices(bool on)
{
	sqlf("ALTER TABLE real_players %s TRIGGER USER; ALTER TABLE real_codes %s TRIGGER USER",
	     on ? "ENABLE" : "DISABLE", on ? "ENABLE" : "DISABLE");
}

/* --- all of it */

/* A view whose rows are read first, then handed out when the lock is free. */
static void make_slow(const char *table, const char *real)
{
	sqlf("ALTER TABLE %s RENAME TO %s; CREATE VIEW %s AS SELECT t.* FROM %s t, "
	     "(SELECT pg_advisory_xact_lock_shared(42) OFFSET 0) held",
	     table, real, table, real);
}

/* Ten players, 1 to 10, and ten codes, c1 to c10, of version 1; no values, leases and generations in Redis. */
static __attribute__((unused)) void fresh(void)
{
	sql("TRUNCATE real_players, personas, real_codes RESTART IDENTITY CASCADE; "
	    "INSERT INTO personas (key, name, greeting) VALUES ('default', 'Luna', 'Hi'), ('rex', 'Rex', 'Yo'); "
	    "INSERT INTO real_codes (code, persona_id, max_uses) SELECT 'c' || i, 1 + i % 2, 1 "
	    "FROM generate_series(1, 10) i; "
	    "INSERT INTO real_players (discord_uid, player_name) SELECT i, 'v1' FROM generate_series(1, 10) i");
	command("EVAL %s 0", "for _, key in ipairs(redis.call('KEYS', 'shoal:{cache}:[lv]:*')) do "
	                     "redis.call('DEL', key) end");
}

static void rig_open(const char *name, const char *const *redis_options)
{
	pgserver_init(&postgres);
	pgserver_start(&postgres);
	hand = pgserver_connect(&postgres);
	sql("SET client_min_messages = warning");
	for (const struct embed_file *f = embed_files; f->name; f++)
		if (strncmp(f->name, "sql/migrations/", 15) == 0)
			sql(f->data);
	make_slow("players", "real_players");
	make_slow("start_codes", "real_codes");
	redis_server_start(&server, redis_options);
	log_init(getenv("LOG") ? LOG_INFO : LOG_ERROR, LOG_TEXT, "test", name);
	loop = loop_new();
	timer_init(&limit, loop, on_limit, NULL);
}

static void rig_close(void)
{
	run_ms(50);
	timer_release(&limit);
	loop_free(loop);
	redisFree(tap);
	PQfinish(hand);
	redis_server_stop(&server);
}

#endif
