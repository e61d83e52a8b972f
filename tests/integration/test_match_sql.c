/* links: base model io store */
/* The statements of the ladder's matches against a real PostgreSQL: a match is made once and settled once, whoever
 * reports when, and both ratings change by one number. */
#include "sqlcheck.h"

#include <pthread.h>
#include <stdbool.h>

static void clean(void)
{
	must("TRUNCATE players, guards, mmrs_1v1, preferences_1v1, matches_1v1, player_action_logs RESTART IDENTITY "
	     "CASCADE");
	must("INSERT INTO players (discord_uid, player_name, country, region, tos_accepted_at, setup_completed_at) "
	     "VALUES "
	     "(7, 'Ann', 'DE', 'euw', now(), now()), (9, 'Bob', 'KR', 'kor', now(), now())");
}

static struct arena arena;

static struct facts load(const char *name, const char *a, const char *b)
{
	struct pg_params p = {.n = b ? 2 : 1, .v = {span_of(a), b ? span_of(b) : (struct span){0}}};
	PGresult *r = sql_run(db, name, &p);
	struct pg_rows rows = pg_rows_all(r);
	struct facts f = {0};
	const char *why = "";

	if (PQresultStatus(r) != PGRES_TUPLES_OK)
		printf("# %s", PQerrorMessage(db));
	CHECK_INT(rows_to_facts(&rows, &arena, &f, &why), ERR_OK);
	CHECK_STR(why, "");
	PQclear(r);
	return f;
}

static const struct fact_choice *choice(const struct facts *f, const char *kind, const char *code)
{
	for (size_t i = 0; i < f->choices.n; i++) {
		if (!strcmp(f->choices.v[i].kind, kind) && !strcmp(f->choices.v[i].code, code))
			return &f->choices.v[i];
	}
	return NULL;
}

#define QUEUE(key, uid, races, vetoes, joins) COMMIT("ladder_queue", key, uid, races, vetoes, joins)
#define MATCH(key) COMMIT("ladder_match", key, "7", "9", "bw_zerg", "sc2_zerg", "frostbound", "eue", "50", NONE)
#define REPORT(key, uid, report, other, result, mmr_1, mmr_2)                                                          \
	COMMIT("ladder_report", key, uid, "1", report, other, result, mmr_1, mmr_2)
#define STATE                                                                                                          \
	"SELECT concat_ws(' ', coalesce(report_1, '-'), coalesce(report_2, '-'), coalesce(result, '-'), "              \
	"coalesce(mmr_change_1, 0), coalesce(mmr_change_2, 0), played_at IS NOT NULL) FROM matches_1v1"
#define RATINGS                                                                                                        \
	"SELECT string_agg(concat_ws(' ', discord_uid, race, mmr, games_played, games_won, games_lost, games_drawn), " \
	"', ' ORDER BY discord_uid) FROM mmrs_1v1"

static void the_queue_remembers_what_was_chosen(void)
{
	struct facts f;

	clean();
	CHECK_STR(QUEUE("k1", "7", "bw_zerg sc2_terran", "frostbound", "t"), "ok");
	CHECK_STR(QUEUE("k1", "7", "bw_zerg", "", "t"), "23505 guards_pkey");
	CHECK_STR(QUEUE("k2", "7", "bw_zerg", "", "f"), "ok");
	CHECK_STR(get("SELECT concat_ws(' ', last_chosen_races, last_chosen_vetoes) FROM preferences_1v1"),
	          "{bw_zerg} {}");
	CHECK_STR(get("SELECT string_agg(concat_ws(' ', discord_uid, action, details, idempotency_key), ',') "
	              "FROM player_action_logs"),
	          "7 joined queue {\"races\": [\"bw_zerg\", \"sc2_terran\"], \"vetoes\": [\"frostbound\"]} k1");
	must("INSERT INTO mmrs_1v1 (discord_uid, race, mmr) VALUES (7, 'bw_zerg', 1612)");
	must("UPDATE maps SET active = false WHERE code = 'red_terrace'");
	CHECK_STR(QUEUE("k3", "7", "bw_zerg", "frostbound hollow_crown", "f"), "ok");
	f = load("ladder_queue_load", "7", NULL);
	CHECK_INT(f.choices.n, 6 + 9);
	CHECK(choice(&f, "race", "bw_zerg")->last && choice(&f, "race", "bw_zerg")->mmr == 1612);
	CHECK(!choice(&f, "race", "sc2_terran")->last && choice(&f, "race", "sc2_terran")->mmr == 1500);
	CHECK(choice(&f, "map", "hollow_crown")->last && !choice(&f, "map", "silent_orbit")->last);
	CHECK(!choice(&f, "map", "red_terrace") && !f.match.id);
	must("UPDATE preferences_1v1 SET last_chosen_races = '{NULL,bw_zerg}', last_chosen_vetoes = '{NULL}'");
	f = load("ladder_queue_load", "7", NULL);
	CHECK(choice(&f, "race", "bw_zerg")->last && !choice(&f, "race", "sc2_terran")->last);
	CHECK(!choice(&f, "map", "hollow_crown")->last);
	must("UPDATE maps SET active = true");
	CHECK_STR(QUEUE("k4", "8", "bw_zerg", "", "t"), "SH001 player");
	must("INSERT INTO players (discord_uid, tos_accepted_at) VALUES (8, now())");
	CHECK_STR(QUEUE("k5", "8", "bw_zerg", "", "t"), "SH001 player");
}

