/* links: base model io store */
/* The caches of start codes and personas between a real Redis and a real PostgreSQL: warm, cold, voided in the middle
 * of a load, one of the servers away, nonsense in Redis. */
#include "check.h"
#include "pgserver.h"
#include "servers.h"
#include "shoal/base/clock.h"
#include "shoal/base/embed.h"
#include "shoal/base/log.h"
#include "shoal/base/metrics.h"
#include "shoal/store/cache.h"

#define CODES "shoal:{cache}:startcode"
#define PERSONAS "shoal:{cache}:persona"

static struct pgserver postgres;
static struct redis_server redis_process;
static struct loop *loop;
static struct redis *redis;
static struct pg *pg;
static struct cache *cache;
static struct arena arena;
static struct timer limit;
static bool late;

struct asked {
	struct facts f;
	struct fact_persona p;
	int times;
	enum err err;
};
static int under_way;

static void on_limit(void *arg)
{
	(void)arg;
	late = true;
	loop_stop(loop);
}

static void run_within(int ms)
{
	late = false;
	timer_set(&limit, ms);
	loop_run(loop);
	timer_stop(&limit);
}

static void answered(void *arg, enum err err)
{
	struct asked *k = arg;

	k->times++;
	k->err = err;
	if (--under_way == 0)
		loop_stop(loop);
}

static void start(struct asked *k, const char *code)
{
	*k = (struct asked){0};
	under_way++;
	cache_lookup_start(cache, code, &arena, &k->f, answered, k);
	CHECK_INT(k->times, 0);
}

/* Asks and waits. */
static struct asked *ask(const char *code)
{
	static struct asked k;

	start(&k, code);
	run_within(8000);
	CHECK_INT(k.times, 1);
	return &k;
}

static struct asked *ask_persona(int64_t id)
{
	static struct asked k;

	k = (struct asked){0};
	under_way++;
	cache_lookup_persona(cache, id, &arena, &k.p, answered, &k);
	CHECK_INT(k.times, 0);
	run_within(8000);
	CHECK_INT(k.times, 1);
	return &k;
}

static enum err invalidate(const char *name)
{
	struct asked k = {0};

	under_way++;
	cache_invalidate(cache, name, answered, &k);
	CHECK_INT(k.times, 0);
	run_within(5000);
	CHECK_INT(k.times, 1);
	return k.err;
}

static void sql(const char *text)
{
	pgserver_sql(&postgres, text);
}

/* One command, its answer as text. */
static const char *command(const char *text)
{
	static char out[512];
	redisContext *c = redisConnect("127.0.0.1", redis_process.port);
	redisReply *r = redisCommand(c, text);

	if (!r)
		snprintf(out, sizeof(out), "none");
	else if (r->type == REDIS_REPLY_INTEGER)
		snprintf(out, sizeof(out), "%lld", r->integer);
	else
		snprintf(out, sizeof(out), "%s", r->str ? r->str : "nil");
	freeReplyObject(r);
	redisFree(c);
	return out;
}

static double statements(const char *name)
{
	return series_value(SERIES(metric_counter("shoal_sql_statements_total", "statement", ""), name));
}

static double requests(const char *name, const char *layer, const char *result)
{
	return series_value(
	    SERIES(metric_counter("shoal_cache_requests_total", "cache,layer,result", ""), name, layer, result));
}

static void wait_up(void)
{
	for (int i = 0; i < 200 && !(redis_up(redis) && pg_up(pg)); i++)
		run_within(25);
	CHECK(redis_up(redis) && pg_up(pg));
}

/* For what goes on when everybody was answered. */
static void settle(void)
{
	run_within(100);
}

