/* links: base model io store */
/* Servers that go, hang, come back with less or older data than they had, or are others than before: lookups are
 * answered as long as either server can tell, and nothing that came back is believed. */
#include "cache_rig.h"

static struct node a, b, bare, deaf; /* two with memory; without memory; with memory, deaf to Postgres */
static struct node *const nodes[] = {&a, &b, &bare, &deaf};
enum { NODES = 4, MIB = 1 << 20 };
static int version; /* of player 1 */

static void write_next(void)
{
	write_version(CACHE_PLAYER, "1", ++version);
}

static void all_up(void)
{
	for (int i = 0; i < NODES; i++)
		UNTIL(redis_up(nodes[i]->redis) && pg_up(nodes[i]->pg));
}

/* Everything is well, and player 1 is in all memories. */
static void calm(void)
{
	all_up();
	fresh();
	version = 1;
	run_ms(20);
	UNTIL(atoi(command("ZCARD shoal:{cache}:trusts")) == 3);
	for (int i = 0; i < NODES; i++)
		UNTIL(!cache_not_listening(nodes[i]->cache) || nodes[i] == &deaf);
	for (int i = 0; i < NODES; i++)
		if (nodes[i] != &bare)
			CHECK_INT(learn(nodes[i], CACHE_PLAYER, "1"), 1);
}

static void all_look(int want)
{
	for (int i = 0; i < NODES; i++)
		CHECK_INT(look(nodes[i], CACHE_PLAYER, "1"), want);
}

/* Whatever comes first, memory or Redis, old or new connection: never older than this, and in the end all as before. */
static void never_older_again(void)
{
	int64_t end = clock_ms() + PATIENCE_MS;

	for (int turns = 0; turns < 100 && clock_ms() < end && !check_failed_here; run_ms(1)) {
		all_look(version);
		turns += redis_up(a.redis) && redis_up(b.redis) && redis_up(bare.redis) && redis_up(deaf.redis);
	}
	for (int i = 0; i < NODES; i++)
		if (nodes[i] != &bare)
			CHECK_INT(learn(nodes[i], CACHE_PLAYER, "1"), version);
}

/* A worker that begins only now. */
static void newcomer_sees(int want)
{
	struct node n;

	node_open(&n, "newcomer", MIB, true);
	UNTIL(redis_up(n.redis) && pg_up(n.pg));
	CHECK_INT(get(&n, CACHE_PLAYER, "1"), want);
	node_close(&n);
}

static void down_is_noticed(void)
{
	for (int i = 0; i < NODES; i++)
		UNTIL(!redis_up(nodes[i]->redis));
}

/* --- Redis */

static void redis_comes_back_empty(void)
{
	calm();
	redis_server_kill(&server);
	redis_server_run(&server);
	all_up();
	never_older_again();
	redis_server_kill(&server);
	down_is_noticed();
	all_look(1);
	write_next();
	for (int i = 0; i < NODES; i++)
		UNTIL(look(nodes[i], CACHE_PLAYER, "1") == 2);
	redis_server_run(&server);
	all_up();
	never_older_again();
}

/* With what it had some time ago: values, generation and all. */
static void redis_comes_back_with_old_data(void)
{
	calm();
	CHECK_STR(command("SAVE"), "OK");
	notices(false);
	write_next();
	void_now(CACHE_PLAYER, "1");
	notices(true);
	for (int i = 0; i < NODES; i++)
		UNTIL(look(nodes[i], CACHE_PLAYER, "1") == 2);
	redis_server_kill(&server);
	redis_server_run(&server);
	CHECK(exists("shoal:{cache}:v:player:1") && exists("shoal:{cache}:v:player"));
	newcomer_sees(2);
	never_older_again();
	/* and what changes while it is away */
	CHECK_STR(command("SAVE"), "OK");
	redis_server_kill(&server);
	write_next();
	down_is_noticed();
	for (int i = 0; i < NODES; i++)
		UNTIL(look(nodes[i], CACHE_PLAYER, "1") == 3);
	redis_server_run(&server);
	never_older_again();
	command("FLUSHALL");
	CHECK_STR(command("SAVE"), "OK");
}