static void a_match_is_made_once(void)
{
	struct facts f;

	clean();
	f = load("ladder_match_load", "7", "9");
	CHECK(f.match.player_1 == 7 && f.match.player_2 == 9);
	CHECK_STR(f.match.name_2, "Bob");
	CHECK_INT(f.choices.n, 6 + 10 + 16);
	CHECK_STR(choice(&f, "region", "eue")->name, "Eastern Europe");
	CHECK_STR(MATCH("match_7_9_1"), "ok");
	CHECK_STR(MATCH("match_7_9_1"), "23505 guards_pkey");
	must("TRUNCATE guards");
	CHECK_STR(MATCH("match_7_9_1"), "SH001 made");
	CHECK_STR(get("SELECT concat_ws(' ', count(*), min(idempotency_key), min(channel_id), min(channel_1), "
	              "min(channel_2)) "
	              "FROM matches_1v1"),
	          "1 match_7_9_1 50 50");
	CHECK_STR(get("SELECT count(*) FROM guards"), "0");
	/* who has not reported yet does not queue */
	CHECK_STR(QUEUE("k1", "7", "bw_zerg", "", "t"), "SH001 player");
	CHECK_STR(QUEUE("k2", "9", "bw_zerg", "", "t"), "SH001 player");
	f = load("ladder_queue_load", "9", NULL);
	CHECK(f.match.id == 1 && f.match.player_1 == 7);
	CHECK_STR(f.match.name_1, "Ann");
	/* nor is paired, on whichever side */
	must("INSERT INTO players (discord_uid, setup_completed_at) VALUES (11, now())");
	CHECK_STR(COMMIT("ladder_match", "match_7_11_1", "7", "11", "a", "b", NONE, NONE, NONE, NONE), "SH001 made");
	CHECK_STR(COMMIT("ladder_match", "match_9_11_1", "11", "9", "a", "b", NONE, NONE, NONE, NONE), "SH001 made");
	f = load("ladder_match_load", "7", "11");
	CHECK(f.match.player_1 == 0 && f.match.player_2 == 11);
	f = load("ladder_match_load", "11", "9");
	CHECK(f.match.player_1 == 11 && f.match.player_2 == 0);
	CHECK_STR(REPORT("k3", "7", "1", NONE, NONE, NONE, NONE), "ok");
	f = load("ladder_match_load", "7", "9");
	CHECK(f.match.player_1 == 7 && f.match.player_2 == 0);
	CHECK_STR(COMMIT("ladder_match", "match_7_11_1", "7", "11", "a", "b", NONE, NONE, NONE, NONE), "ok");
	must("UPDATE matches_1v1 SET report_1 = '1', report_2 = '1', result = '1'");
	f = load("ladder_match_load", "7", "1000");
	CHECK(f.match.player_1 == 7 && f.match.player_2 == 0 && f.choices.n == 32);
	must("UPDATE maps SET active = false");
	f = load("ladder_match_load", "7", "9");
	CHECK(f.choices.n == 22 && f.match.player_2 == 9);
	must("UPDATE maps SET active = true");
}