static void fresh(void)
{
	wait_up();
	command("FLUSHALL");
	sql("TRUNCATE personas, start_codes RESTART IDENTITY CASCADE; "
	    "INSERT INTO personas (key, name, greeting, prompt, replies) VALUES "
	    "('default', 'Luna', 'Hi \"you\"', NULL, '{}'), ('rex', 'Rex \xf0\x9f\x90\xa6', 'Yo', 'Be Rex', "
	    "'{a,NULL,\"b\n\"}'); "
	    "INSERT INTO start_codes (code, persona_id, max_uses, expires_at) VALUES "
	    "('ahoy', 2, 5, '2030-01-01T00:00:00Z'), ('plain', NULL, NULL, NULL), ('Ahoy', 1, NULL, NULL)");
}

static void cold_lookup_loads_and_warm_ones_ask_nobody_else(void)
{
	struct asked *k;
	double codes, personas;

	fresh();
	codes = statements("cache_startcodes");
	personas = statements("cache_personas");
	k = ask("ahoy");
	CHECK_INT(k->err, ERR_OK);
	CHECK(k->f.code.asked && k->f.code.found && k->f.code.active && k->f.code.limited);
	CHECK_STR(k->f.code.code, "ahoy");
	CHECK_INT(k->f.code.id, 1);
	CHECK_INT(k->f.code.persona_id, 2);
	CHECK_INT(k->f.code.max_uses, 5);
	CHECK_INT(k->f.code.expires_ms, 1893456000000);
	CHECK(k->f.code_persona.found && k->f.code_persona.active);
	CHECK_STR(k->f.code_persona.name, "Rex \xf0\x9f\x90\xa6");
	CHECK_STR(k->f.code_persona.prompt, "Be Rex");
	CHECK_INT(k->f.code_persona.nreplies, 2);
	CHECK_STR(k->f.code_persona.replies[1], "b\n");
	CHECK(k->f.fallback.found);
	CHECK_STR(k->f.fallback.key, "default");
	CHECK_STR(k->f.fallback.greeting, "Hi \"you\"");
	CHECK(!k->f.fallback.prompt);
	CHECK(cache_warmed(cache));
	settle();
	k = ask("Ahoy");
	CHECK_INT(k->f.code.id, 3);
	CHECK_INT(k->f.code_persona.id, 1);
	CHECK(!k->f.code.limited && k->f.code.expires_ms == 0);
	k = ask("#1");
	CHECK_STR(k->f.code.code, "ahoy");
	CHECK_INT(k->f.code_persona.id, 2);
	k = ask("plain");
	CHECK(k->f.code.found && k->f.code.persona_id == 0 && !k->f.code_persona.found && k->f.fallback.found);
	k = ask("nosuch");
	CHECK(k->err == ERR_OK && k->f.code.asked && !k->f.code.found && k->f.fallback.found);
	k = ask("#77");
	CHECK(k->err == ERR_OK && !k->f.code.found);
	k = ask(NULL);
	CHECK(k->err == ERR_OK && !k->f.code.asked && k->f.fallback.found);
	k = ask_persona(2);
	CHECK(k->err == ERR_OK && k->p.found && k->p.id == 2);
	k = ask_persona(99);
	CHECK(k->err == ERR_OK && !k->p.found);
	CHECK_INT(statements("cache_startcodes") - codes, 1);
	CHECK_INT(statements("cache_personas") - personas, 1);
	CHECK_STR(command("TTL " CODES), "-1");
	CHECK_STR(command("EXISTS " CODES ":lease"), "0");
}

static void one_statement_serves_all_who_wait(void)
{
	static struct asked many[200];
	double codes, personas;

	fresh();
	codes = statements("cache_startcodes");
	personas = statements("cache_personas");
	for (int i = 0; i < 200; i++)
		start(&many[i], i % 2 ? "ahoy" : "nosuch");
	run_within(8000);
	for (int i = 0; i < 200; i++)
		CHECK(many[i].times == 1 && many[i].err == ERR_OK && many[i].f.code.found == (i % 2 == 1) &&
		      many[i].f.code_persona.found == (i % 2 == 1) && many[i].f.fallback.found);
	CHECK_INT(statements("cache_startcodes") - codes, 1);
	CHECK_INT(statements("cache_personas") - personas, 1);
	settle();
}