/* The same server with all its data, only out of reach for a while. */
static void redis_comes_back_as_it_was(void)
{
	for (int round = 0; round < 2; round++) {
		calm();
		CHECK_STR(command("CONFIG SET requirepass locked"), "OK");
		command("CLIENT KILL TYPE pubsub");
		command("CLIENT KILL TYPE normal SKIPME yes");
		down_is_noticed();
		write_next();
		for (int i = 0; i < NODES; i++)
			UNTIL(look(nodes[i], CACHE_PLAYER, "1") == 2);
		CHECK(exists("shoal:{cache}:v:player:1"));
		CHECK_STR(command("CONFIG SET requirepass %s", ""), "OK");
		UNTIL(redis_up(a.redis) || redis_up(b.redis) || redis_up(bare.redis));
		never_older_again();
	}
}

/* A replica that never saw the invalidation takes the master's place. */
static void replica_is_promoted(void)
{
	struct redis_server replica;
	redisContext *c;
	char port[16];

	calm();
	CHECK_STR(command("CONFIG SET repl-diskless-sync-delay 0"), "OK");
	snprintf(port, sizeof(port), "%d", server.port);
	redis_server_start(&replica, (const char *const[]){"--replicaof", "127.0.0.1", port, NULL});
	c = redisConnect("127.0.0.1", replica.port);
	for (int i = 0; i < 1000; i++) {
		redisReply *r = redisCommand(c, "EXISTS shoal:{cache}:v:player:1");
		bool there = r && r->integer == 1;

		freeReplyObject(r);
		if (there)
			break;
		run_ms(10);
	}
	freeReplyObject(redisCommand(c, "REPLICAOF NO ONE"));
	notices(false);
	write_next();
	void_now(CACHE_PLAYER, "1");
	notices(true);
	for (int i = 0; i < NODES; i++)
		UNTIL(look(nodes[i], CACHE_PLAYER, "1") == 2);
	redis_server_kill(&server);
	freeReplyObject(redisCommand(c, "CONFIG SET port %d", server.port));
	CHECK(exists("shoal:{cache}:v:player:1") && exists("shoal:{cache}:v:player"));
	newcomer_sees(2);
	all_up();
	never_older_again();
	redisFree(c);
	redis_server_stop(&replica);
	redis_server_run(&server);
	all_up();
	never_older_again();
}

/* It takes commands and says nothing. */
static void redis_hangs(void)
{
	calm();
	kill(server.pid, SIGSTOP);
	CHECK_INT(get(&a, CACHE_PLAYER, "1"), 1); /* Postgres tells, when Redis has been waited for */
	write_next();
	for (int i = 0; i < NODES; i++)
		UNTIL(look(nodes[i], CACHE_PLAYER, "1") == 2);
	kill(server.pid, SIGCONT);
	all_up();
	never_older_again();
}

/* Memory is believed as long as Postgres is heard, and forgets what it tells; with neither it is bypassed. */
static void memory_without_redis(void)
{
	int64_t began;

	calm();
	redis_server_kill(&server);
	down_is_noticed();
	/* its connection that tells of changes notices for itself */
	UNTIL(peek(&deaf, CACHE_PLAYER, "1") == NOT_THERE);
	for (began = clock_ms(); clock_ms() < began + 2600; run_ms(20)) {
		/* unless the machine stood still for so long that nobody can be sure */
		UNTIL(peek(&a, CACHE_PLAYER, "1") == 1 && peek(&b, CACHE_PLAYER, "1") == 1);
		CHECK_INT(look(&bare, CACHE_PLAYER, "1"), 1);
	}
	write_next();
	UNTIL(peek(&a, CACHE_PLAYER, "1") == NOT_THERE && peek(&b, CACHE_PLAYER, "1") == NOT_THERE);
	all_look(2);
	CHECK_INT(learn(&a, CACHE_PLAYER, "1"), 2); /* what Postgres told is remembered */
	sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name IN ('a', 'b', 'bare')");
	UNTIL(peek(&a, CACHE_PLAYER, "1") == NOT_THERE);
	run_ms(300); /* it listens again, but what was missed nobody knows */
	CHECK_INT(peek(&a, CACHE_PLAYER, "1"), NOT_THERE);
	CHECK_INT(get(&a, CACHE_PLAYER, "1"), 2);
	redis_server_run(&server);
	all_up();
	never_older_again();
}