static void agreement_settles_and_rates(void)
{
	struct facts f;

	clean();
	must("INSERT INTO mmrs_1v1 (discord_uid, race, mmr, games_played, games_won) VALUES (9, 'sc2_zerg', 1600, 1, "
	     "1)");
	CHECK_STR(MATCH("match_7_9_1"), "ok");
	f = load("ladder_report_load", "7", NULL);
	CHECK(f.match.id == 1 && f.match.mmr_1 == 1500 && f.match.mmr_2 == 1600 && f.match.channel_1 == 50);
	CHECK(f.match.if_1 == 26 && f.match.if_2 == -14 && f.match.if_draw == 6);
	CHECK_STR(REPORT("k1", "7", "1", NONE, NONE, NONE, NONE), "ok");
	CHECK_STR(get(STATE), "1 - - 0 0 f");
	CHECK_STR(get(RATINGS), "9 sc2_zerg 1600 1 1 0 0");
	/* decided before the other one's report was known */
	CHECK_STR(REPORT("k2", "9", "1", NONE, NONE, NONE, NONE), "SH001 match");
	/* ratings have moved since */
	CHECK_STR(REPORT("k2", "9", "1", "1", "1", "1525", "1575"), "SH001 mmr");
	CHECK_STR(get(STATE), "1 - - 0 0 f");
	CHECK_STR(REPORT("k2", "9", "1", "1", "1", "1526", "1574"), "ok");
	CHECK_STR(get(STATE), "1 1 1 26 -26 t");
	CHECK_STR(get(RATINGS), "7 bw_zerg 1526 1 1 0 0, 9 sc2_zerg 1574 2 1 1 0");
	CHECK_STR(REPORT("k3", "9", "2", "1", "conflict", NONE, NONE), "SH001 match");
	CHECK_STR(REPORT("k3", "7", "1", "1", "1", "1552", "1548"), "SH001 match");
	CHECK_STR(
	    get("SELECT string_agg(concat_ws(' ', discord_uid, action, details, idempotency_key), ',' ORDER BY id) "
	        "FROM player_action_logs"),
	    "7 reported match result {\"match\": 1, \"report\": \"1\", \"result\": null} k1,"
	    "9 reported match result {\"match\": 1, \"report\": \"1\", \"result\": \"1\"} k2");
	/* what it changed, given what the ratings are now */
	must("UPDATE mmrs_1v1 SET mmr = 1556 WHERE discord_uid = 7");
	f = load("ladder_report_load", "9", NULL);
	CHECK_STR(f.match.result, "1");
	CHECK(f.match.mmr_1 == 1530 && f.match.mmr_2 == 1600 && f.match.if_1 == 26 && f.match.if_2 == 26 &&
	      f.match.if_draw == 26);
	CHECK_STR(QUEUE("k5", "7", "bw_zerg", "", "t"), "ok");
}

static void races_that_nobody_knows_change_no_rating(void)
{
	struct facts f;

	clean();
	must("INSERT INTO matches_1v1 (player_1, player_2, race_1) VALUES (7, 9, 'bw_zerg')");
	CHECK_STR(REPORT("k1", "9", "1", NONE, NONE, NONE, NONE), "ok");
	f = load("ladder_report_load", "7", NULL);
	CHECK(f.match.id == 1 && !f.match.mmr_1 && !f.match.mmr_2 && !f.match.if_1);
	CHECK_STR(REPORT("k2", "7", "1", "1", "1", NONE, NONE), "ok");
	CHECK_STR(get(STATE), "1 1 1 0 0 t");
	CHECK_STR(get(RATINGS), "");
	CHECK(load("ladder_report_load", "7", NULL).match.mmr_1 == 0);
}

/* At a bound less is won, and no more lost than that. */
static void ratings_stay_within_their_bounds(void)
{
	struct facts f;

	clean();
	must("INSERT INTO mmrs_1v1 (discord_uid, race, mmr) VALUES (7, 'bw_zerg', 49990), (9, 'sc2_zerg', 50000)");
	CHECK_STR(MATCH("match_7_9_1"), "ok");
	f = load("ladder_report_load", "7", NULL);
	CHECK(f.match.if_1 == 10 && f.match.if_2 == 0 && f.match.if_draw == 1);
	CHECK_STR(REPORT("k1", "7", "1", NONE, NONE, NONE, NONE), "ok");
	CHECK_STR(REPORT("k2", "9", "1", "1", "1", "50000", "49990"), "ok");
	CHECK_STR(get(STATE), "1 1 1 10 -10 t");
	CHECK_STR(get(RATINGS), "7 bw_zerg 50000 1 1 0 0, 9 sc2_zerg 49990 1 0 1 0");
	/* from one bound to the other */
	CHECK_STR(get("SELECT concat_ws(' ', elo_change(50000, -50000, '1'), elo_change(50000, -50000, '2'), "
	              "elo_change(-50000, 50000, '1'), elo_change(-50000, 50000, 'draw'), "
	              "elo_change(-50000, -49990, '2'), elo_change(-49990, -50000, '1'), "
	              "elo_change(1500, 1500, NULL) IS NULL)"),
	          "0 -40 40 20 0 0 t");
}