static void change_is_seen_after_invalidation(void)
{
	double before;

	fresh();
	ask("ahoy");
	ask(NULL);
	settle();
	sql("UPDATE start_codes SET active = false; UPDATE personas SET name = 'Nova' WHERE key = 'default'");
	CHECK(ask("ahoy")->f.code.active);
	before = series_value(SERIES(metric_counter("shoal_cache_invalidations_total", "cache", ""), "startcode"));
	CHECK_INT(invalidate("startcode"), ERR_OK);
	CHECK_INT(series_value(SERIES(metric_counter("shoal_cache_invalidations_total", "cache", ""), "startcode")) -
	              before,
	          1);
	CHECK(!ask("ahoy")->f.code.active);
	CHECK_STR(ask(NULL)->f.fallback.name, "Luna");
	CHECK_INT(invalidate("persona"), ERR_OK);
	CHECK_STR(ask(NULL)->f.fallback.name, "Nova");
	CHECK_INT(invalidate("nosuchcache"), ERR_INVALID);
	settle();
	{
		redisContext *c = redisConnect("127.0.0.1", redis_process.port);

		sql("UPDATE start_codes SET active = true");
		CHECK_INT(cache_invalidate_now(c, "startcode"), ERR_OK);
		CHECK_INT(cache_invalidate_now(c, "nosuch"), ERR_INVALID);
		redisFree(c);
		CHECK(ask("ahoy")->f.code.active);
	}
	settle();
}

/* A load that reads slowly sees the table as it was when it began, that is, before the change. */
static void load_that_raced_with_an_invalidation_is_thrown_away(void)
{
	static struct asked early, later;

	fresh();
	ask(NULL);
	settle();
	sql("ALTER TABLE start_codes RENAME TO real_codes; CREATE VIEW start_codes AS "
	    "SELECT c.* FROM real_codes c, (SELECT pg_sleep(0.4) OFFSET 0) nap");
	start(&early, "ahoy");
	run_within(200);
	CHECK_INT(early.times, 0);
	CHECK_STR(command("EXISTS " CODES ":lease"), "1");
	sql("UPDATE real_codes SET active = false");
	cache_invalidate(cache, "startcode", NULL, NULL);
	run_within(50);
	start(&later, "ahoy");
	run_within(8000);
	settle();
	CHECK(early.times == 1 && early.f.code.found && early.f.code.active);
	/* whoever asked after the invalidation sees the change */
	CHECK(later.times == 1 && later.f.code.found && !later.f.code.active);
	sql("DROP VIEW start_codes; ALTER TABLE real_codes RENAME TO start_codes");
	CHECK(!ask("ahoy")->f.code.active);
	CHECK_STR(command("HEXISTS " CODES " ahoy"), "1");
}

static void others_load_is_waited_for(void)
{
	struct asked k;
	int64_t began;

	fresh();
	ask(NULL);
	settle();
	command("SET " CODES ":lease somebody PX 60000");
	start(&k, "ahoy");
	run_within(300);
	CHECK_INT(k.times, 0);
	/* somebody has loaded it, with what only they know */
	command("HSET " CODES " ahoy {\"id\":8,\"code\":\"ahoy\",\"persona_id\":\"2\",\"active\":true}");
	command("EVAL return(redis.call('HSET',KEYS[1],'','1')) 1 " CODES);
	run_within(3000);
	CHECK_INT(k.times, 1);
	CHECK_INT(k.f.code.id, 8);
	/* somebody died while loading: not for ever */
	command("DEL " CODES);
	began = clock_ms();
	CHECK_INT(ask("ahoy")->f.code.id, 1);
	CHECK(clock_ms() - began > 1500);
	CHECK_STR(command("EXISTS " CODES), "0");
	CHECK_STR(command("GET " CODES ":lease"), "somebody");
}

