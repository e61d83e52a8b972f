/* links: base model io store */
/* The caches on a real Redis and a real PostgreSQL, several of them as if of several workers: what a lookup costs, what
 * is known not to be there, one filler for all, and what somebody else has put into Redis, or taken from it. */
#include "cache_rig.h"
#include "standstill.h"

static struct node a, b, bare, deaf; /* two with memory; without memory; with memory, without ears */
static struct node *const nodes[] = {&a, &b, &bare, &deaf};
enum { NODES = 4, MIB = 1 << 20 };

/* Everything as it is after a long quiet time. */
static void calm(void)
{
	fresh();
	run_ms(20);
	for (int i = 0; i < NODES; i++)
		UNTIL(get(nodes[i], CACHE_PLAYER, "1") == 1 && get(nodes[i], CACHE_STARTCODE, "c1") == 1);
	run_ms(20);
}

/* The commands that Redis was given while something was done and the loop ran for a moment: the least of some attempts,
 * since a worker asks this and that of Redis twice a second anyway. */
static long long commands(void (*what)(void))
{
	long long least = 1000;

	for (int i = 0; i < 20 && least != 0; i++) {
		long long before = calls(""), n;

		what();
		run_ms(5);
		n = calls("") - before - 1;
		least = n < least ? n : least;
	}
	return least;
}

static void peek_a_thousand_times(void)
{
	for (int i = 0; i < 1000; i++)
		CHECK(peek(&a, CACHE_PLAYER, "1") == 1 && peek(&a, CACHE_STARTCODE, "c1") == 1);
}

static void get_player_1(void)
{
	CHECK_INT(get(&bare, CACHE_PLAYER, "1"), 1);
}

static void get_code_1(void)
{
	CHECK_INT(get(&a, CACHE_STARTCODE, "c1"), 1);
}

static void hit_in_memory_asks_nobody(void)
{
	int asked;

	calm();
	CHECK_INT(learn(&a, CACHE_PLAYER, "1"), 1);
	CHECK_INT(learn(&a, CACHE_STARTCODE, "c1"), 1);
	asked = statements("cache_player") + statements("cache_startcode") + statements("cache_startcode_all");
	CHECK_INT(commands(peek_a_thousand_times), 0);
	CHECK_INT(statements("cache_player") + statements("cache_startcode") + statements("cache_startcode_all"),
	          asked);
}

static void hit_in_redis_is_one_command(void)
{
	int asked;

	calm();
	asked = statements("cache_player") + statements("cache_startcode");
	CHECK_INT(commands(get_player_1), 1);
	CHECK_INT(commands(get_code_1), 1);
	CHECK_INT(statements("cache_player") + statements("cache_startcode"), asked);
	CHECK(!cache_peek(bare.cache, CACHE_PLAYER, SPAN("1")));
}

/* The first one's question leaves at once; who comes while it is under way shares the next. */
static void many_who_ask_at_once_are_two_commands(void)
{
	struct asked many[100];

	calm();
	for (int i = 0; i < 100; i++)
		begin(&many[i], &bare, CACHE_PLAYER, "1");
	long long before = calls("mget");

	for (int i = 0; i < 100; i++)
		UNTIL(many[i].times > 0);
	CHECK_INT(calls("mget") - before, 2);
	for (int i = 0; i < 100; i++)
		CHECK(many[i].times == 1 && many[i].version == 1);
}

static void absence_is_remembered_and_ends_when_it_does(void)
{
	int asked;

	calm();
	asked = statements("cache_player");
	CHECK_INT(get(&bare, CACHE_PLAYER, "77"), NONE);
	CHECK_INT(get(&bare, CACHE_PLAYER, "77"), NONE);
	CHECK_INT(learn(&a, CACHE_PLAYER, "77"), NONE);
	CHECK_INT(get(&bare, CACHE_PLAYER, "no number"), NONE);
	CHECK_INT(get(&a, CACHE_PLAYER, "no number"), NONE);
	CHECK_INT(statements("cache_player") - asked, 2);
	CHECK(atoi(command("PTTL shoal:{cache}:v:player:77")) <= 60000);
	CHECK(atoi(command("PTTL shoal:{cache}:v:player:77")) > 10000);
	sql("INSERT INTO real_players (discord_uid, player_name) VALUES (77, 'v5')");
	for (int i = 0; i < NODES; i++)
		UNTIL(look(nodes[i], CACHE_PLAYER, "77") == 5);
	sql("DELETE FROM real_players WHERE discord_uid = 77");
	for (int i = 0; i < NODES; i++)
		UNTIL(look(nodes[i], CACHE_PLAYER, "77") == NONE);
}