static void disagreement_waits_for_an_admin(void)
{
	clean();
	CHECK_STR(MATCH("match_7_9_1"), "ok");
	CHECK_STR(REPORT("k1", "9", "2", NONE, NONE, NONE, NONE), "ok");
	CHECK_STR(REPORT("k2", "9", "draw", NONE, NONE, NONE, NONE), "ok");
	CHECK_STR(REPORT("k3", "8", "1", NONE, NONE, NONE, NONE), "SH001 match");
	CHECK_STR(REPORT("k4", "7", "1", "draw", "conflict", NONE, NONE), "ok");
	CHECK_STR(get(STATE), "1 draw conflict 0 0 f");
	CHECK_STR(get(RATINGS), "");
	CHECK_STR(REPORT("k5", "9", "1", "1", "1", "1520", "1480"), "SH001 match");
}

static void the_latest_open_match_is_reported(void)
{
	struct facts f;

	clean();
	must("INSERT INTO players (discord_uid, player_name) VALUES (11, 'Cid')");
	must("INSERT INTO matches_1v1 (player_1, player_2, race_1, race_2, result) VALUES (7, 9, 'a', 'b', 'draw'), "
	     "(9, 7, 'a', 'b', NULL), (7, 11, 'a', 'b', NULL), (7, 11, 'a', 'b', 'conflict'), (9, 11, 'a', 'b', NULL)");
	CHECK_INT(load("ladder_report_load", "7", NULL).match.id, 3);
	CHECK_INT(load("ladder_report_load", "9", NULL).match.id, 5);
	must("UPDATE matches_1v1 SET result = 'draw' WHERE result IS NULL");
	f = load("ladder_report_load", "7", NULL);
	CHECK_INT(f.match.id, 4);
	CHECK_STR(f.match.result, "conflict");
	f = load("ladder_report_load", "9", NULL); /* settled with no change of ratings */
	CHECK(f.match.id == 5 && f.match.mmr_1 == 0 && f.match.if_1 == 0);
	CHECK_INT(load("ladder_report_load", "1000", NULL).match.id, 0);
}

static void elo_is_symmetric_and_moves_by_forty_at_most(void)
{
	CHECK_STR(get("SELECT concat_ws(' ', elo_change(1500, 1500, '1'), elo_change(1500, 1500, '2'), "
	              "elo_change(1500, 1500, 'draw'), elo_change(1500, 1900, '1'), elo_change(1500, 1900, 'draw'), "
	              "elo_change(1500, 1900, '2'), elo_change(0, 4000, '1'), elo_change(0, 4000, '2'))"),
	          "20 -20 0 36 16 -4 40 0");
	CHECK_STR(get("SELECT count(*) FROM generate_series(1000, 2000, 7) a, generate_series(1000, 2000, 11) b "
	              "WHERE elo_change(a, b, '1') <> -elo_change(b, a, '2') OR elo_change(a, b, 'draw') <> "
	              "-elo_change(b, a, 'draw') OR elo_change(a, b, '1') NOT BETWEEN 0 AND 40"),
	          "0");
}

/* Both report at one moment, again and again, in matches that share players on changing sides: each is settled once, no
 * point is made or lost. A report that meets another state is decided anew, as the worker does. */
enum { MATCHES = 60 };
struct reporter {
	PGconn *conn;
	int uid;
	unsigned deadlocks;
};

/* The other one's report, then what settles the match; no row: not this player's match. */
static const char state_of[] = "SELECT other, other, a + elo_change(a, b, '1'), b - elo_change(a, b, '1') FROM (SELECT "
                               "CASE $1::bigint WHEN player_1 "
                               "THEN report_2 ELSE report_1 END AS other, (SELECT coalesce(max(mmr), 1500) FROM "
                               "mmrs_1v1 WHERE discord_uid = player_1) "
                               "AS a, (SELECT coalesce(max(mmr), 1500) FROM mmrs_1v1 WHERE discord_uid = player_2) AS "
                               "b FROM matches_1v1 WHERE id = "
                               "$2::bigint AND $1::bigint IN (player_1, player_2)) v";