/* Redis is believed: nobody asks Postgres for what it has. */
static bool redis_tells(struct node *n)
{
	int asked = statements("cache_player");

	return get(n, CACHE_PLAYER, "1") == version && statements("cache_player") == asked;
}

static void nobody_can_tell(void)
{
	calm();
	for (int i = 0; i < NODES; i++)
		UNTIL(redis_tells(nodes[i]) || nodes[i] == &deaf);
	PQfinish(hand);
	pgserver_stop(&postgres, SIGQUIT);
	for (int i = 0; i < NODES; i++)
		UNTIL(!pg_up(nodes[i]->pg));
	/* Redis and memory still can; but who hears nothing of Postgres doubts it for a while */
	for (int i = 0; i < NODES; i++)
		CHECK(look(nodes[i], CACHE_PLAYER, "1") == 1 || nodes[i] == &deaf);
	command("DEL shoal:{cache}:v:player:2");
	CHECK_INT(get(&a, CACHE_PLAYER, "2"), FAILED);
	CHECK(!exists("shoal:{cache}:l:player:2")); /* the lease was given back */
	redis_server_kill(&server);
	down_is_noticed();
	for (int i = 0; i < NODES; i++) /* the connection that tells of changes may notice a moment later */
		UNTIL(look(nodes[i], CACHE_PLAYER, "1") == FAILED);
	pgserver_start(&postgres);
	hand = pgserver_connect(&postgres);
	sql("SET client_min_messages = warning");
	write_next();
	redis_server_run(&server);
	all_up();
	never_older_again();
}

/* What changed before anybody could listen again is believed by nobody who can ask Postgres. */
static void postgres_restarts(void)
{
	int64_t end;

	calm();
	PQfinish(hand);
	pgserver_stop(&postgres, SIGQUIT);
	pgserver_start(&postgres);
	hand = pgserver_connect(&postgres);
	sql("SET client_min_messages = warning");
	write_next(); /* the loop stood still: it knows of nothing yet */
	for (int i = 0; i < NODES; i++)
		UNTIL(!nodes[i]->pg_came);
	end = clock_ms() + PATIENCE_MS;
	for (bool all = false; !all && !check_failed_here && clock_ms() < end; run_ms(1)) {
		all = true;
		for (int i = 0; i < NODES; i++) {
			struct node *n = nodes[i];
			int seen = n == &deaf || !n->pg_came ? version : look(n, CACHE_PLAYER, "1");

			CHECK(seen == version || seen == FAILED);
			all &= n->pg_came && (n == &deaf || !cache_not_listening(n->cache));
		}
	}
	UNTIL(look(&deaf, CACHE_PLAYER, "1") == version);
	never_older_again();
}

/* --- LISTEN */

static void stop_listening(const char *who)
{
	sqlf("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%%shoal_echo%%' AND "
	     "pid <> pg_backend_pid() AND application_name LIKE '%s'",
	     who);
}