static void unknown_codes_cost_no_statement(void)
{
	int asked;

	calm();
	asked = statements("cache_startcode") + statements("cache_startcode_all");
	for (int i = 0; i < 50; i++) {
		char code[32];

		snprintf(code, sizeof(code), "nosuch%d", i);
		CHECK_INT(look(nodes[i % NODES], CACHE_STARTCODE, code), NONE);
	}
	CHECK_INT(statements("cache_startcode") + statements("cache_startcode_all"), asked);
	/* one that comes to be, goes, and is called otherwise */
	sql("INSERT INTO real_codes (code, max_uses) VALUES ('nosuch1', 7)");
	for (int i = 0; i < NODES; i++)
		UNTIL(look(nodes[i], CACHE_STARTCODE, "nosuch1") == 7);
	sql("UPDATE real_codes SET code = 'other' WHERE code = 'nosuch1'");
	for (int i = 0; i < NODES; i++) {
		UNTIL(look(nodes[i], CACHE_STARTCODE, "nosuch1") == NONE);
		UNTIL(look(nodes[i], CACHE_STARTCODE, "other") == 7);
	}
	CHECK_STR(command("PTTL shoal:{cache}:v:startcode:other"), "-1");
	CHECK(atoi(command("PTTL shoal:{cache}:v:startcode:%%")) > 0);
	sql("DELETE FROM real_codes WHERE code = 'other'");
	for (int i = 0; i < NODES; i++)
		UNTIL(look(nodes[i], CACHE_STARTCODE, "other") == NONE);
}

static const char *alias;

static void on_alias(void *arg, enum err err, struct cache_value *v)
{
	static char text[100];

	(void)arg;
	snprintf(text, sizeof(text), "%s", err ? err_text(err) : v->found ? v->alias : "none");
	alias = text;
}

static const char *get_alias(struct node *n, const char *key)
{
	alias = NULL;
	cache_get(n->cache, CACHE_STARTCODE, span_of(key), on_alias, NULL);
	UNTIL(alias);
	return alias;
}

static void aliases_name_codes_by_id(void)
{
	int asked;

	calm();
	asked = statements("cache_startcode");
	CHECK_STR(get_alias(&a, "#3"), "c3");
	CHECK_STR(get_alias(&bare, "#10"), "c10");
	CHECK_INT(statements("cache_startcode"), asked); /* loaded with the codes */
	CHECK_STR(get_alias(&a, "#99"), "none");
	CHECK_STR(get_alias(&a, "#x"), "none");
	CHECK_STR(get_alias(&bare, "#99"), "none");
	CHECK_INT(statements("cache_startcode") - asked, 2); /* no list has them: each asked once */
	sql("UPDATE real_codes SET code = 'renamed' WHERE id = 3");
	UNTIL(strcmp(get_alias(&a, "#3"), "renamed") == 0);
	UNTIL(strcmp(get_alias(&bare, "#3"), "renamed") == 0);
}