static void nonsense_in_redis_is_passed_by(void)
{
	fresh();
	ask("ahoy");
	settle();
	command("HSET " CODES " ahoy garbage");
	CHECK(ask("ahoy")->f.code.id == 1 && ask("ahoy")->f.fallback.found);
	command("HSET " CODES " ahoy {\"id\":\"x\"}");
	CHECK_INT(ask("ahoy")->f.code.id, 1);
	command("HSET " PERSONAS " 1 [1]");
	CHECK_STR(ask(NULL)->f.fallback.name, "Luna");
	command("SET " CODES " text");
	CHECK_INT(ask("ahoy")->f.code.id, 1);
	CHECK_INT(invalidate("startcode"), ERR_OK);
	CHECK_INT(ask("ahoy")->f.code.id, 1);
	CHECK(ask_persona(1)->p.found);
	settle();
}

static void full_redis_still_answers(void)
{
	fresh();
	command("CONFIG SET maxmemory 1");
	CHECK_INT(ask("ahoy")->f.code.id, 1);
	command("CONFIG SET maxmemory 0");
	CHECK_INT(ask("ahoy")->f.code.id, 1);
	settle();
	command("CONFIG SET maxmemory 1");
	{
		double hits = requests("startcode", "redis", "hit");

		CHECK_INT(ask("ahoy")->f.code.id, 1);
		CHECK_INT(requests("startcode", "redis", "hit") - hits, 1);
		CHECK_INT(invalidate("startcode"), ERR_OK);
	}
	command("CONFIG SET maxmemory 0");
}

static void thousands_of_codes_are_loaded_in_parts(void)
{
	fresh();
	sql("INSERT INTO start_codes (code, persona_id) SELECT 'c' || i, 2 FROM generate_series(1, 3000) i");
	CHECK(ask("c2999")->f.code.found);
	settle();
	CHECK_STR(command("HLEN " CODES), "6007");
	CHECK(ask("c1")->f.code_persona.found);
}

static void empty_tables_are_an_answer(void)
{
	struct asked *k;
	double before;

	fresh();
	sql("TRUNCATE personas, start_codes CASCADE");
	k = ask("ahoy");
	CHECK(k->err == ERR_OK && !k->f.code.found && !k->f.fallback.found);
	settle();
	before = statements("cache_startcodes");
	k = ask("ahoy");
	CHECK(k->err == ERR_OK && !k->f.code.found && !k->f.fallback.found);
	CHECK_INT(statements("cache_startcodes") - before, 0);
}

static void without_redis_postgres_answers(void)
{
	double errors = requests("startcode", "redis", "error"), from_pg = requests("startcode", "postgres", "hit");
	struct asked *k;

	fresh();
	redis_server_kill(&redis_process);
	for (int i = 0; i < 100 && redis_up(redis); i++)
		run_within(20);
	k = ask("ahoy");
	CHECK_INT(k->err, ERR_OK);
	CHECK(k->f.code.found && k->f.code_persona.found && k->f.fallback.found);
	CHECK_INT(requests("startcode", "redis", "error") - errors, 1);
	CHECK_INT(requests("startcode", "postgres", "hit") - from_pg, 1);
	CHECK(ask_persona(2)->p.found);
	CHECK(invalidate("startcode") != ERR_OK);
	redis_server_run(&redis_process);
	wait_up();
	CHECK_INT(ask("ahoy")->f.code.id, 1);
	settle();
	CHECK_STR(command("HEXISTS " CODES " ahoy"), "1");
}