static void plain_sql_is_heard_by_all(void)
{
	calm();
	for (int i = 0; i < 10; i++) {
		write_next();
		for (int j = 0; j < NODES; j++)
			UNTIL(look(nodes[j], CACHE_PLAYER, "1") == version);
	}
	/* many at once: told as one, everything */
	sql("INSERT INTO real_players (discord_uid, player_name) SELECT i, 'v1' FROM generate_series(1000, 1300) i");
	for (int i = 0; i < NODES; i++)
		UNTIL(look(nodes[i], CACHE_PLAYER, "1200") == 1);
	sql("UPDATE real_players SET player_name = 'v9' WHERE discord_uid >= 1000");
	for (int i = 0; i < NODES; i++)
		UNTIL(look(nodes[i], CACHE_PLAYER, "1200") == 9 && look(nodes[i], CACHE_PLAYER, "1300") == 9);
	sql("TRUNCATE real_players CASCADE");
	for (int i = 0; i < NODES; i++)
		UNTIL(look(nodes[i], CACHE_PLAYER, "1") == NONE);
}

static void change_while_nobody_listens_is_seen(void)
{
	char before[100];

	calm();
	snprintf(before, sizeof(before), "%s", command("GET shoal:{cache}:v:player"));
	stop_listening("%");
	write_next(); /* the loop stands still: nobody can have come back */
	for (int i = 0; i < NODES; i++)
		UNTIL(look(nodes[i], CACHE_PLAYER, "1") == 2);
	CHECK(strcmp(command("GET shoal:{cache}:v:player"), before) != 0);
}

static void no_gap_where_another_one_listened(void)
{
	char before[100];

	calm();
	UNTIL(exists("shoal:{cache}:listening"));
	run_ms(1200); /* all have settled */
	snprintf(before, sizeof(before), "%s", command("GET shoal:{cache}:v:player"));
	for (int i = 0; i < 3; i++) {
		stop_listening("a");
		write_next();
		UNTIL(cache_not_listening(a.cache));
		for (int j = 0; j < NODES; j++)
			UNTIL(look(nodes[j], CACHE_PLAYER, "1") == version);
		UNTIL(!cache_not_listening(a.cache));
		run_ms(700);
	}
	CHECK_STR(command("GET shoal:{cache}:v:player"), before);
}

/* Of all workers together about one question a second wakes the listeners: it is what takes a transaction number. */
static void few_questions_of_many_listeners(void)
{
	PGresult *r;
	long long first, last;

	calm();
	run_ms(1200);
	r = PQexec(hand, "SELECT pg_current_xact_id()");
	first = atoll(PQgetvalue(r, 0, 0));
	PQclear(r);
	run_ms(4000);
	r = PQexec(hand, "SELECT pg_current_xact_id()");
	last = atoll(PQgetvalue(r, 0, 0));
	PQclear(r);
	printf("# %lld questions in 4 s, of 3 listeners\n", last - first - 1);
	CHECK(last - first - 1 < 8);
	CHECK(last - first > 1);
}

int main(void)
{
	rig_open("test_cache_away", NULL);
	node_open(&a, "a", 4 * MIB, true);
	node_open(&b, "b", 4 * MIB, true);
	node_open(&bare, "bare", 0, true);
	node_open(&deaf, "deaf", 4 * MIB, false);
	UNTIL(cache_ready(a.cache) && cache_ready(b.cache) && cache_ready(bare.cache));
	RUN(plain_sql_is_heard_by_all);
	RUN(change_while_nobody_listens_is_seen);
	RUN(no_gap_where_another_one_listened);
	RUN(few_questions_of_many_listeners);
	RUN(redis_comes_back_empty);
	RUN(redis_comes_back_with_old_data);
	RUN(redis_comes_back_as_it_was);
	RUN(replica_is_promoted);
	RUN(redis_hangs);
	RUN(memory_without_redis);
	RUN(postgres_restarts);
	RUN(nobody_can_tell);
	for (int i = 0; i < NODES; i++)
		node_close(nodes[i]);
	rig_close();
	DONE();
}
