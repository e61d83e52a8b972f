/* links: base model io store */
/* The calls of cache_admin.h sent without waiting, as a server does: several under way at once on one connection, each
 * answer read in its callback. What `shoal cache` makes of them is held by tests/e2e/test_cache_cli.py. And what is
 * read of the workers' reports, also of those that make no sense. */
#include "check.h"
#include "servers.h"

#include "shoal/base/log.h"
#include "shoal/io/loop.h"
#include "shoal/store/cache_admin.h"
#include "shoal/store/cache_key.h"
#include "shoal/store/cache_report.h"

#define IDENT "0123456789abcdef"
#define GENERATION IDENT "-now"

static struct redis_server server;
static struct loop *loop;
static struct redis *redis;
static struct arena arena;
static int under_way;

static void on_up(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

static void on_down(void *arg, enum err why)
{
	(void)arg;
	(void)why;
}

static void command(size_t argc, const struct span *argv)
{
	redis_call(redis, NULL, NULL, argc, argv);
}
#define COMMAND(...) command(sizeof((struct span[]){__VA_ARGS__}) / sizeof(struct span), (struct span[]){__VA_ARGS__})
#define SET(name, value) COMMAND(SPAN("SET"), SPAN("shoal:{cache}:" name), SPAN(value))

static void ask(const struct cache_call *c, redis_fn *fn, void *arg)
{
	under_way++;
	redis_eval(redis, c->script, fn, arg, c->nkeys, c->argc, c->argv);
}

static void answered(enum err err)
{
	CHECK_INT(err, ERR_OK);
	if (--under_way == 0)
		loop_stop(loop);
}

/* The arena goes with the answers that were asked for from it. */
static void wait_for_answers(void)
{
	loop_run(loop);
	arena_release(&arena);
}

static void clean(void)
{
	COMMAND(SPAN("FLUSHALL"));
	SET("v:persona", GENERATION);
	SET("v:persona:1", GENERATION "|{\"id\":1}");
	SET("v:persona:2", GENERATION "|");
	SET("v:persona:3", IDENT "-old|{\"id\":3}");
	SET("v:persona:12", GENERATION "|x");
	SET("l:persona:13", "token");
	SET("v:startcode:a*b", "x");
	SET("v:fence:x", "");
	SET("v:other:x", "x");
	SET("trusts", "x");
}

/* --- names */

struct want {
	size_t n;
	const char *keys[8];
};

static bool has(const struct cache_names *names, const char *key)
{
	for (size_t i = 0; i < names->n; i++)
		if (span_is(names->v[i].key, key))
			return true;
	return false;
}

static void on_names(void *arg, enum err err, const redisReply *reply)
{
	const struct want *want = arg;
	struct cache_names names;

	CHECK_INT(cache_names_read(reply, &arena, &names), ERR_OK);
	CHECK(!names.cursor);
	CHECK_INT(names.n, want->n);
	for (size_t i = 0; i < want->n; i++)
		CHECK(has(&names, want->keys[i]));
	for (size_t i = 0; i < names.n; i++)
		CHECK_INT(names.v[i].kind, span_is(names.v[i].key, "a*b") ? CACHE_STARTCODE : CACHE_PERSONA);
	answered(err);
}

static void names_of_values_and_nothing_else(void)
{
	static struct want all = {5, {"1", "2", "3", "12", "a*b"}}, ones = {2, {"1", "12"}},
	                   filled = {3, {"1", "12", "13"}}, starred = {1, {"a*b"}}, none = {0};

	clean();
	ask(cache_scan_call(&arena, NULL), on_names, &all);
	ask(cache_match_call(&arena, CACHE_PERSONA, SPAN("1*"), false, NULL), on_names, &ones);
	ask(cache_match_call(&arena, CACHE_PERSONA, SPAN("1*"), true, NULL), on_names, &filled);
	ask(cache_match_call(&arena, CACHE_STARTCODE, SPAN("a\\*b"), false, NULL), on_names, &starred);
	ask(cache_match_call(&arena, CACHE_STARTCODE, SPAN("a\\*"), false, NULL), on_names, &none);
	ask(cache_match_call(&arena, CACHE_PLAYER, SPAN("*"), true, NULL), on_names, &none);
	wait_for_answers();
	CHECK(cache_is_pattern(SPAN("a?")) && cache_is_pattern(SPAN("[a]")) && cache_is_pattern(SPAN("a\\")));
	CHECK(!cache_is_pattern(SPAN("#1")) && !cache_is_pattern(SPAN("a-b_c]")));
}

static size_t met;

static void on_page(void *arg, enum err err, const redisReply *reply)
{
	struct cache_names names;

	(void)arg;
	CHECK_INT(cache_names_read(reply, &arena, &names), ERR_OK);
	met += names.n;
	if (names.cursor)
		ask(cache_scan_call(&arena, names.cursor), on_page, NULL);
	answered(err);
}

static void many_in_bounded_steps(void)
{
	char name[64];

	clean();
	for (int i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), CACHE_TRACKED "player:%d", i);
		COMMAND(SPAN("SET"), span_of(name), SPAN("x"));
	}
	ask(cache_scan_call(&arena, NULL), on_page, NULL);
	wait_for_answers();
	CHECK(met >= 5005 && met < 5100); /* one may come twice */
}