static void without_postgres_redis_answers_and_without_both_nobody(void)
{
	struct asked *k;

	fresh();
	ask("ahoy");
	settle();
	pgserver_stop(&postgres, SIGQUIT);
	for (int i = 0; i < 100 && pg_up(pg); i++)
		run_within(20);
	CHECK_INT(ask("ahoy")->f.code.id, 1);
	command("FLUSHALL");
	k = ask("ahoy");
	CHECK_INT(k->err, ERR_UNREACHABLE);
	settle();
	/* the lease was given back */
	CHECK_STR(command("EXISTS " CODES ":lease"), "0");
	pgserver_start(&postgres);
	wait_up();
	CHECK_INT(ask("ahoy")->f.code.id, 1);
	settle();
}

static void closing_tells_all_who_wait(void)
{
	static struct asked k[3];
	PGconn *c;

	fresh();
	c = pgserver_connect(&postgres);
	PQclear(PQexec(c, "BEGIN; LOCK start_codes IN ACCESS EXCLUSIVE MODE"));
	start(&k[0], "ahoy");
	start(&k[1], "nosuch");
	run_within(200);
	start(&k[2], "ahoy");
	cache_close(cache);
	for (int i = 0; i < 3; i++)
		CHECK(k[i].times == 1 && k[i].err == ERR_UNREACHABLE);
	PQfinish(c);
	run_within(200);
	cache = cache_open(&(struct cache_opts){.loop = loop, .redis = redis, .pg = pg});
	CHECK(!cache_warmed(cache));
	cache_warm(cache);
	cache_warm(cache);
	run_within(300);
	CHECK(cache_warmed(cache));
	for (int i = 0; i < 3; i++)
		CHECK_INT(k[i].times, 1);
}

static void warming_goes_on_until_it_is_done(void)
{
	fresh();
	cache_close(cache);
	cache = cache_open(&(struct cache_opts){.loop = loop, .redis = redis, .pg = pg});
	sql("ALTER TABLE personas RENAME TO hidden");
	cache_warm(cache);
	run_within(300);
	CHECK(!cache_warmed(cache));
	sql("ALTER TABLE hidden RENAME TO personas");
	run_within(2000);
	CHECK(cache_warmed(cache));
}

int main(void)
{
	pgserver_init(&postgres);
	pgserver_start(&postgres);
	for (const struct embed_file *f = embed_files; f->name; f++) {
		if (strncmp(f->name, "sql/migrations/", 15) == 0)
			sql(f->data);
	}
	sql("ALTER DATABASE postgres SET client_min_messages = warning");
	redis_server_start(&redis_process, NULL);
	log_init(LOG_ERROR, LOG_TEXT, "test", "cache");
	arena_init(&arena);
	loop = loop_new();
	timer_init(&limit, loop, on_limit, NULL);
	redis = redis_open(loop, &(struct redis_opts){.url = redis_process.url, .label = "cache", .timeout_ms = 2000});
	pg = pg_open(loop, &(struct pg_opts){.url = postgres.url,
	                                     .application_name = "test",
	                                     .connections = 2,
	                                     .prepare = true,
	                                     .statement_timeout_ms = 10000});
	cache = cache_open(&(struct cache_opts){.loop = loop, .redis = redis, .pg = pg});
	RUN(cold_lookup_loads_and_warm_ones_ask_nobody_else);
	RUN(one_statement_serves_all_who_wait);
	RUN(change_is_seen_after_invalidation);
	RUN(load_that_raced_with_an_invalidation_is_thrown_away);
	RUN(others_load_is_waited_for);
	RUN(nonsense_in_redis_is_passed_by);
	RUN(full_redis_still_answers);
	RUN(thousands_of_codes_are_loaded_in_parts);
	RUN(empty_tables_are_an_answer);
	RUN(without_redis_postgres_answers);
	RUN(without_postgres_redis_answers_and_without_both_nobody);
	RUN(closing_tells_all_who_wait);
	RUN(warming_goes_on_until_it_is_done);
	cache_close(cache);
	pg_close(pg);
	redis_close(redis);
	run_within(50);
	timer_release(&limit);
	loop_free(loop);
	arena_release(&arena);
	redis_server_stop(&redis_process);
	DONE();
}