/* False: to be tried again. */
static bool report_one(struct reporter *me, const char *uid, const char *match)
{
	const char *who[] = {uid, match};
	PGresult *r = PQexecParams(me->conn, state_of, 2, NULL, who, NULL, NULL, 0);
	char key[40], out[512] = "ok";

	snprintf(key, sizeof(key), "r%s-%s", uid, match);
	if (PQntuples(r) > 0) {
		const char *v[9] = {key, "[]", uid, match, "1"};

		for (int i = 0; i < 4; i++)
			v[5 + i] = PQgetisnull(r, 0, i) ? NULL : PQgetvalue(r, 0, i);
		run_on(me->conn, out, sizeof(out), "ladder_report", v, 9);
	}
	PQclear(r);
	me->deadlocks += strncmp(out, "40P01", 5) == 0;
	return strcmp(out, "ok") == 0;
}

static void *report_all(void *arg)
{
	struct reporter *me = arg;

	for (int m = 1; m <= MATCHES; m++) {
		char uid[12], match[12];

		snprintf(uid, sizeof(uid), "%d", me->uid);
		snprintf(match, sizeof(match), "%d", m);
		for (int tries = 0; tries < 50 && !report_one(me, uid, match); tries++)
			continue;
	}
	return NULL;
}

static void reports_at_one_moment_settle_once(void)
{
	enum { PLAYERS = 4 };
	struct reporter reporters[PLAYERS];
	pthread_t threads[PLAYERS];

	clean();
	must("INSERT INTO players (discord_uid, player_name) VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd')");
	must("INSERT INTO matches_1v1 (player_1, player_2, race_1, race_2) SELECT CASE WHEN i % 2 = 0 THEN a ELSE b "
	     "END, "
	     "CASE WHEN i % 2 = 0 THEN b ELSE a END, 'r', 'r' FROM (SELECT i, 1 + i % 4 AS a, 1 + (i + 1 + i / 4 % 3) "
	     "% 4 AS b "
	     "FROM generate_series(0, 59) i) v");
	for (int i = 0; i < PLAYERS; i++) {
		reporters[i] = (struct reporter){.conn = pgserver_connect(&server), .uid = i + 1};
		CHECK(pthread_create(&threads[i], NULL, report_all, &reporters[i]) == 0);
	}
	for (int i = 0; i < PLAYERS; i++) {
		pthread_join(threads[i], NULL);
		CHECK_INT(reporters[i].deadlocks, 0);
		PQfinish(reporters[i].conn);
	}
	CHECK_STR(get("SELECT count(*) FROM matches_1v1 WHERE result = '1' AND mmr_change_1 = -mmr_change_2"), "60");
	CHECK_STR(
	    get("SELECT concat_ws(' ', sum(mmr), sum(games_played), sum(games_won), sum(games_lost)) FROM mmrs_1v1"),
	    "6000 120 60 60");
	CHECK_STR(
	    get("SELECT count(*) FROM mmrs_1v1 r WHERE mmr <> 1500 + (SELECT sum(CASE discord_uid WHEN player_1 THEN "
	        "mmr_change_1 WHEN player_2 THEN mmr_change_2 ELSE 0 END) FROM matches_1v1)"),
	    "0");
	CHECK_STR(get("SELECT count(*) FROM player_action_logs"), "120");
}

static void everything_goes_by_index(void)
{
	static const char *const none[] = {NULL};

	clean();
	must("INSERT INTO players (discord_uid, player_name, setup_completed_at) SELECT i, 'p' || i, now() FROM "
	     "generate_series(1000, 20000) i");
	must("INSERT INTO matches_1v1 (player_1, player_2, race_1, race_2, result) SELECT 1000 + i % 9000, 11000 + i % "
	     "8999, "
	     "'r', 'r', CASE WHEN i % 50 > 0 THEN '1' END FROM generate_series(1, 40000) i");
	must("INSERT INTO mmrs_1v1 (discord_uid, race) SELECT i, 'r' FROM generate_series(1000, 20000) i");
	must("ANALYZE; SET plan_cache_mode = force_generic_plan");
	check_plan("ladder_report_load", 1, "'1007'", none);
	check_plan("ladder_report", 9, "'k', '[]', '1007', '8', '1', '1', '1', '1520', '1480'", none);
	must("RESET plan_cache_mode");
}

int main(void)
{
	sqlcheck_begin();
	RUN(the_queue_remembers_what_was_chosen);
	RUN(a_match_is_made_once);
	RUN(agreement_settles_and_rates);
	RUN(races_that_nobody_knows_change_no_rating);
	RUN(ratings_stay_within_their_bounds);
	RUN(disagreement_waits_for_an_admin);
	RUN(the_latest_open_match_is_reported);
	RUN(elo_is_symmetric_and_moves_by_forty_at_most);
	RUN(reports_at_one_moment_settle_once);
	RUN(everything_goes_by_index);
	arena_release(&arena);
	PQfinish(db);
	DONE();
}