/* --- what is under them */

static const struct span KEYS[] = {{"1", 1}, {"2", 1}, {"3", 1}, {"4", 1}, {"5", 1}};
enum { NKEYS = 5 };

static void on_seen(void *arg, enum err err, const redisReply *reply)
{
	const enum cache_holds *want = arg;
	struct cache_seen seen[NKEYS];

	CHECK_INT(cache_look_read(reply, seen, NKEYS), ERR_OK);
	for (int i = 0; i < NKEYS; i++) {
		CHECK_INT(seen[i].holds, want[i]);
		CHECK((seen[i].bytes > 0) == (want[i] != CACHE_HOLDS_NOTHING));
	}
	CHECK_INT(cache_look_read(reply, seen, NKEYS - 1), ERR_PROTOCOL);
	answered(err);
}

static void what_is_believed_and_what_is_void(void)
{
	static enum cache_holds full[] = {CACHE_HOLDS_VALUE, CACHE_HOLDS_NEGATIVE, CACHE_HOLDS_VOID,
	                                  CACHE_HOLDS_NOTHING, CACHE_HOLDS_VOID},
	                        swept[] = {CACHE_HOLDS_VALUE, CACHE_HOLDS_NEGATIVE, CACHE_HOLDS_NOTHING,
	                                   CACHE_HOLDS_NOTHING, CACHE_HOLDS_NOTHING},
	                        other[] = {CACHE_HOLDS_VOID, CACHE_HOLDS_VOID, CACHE_HOLDS_NOTHING, CACHE_HOLDS_NOTHING,
	                                   CACHE_HOLDS_NOTHING};

	clean();
	COMMAND(SPAN("RPUSH"), SPAN(CACHE_TRACKED "persona:5"), SPAN("a list"));
	ask(cache_look_call(&arena, IDENT, CACHE_PERSONA, KEYS, NKEYS, false), on_seen, full);
	ask(cache_look_call(&arena, IDENT, CACHE_PERSONA, KEYS, NKEYS, true), on_seen, full);
	ask(cache_look_call(&arena, IDENT, CACHE_PERSONA, KEYS, NKEYS, false), on_seen, swept);
	ask(cache_look_call(&arena, "fedcba9876543210", CACHE_PERSONA, KEYS, NKEYS, false), on_seen, other);
	wait_for_answers();
}

/* --- one value */

static void on_shown(void *arg, enum err err, const redisReply *reply)
{
	const char *want = arg;
	struct cache_shown s;

	CHECK_INT(cache_show_read(reply, IDENT, &arena, &s), ERR_OK);
	CHECK(span_is(s.generation, GENERATION));
	CHECK_INT(s.holds, want ? *want ? CACHE_HOLDS_VALUE : CACHE_HOLDS_NEGATIVE : CACHE_HOLDS_VOID);
	CHECK(span_is(s.text, want ? want : ""));
	CHECK_INT(s.lives_ms, -1);
	CHECK_INT(s.filling_ms, -2);
	CHECK(s.filling_all_ms > 0 && s.filling_all_ms <= 60000);
	CHECK_INT(cache_show_read(reply, "fedcba9876543210", &arena, &s), ERR_OK);
	CHECK_INT(s.holds, CACHE_HOLDS_VOID);
	answered(err);
}

static void on_filling(void *arg, enum err err, const redisReply *reply)
{
	struct cache_shown s;

	(void)arg;
	CHECK_INT(cache_show_read(reply, IDENT, &arena, &s), ERR_OK);
	CHECK_INT(s.holds, CACHE_HOLDS_NOTHING);
	CHECK_INT(s.lives_ms, -2);
	CHECK_INT(s.filling_ms, -1);
	answered(err);
}