static void over_a_thousand_codes_are_filled_one_by_one(void)
{
	int one, all;

	calm();
	sql("INSERT INTO real_codes (code, max_uses) SELECT 'm' || i, i FROM generate_series(1, 1500) i");
	for (int i = 0; i < NODES; i++)
		UNTIL(look(nodes[i], CACHE_STARTCODE, "m1500") == 1500);
	one = statements("cache_startcode");
	all = statements("cache_startcode_all");
	CHECK(!exists("shoal:{cache}:v:startcode:m1499"));
	for (int i = 0; i < NODES; i++) {
		CHECK_INT(look(nodes[i], CACHE_STARTCODE, "m1499"), 1499);
		CHECK_INT(look(nodes[i], CACHE_STARTCODE, "nosuch"), NONE);
	}
	CHECK_INT(statements("cache_startcode") - one, 2);
	CHECK_INT(statements("cache_startcode_all"), all);
	/* few again: known whole again */
	sql("DELETE FROM real_codes WHERE code LIKE 'm%'");
	for (int i = 0; i < NODES; i++)
		UNTIL(look(nodes[i], CACHE_STARTCODE, "m1499") == NONE);
	one = statements("cache_startcode");
	CHECK_INT(look(&a, CACHE_STARTCODE, "m7"), NONE);
	CHECK_INT(look(&bare, CACHE_STARTCODE, "m8"), NONE);
	CHECK_INT(statements("cache_startcode"), one);
}

static void one_fills_for_all(void)
{
	static struct asked many[NODES][50];
	int asked;

	calm();
	asked = statements("cache_player");
	for (int i = 0; i < NODES * 50; i++)
		begin(&many[i % NODES][i / NODES], nodes[i % NODES], CACHE_PLAYER, "2");
	for (int i = 0; i < NODES * 50; i++)
		UNTIL(many[i % NODES][i / NODES].times > 0);
	for (int i = 0; i < NODES * 50; i++)
		CHECK(many[i % NODES][i / NODES].times == 1 && many[i % NODES][i / NODES].version == 1);
	CHECK_INT(statements("cache_player") - asked, 1);
	/* also of a whole load */
	asked = statements("cache_startcode_all");
	command("DEL shoal:{cache}:v:startcode");
	for (int i = 0; i < NODES * 10; i++)
		begin(&many[i % NODES][i / NODES], nodes[i % NODES], CACHE_STARTCODE, i % 3 ? "c4" : "nosuch");
	for (int i = 0; i < NODES * 10; i++)
		UNTIL(many[i % NODES][i / NODES].times > 0);
	for (int i = 0; i < NODES * 10; i++)
		CHECK_INT(many[i % NODES][i / NODES].version, i % 3 ? 1 : NONE);
	CHECK_INT(statements("cache_startcode_all") - asked, 1);
}

/* --- Redis in others' hands */

static void all_say(enum cache_kind kind, const char *key, int version)
{
	for (int i = 0; i < NODES; i++)
		CHECK_INT(get(nodes[i], kind, key), version);
}

#define V1 "shoal:{cache}:v:player:1"

static void nonsense_in_redis_is_passed_by(void)
{
	static const char *const texts[] = {"",     "x",     "|", "|{}", "{\"name\":1}", "[", "{\"name\":\"v9\"",
	                                    "null", "[[[[[["};
	char generation[64], *huge;
	redisReply *r;

	calm();
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		snprintf(generation, sizeof(generation), "%s", command("GET shoal:{cache}:v:player"));
		command("SET " V1 " %s|%s", generation, texts[i][0] ? texts[i] : "{\"name\":\"v9\",");
		all_say(CACHE_PLAYER, "1", 1);
		command("SET " V1 " %s", texts[i]);
		all_say(CACHE_PLAYER, "1", 1);
	}
	/* of another type */
	for (const char *const *name =
	         (const char *const[]){V1, "shoal:{cache}:v:startcode:%", "shoal:{cache}:v:startcode:c1", NULL};
	     *name; name++) {
		command("DEL %s", *name);
		command("RPUSH %s x", *name);
		all_say(CACHE_PLAYER, "1", 1);
		all_say(CACHE_STARTCODE, "c1", 1);
		all_say(CACHE_STARTCODE, "nosuch", NONE);
		void_now(CACHE_PLAYER, "1");
		void_now(CACHE_STARTCODE, "c1");
		void_now(CACHE_STARTCODE, "%");
		CHECK(!exists(*name));
	}
	command("DEL " V1);
	command("RPUSH shoal:{cache}:l:player:1 x");
	CHECK_INT(get(&a, CACHE_PLAYER, "1"), 1);
	CHECK(exists(V1));
	void_now(CACHE_PLAYER, "1");
	huge = mem_alloc(8 * MIB);
	memset(huge, '[', 8 * MIB);
	memcpy(huge, generation, strlen(generation));
	huge[strlen(generation)] = '|';
	r = redisCommand(tap, "SET " V1 " %b", huge, (size_t)8 * MIB);
	freeReplyObject(r);
	all_say(CACHE_PLAYER, "1", 1);
	free(huge);
	void_now(CACHE_PLAYER, "1");
	CHECK_INT(commands(get_player_1), 1);
}

static void generation_of_another_type_is_no_end(void)
{
	calm();
	command("DEL shoal:{cache}:v:player");
	command("RPUSH shoal:{cache}:v:player x");
	all_say(CACHE_PLAYER, "1", 1);
	write_version(CACHE_PLAYER, "1", 2);
	for (int i = 0; i < NODES; i++)
		UNTIL(look(nodes[i], CACHE_PLAYER, "1") == 2);
	command("DEL shoal:{cache}:v:player");
	all_say(CACHE_PLAYER, "1", 2);
	CHECK(exists(V1));
}

/* Whatever key of the caches' own somebody has put something else in: it is mended by who meets it, memory is believed
 * again, and Redis holds values again. */
static void keys_of_another_type_are_mended(void)
{
	static const char *const names[] = {"v:player", "v:player:1", "l:player:1", "trusts", "since", "listening"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		calm();
		void_now(CACHE_PLAYER, "1");
		command("DEL shoal:{cache}:%s", names[i]);
		command("RPUSH shoal:{cache}:%s x", names[i]);
		all_say(CACHE_PLAYER, "1", 1);
		UNTIL(get(&a, CACHE_PLAYER, "1") == 1 && exists(V1));
		CHECK_INT(learn(&a, CACHE_PLAYER, "1"), 1);
		UNTIL(strcmp(command("TYPE shoal:{cache}:%s", names[i]), "list") != 0);
		write_version(CACHE_PLAYER, "1", 2);
		CHECK_INT(void_all_hear(CACHE_PLAYER, "1").err, ERR_OK);
		all_say(CACHE_PLAYER, "1", 2);
		CHECK_INT(learn(&a, CACHE_PLAYER, "1"), 2);
	}
}

/* What is gone from Redis is gone from the memories, whoever removed it. */
static void what_is_removed_by_hand_is_read_anew(void)
{
	static const char *const ways[] = {"DEL " V1,
	                                   "UNLINK " V1,
	                                   "DEL shoal:{cache}:v:player",
	                                   "FLUSHALL",
	                                   "FLUSHDB",
	                                   "PEXPIRE " V1 " 1",
	                                   "RENAME " V1 " elsewhere",
	                                   "SET " V1 " x",
	                                   "SET shoal:{cache}:v:player x"};

	notices(false);
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		calm();
		CHECK_INT(learn(&a, CACHE_PLAYER, "1"), 1);
		CHECK_INT(learn(&deaf, CACHE_PLAYER, "1"), 1);
		write_version(CACHE_PLAYER, "1", 2);
		CHECK_INT(look(&a, CACHE_PLAYER, "1"), 1);
		CHECK_INT(look(&bare, CACHE_PLAYER, "1"), 1);
		CHECK(strcmp(command(ways[i], ""), "none") != 0);
		run_ms(20);
		for (int j = 0; j < NODES; j++) {
			if (look(nodes[j], CACHE_PLAYER, "1") != 2)
				printf("# after %s: node %d\n", ways[i], j);
			UNTIL(look(nodes[j], CACHE_PLAYER, "1") == 2);
		}
	}
	notices(true);
}

static void full_redis_still_answers(void)
{
	struct voided d;

	calm();
	command("CONFIG SET maxmemory 1");
	all_say(CACHE_PLAYER, "1", 1); /* is there */
	all_say(CACHE_PLAYER, "3", 1); /* finds no room */
	all_say(CACHE_PLAYER, "78", NONE);
	all_say(CACHE_STARTCODE, "c1", 1);
	for (int round = 2; round < 5; round++) {
		/* one that Redis has, one that it never had */
		for (const char *const *key = (const char *const[]){"1", "3", NULL}; *key; key++) {
			notices(false);
			for (int i = 0; i < NODES; i++)
				look(nodes[i], CACHE_PLAYER, *key);
			write_version(CACHE_PLAYER, *key, round);
			d = void_all_hear(CACHE_PLAYER, *key);
			CHECK_INT(d.err, ERR_OK);
			for (int i = 0; i < NODES; i++)
				CHECK_INT(look(nodes[i], CACHE_PLAYER, *key), round);
			notices(true);
		}
	}
	command("CONFIG SET maxmemory 0");
	all_say(CACHE_PLAYER, "3", 4);
	CHECK(exists("shoal:{cache}:v:player:3"));
}