static void one_value_and_who_fills_it(void)
{
	clean();
	COMMAND(SPAN("SET"), SPAN("shoal:{cache}:l:persona:%"), SPAN("token"), SPAN("PX"), SPAN("60000"));
	ask(cache_show_call(&arena, CACHE_PERSONA, SPAN("1")), on_shown, (void *)"{\"id\":1}");
	ask(cache_show_call(&arena, CACHE_PERSONA, SPAN("2")), on_shown, (void *)"");
	ask(cache_show_call(&arena, CACHE_PERSONA, SPAN("3")), on_shown, NULL);
	ask(cache_show_call(&arena, CACHE_PERSONA, SPAN("13")), on_filling, NULL);
	wait_for_answers();
}

static void answers_that_make_no_sense_are_refused(void)
{
	redisReply word = {.type = REDIS_REPLY_STATUS, .str = "OK", .len = 2};
	struct cache_names names;
	struct cache_shown shown;
	struct cache_seen seen;

	CHECK_INT(cache_names_read(&word, &arena, &names), ERR_PROTOCOL);
	CHECK_INT(cache_look_read(&word, &seen, 1), ERR_PROTOCOL);
	CHECK_INT(cache_show_read(&word, IDENT, &arena, &shown), ERR_PROTOCOL);
	CHECK_INT(cache_names_read(NULL, &arena, &names), ERR_PROTOCOL);
	arena_release(&arena);
}

/* --- what the workers tell */

static void add(struct cache_report *reports, const char *text)
{
	const char *why;

	cache_report_add(reports, json_parse(&arena, span_of(text), &why));
}

static void reports_add_up(void)
{
	struct cache_report r[CACHE_KINDS];

	cache_report_init(r);
	CHECK_INT(r[CACHE_STATIC].ttl_s, -1);
	add(r, "[{\"cache\":\"persona\",\"ttl_seconds\":7,\"last_loaded\":\"2026-01-01T00:00:00.005Z\",\"memory\":{"
	       "\"believed\":true,\"entries\":3,\"bytes\":100,\"evictions\":1,\"hits\":8,\"asked\":10,\"bypassed\":2},"
	       "\"redis\":{\"hits\":1,\"asked\":4,\"errors\":1},\"postgres\":{\"hits\":3,\"asked\":3}},"
	       "{\"cache\":\"unheard of\"},5,null]");
	add(r, "[{\"cache\":\"persona\",\"last_loaded\":null,\"memory\":{\"believed\":false,\"entries\":2,"
	       "\"hits\":-9,\"asked\":\"many\"}}]");
	add(r, "{}");
	add(r, "not JSON");
	CHECK_INT(r[CACHE_PERSONA].workers, 2);
	CHECK_INT(r[CACHE_PERSONA].believing, 1);
	CHECK_INT(r[CACHE_PERSONA].ttl_s, 7);
	CHECK_INT(r[CACHE_PERSONA].loaded_ms, 1767225600005);
	CHECK_INT(r[CACHE_PERSONA].entries, 5);
	CHECK_INT(r[CACHE_PERSONA].bytes, 100);
	CHECK_INT(r[CACHE_PERSONA].evictions, 1);
	CHECK_INT(r[CACHE_PERSONA].layer[CACHE_MEMORY].hits, 8);
	CHECK_INT(r[CACHE_PERSONA].layer[CACHE_MEMORY].asked, 10);
	CHECK_INT(r[CACHE_PERSONA].layer[CACHE_MEMORY].bypassed, 2);
	CHECK_INT(r[CACHE_PERSONA].layer[CACHE_REDIS].errors, 1);
	CHECK_INT(r[CACHE_PERSONA].layer[CACHE_POSTGRES].asked, 3);
	CHECK_INT(r[CACHE_STARTCODE].workers, 0);
	arena_release(&arena);
}

int main(void)
{
	log_init(LOG_ERROR, LOG_TEXT, "test", "cache_admin");
	redis_server_start(&server, NULL);
	loop = loop_new();
	arena_init(&arena);
	redis = redis_open(
	    loop, &(struct redis_opts){
	              .url = server.url, .label = "test", .timeout_ms = 5000, .on_up = on_up, .on_down = on_down});
	loop_run(loop);
	RUN(names_of_values_and_nothing_else);
	RUN(many_in_bounded_steps);
	RUN(what_is_believed_and_what_is_void);
	RUN(one_value_and_who_fills_it);
	RUN(answers_that_make_no_sense_are_refused);
	RUN(reports_add_up);
	redis_close(redis);
	loop_free(loop);
	redis_server_stop(&server);
	DONE();
}