static void forgotten_scripts_are_sent_again(void)
{
	struct asked asked[NODES];

	calm();
	void_now(CACHE_PLAYER, "4");
	command("SCRIPT FLUSH");
	for (int i = 0; i < NODES; i++)
		begin(&asked[i], nodes[i], CACHE_PLAYER, "4");
	for (int i = 0; i < NODES; i++)
		UNTIL(asked[i].times == 1 && asked[i].version == 1);
	write_version(CACHE_PLAYER, "4", 2);
	for (int i = 0; i < NODES; i++)
		UNTIL(look(nodes[i], CACHE_PLAYER, "4") == 2);
}

/* Sums over what was asked come out: every lookup counts once in a layer that it reached. */
static void lookups_are_counted(void)
{
	struct metric *m = metric_counter("shoal_cache_requests_total", "cache,layer,result", "");
	struct series *hit = SERIES(m, "player", "memory", "hit"),
	              *negative = SERIES(m, "player", "memory", "negative"),
	              *miss = SERIES(m, "player", "memory", "miss"), *redis = SERIES(m, "player", "redis", "hit"),
	              *none = SERIES(m, "player", "redis", "miss"), *filled = SERIES(m, "player", "postgres", "hit");
	double before[6];

	calm();
	CHECK_INT(learn(&a, CACHE_PLAYER, "1"), 1);
	CHECK_INT(learn(&a, CACHE_PLAYER, "77"), NONE);
	for (int i = 0; i < 6; i++)
		before[i] = series_value((struct series *[]){hit, negative, miss, redis, none, filled}[i]);
	peek(&a, CACHE_PLAYER, "1");
	peek(&a, CACHE_PLAYER, "1");
	peek(&a, CACHE_PLAYER, "77");
	peek(&a, CACHE_PLAYER, "5");
	get(&bare, CACHE_PLAYER, "1");
	get(&bare, CACHE_PLAYER, "5");
	CHECK_INT(series_value(hit) - before[0], 2);
	CHECK_INT(series_value(negative) - before[1], 1);
	CHECK_INT(series_value(miss) - before[2], 1);
	CHECK_INT(series_value(redis) - before[3], 1);
	CHECK_INT(series_value(none) - before[4], 1);
	CHECK_INT(series_value(filled) - before[5], 1);
}

int main(void)
{
	rig_open("test_cache", NULL);
	node_open(&a, "a", 4 * MIB, true);
	node_open(&b, "b", 4 * MIB, true);
	node_open(&bare, "bare", 0, true);
	node_open(&deaf, "deaf", 4 * MIB, false);
	UNTIL(cache_ready(a.cache) && cache_ready(b.cache) && cache_ready(bare.cache));
	RUN(hit_in_memory_asks_nobody);
	RUN(hit_in_redis_is_one_command);
	RUN(many_who_ask_at_once_are_two_commands);
	RUN(absence_is_remembered_and_ends_when_it_does);
	RUN(unknown_codes_cost_no_statement);
	RUN(aliases_name_codes_by_id);
	RUN_STEADILY(over_a_thousand_codes_are_filled_one_by_one);
	RUN(one_fills_for_all);
	RUN(nonsense_in_redis_is_passed_by);
	RUN(generation_of_another_type_is_no_end);
	RUN(keys_of_another_type_are_mended);
	RUN(what_is_removed_by_hand_is_read_anew);
	RUN(full_redis_still_answers);
	RUN(forgotten_scripts_are_sent_again);
	RUN(lookups_are_counted);
	for (int i = 0; i < NODES; i++)
		node_close(nodes[i]);
	rig_close();
	DONE();
}
