/* links: base model io store */
/* What the ladder asks of PostgreSQL, with many players: nothing that happens all day reads a large table row by row,
 * or more than a page and a step of any; how long each takes, and the refresh of the leaderboard while the ladder is
 * played. PLAYERS: how many (20,000). Times are printed, not judged. */
#include "sqlcheck.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "shoal/base/clock.h"

#define ROWS_MAX 1100 /* of one scan: a step of the leaderboard is a thousand entries */
#define RUNS 300

static int64_t players;
static uint64_t seed = 88172645463325252u;

static uint64_t chance(uint64_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed % n;
}

/* --- many players */

static const char *const races[] = {"bw_protoss", "bw_terran", "bw_zerg", "sc2_protoss", "sc2_terran", "sc2_zerg"};
static const char *const regions[] = {"euw", "kor", "nae", "naw", "eun", "chn", "sam", "oce"};
static const char *const countries[] = {"KR", "US", "DE", "CN", "BR", "FR", "PL", "SE", "CA", "AU", "AT", "IS"};

static int64_t uid_of(int64_t i)
{
	return 80351110224678912 + i * 4194304;
}

/* The first ones often, the last one rarely. */
#define FEW(list) (list)[chance(1 + chance(sizeof(list) / sizeof((list)[0])))]

static char copied[1 << 16];
static size_t ncopied;

static void copy_flush(void)
{
	CHECK(PQputCopyData(db, copied, (int)ncopied) == 1);
	ncopied = 0;
}

static __attribute__((format(printf, 1, 2))) void copy_row(const char *fmt, ...)
{
	va_list ap;

	if (ncopied > sizeof(copied) - 1024)
		copy_flush();
	va_start(ap, fmt);
	ncopied += (size_t)vsnprintf(copied + ncopied, sizeof(copied) - ncopied, fmt, ap);
	va_end(ap);
}

static void copy_begin(const char *table)
{
	char sql[200];

	snprintf(sql, sizeof(sql), "COPY %s FROM STDIN", table);
	PGresult *r = PQexec(db, sql);
	CHECK_INT(PQresultStatus(r), PGRES_COPY_IN);
	PQclear(r);
}

static void copy_end(void)
{
	PGresult *r;

	copy_flush();
	CHECK(PQputCopyEnd(db, NULL) == 1);
	while ((r = PQgetResult(db))) {
		if (PQresultStatus(r) != PGRES_COMMAND_OK) {
			printf("# %s\n", PQresultErrorMessage(r));
			check_failed_here++;
		}
		PQclear(r);
	}
}

/* Three of ten have played nothing yet; of the others every fifth has a second race. */
static void copy_ratings(int64_t i)
{
	int64_t race = (int64_t)chance(6), won = (int64_t)chance(50), lost = (int64_t)chance(50);
	int64_t mmr = 1000 + (int64_t)(chance(334) + chance(334) + chance(334));

	if (chance(10) < 3)
		return;
	copy_row("%lld\t%s\t%lld\t%lld\t%lld\t%lld\t0\n", (long long)uid_of(i), races[race], (long long)mmr,
	         (long long)(won + lost), (long long)won, (long long)lost);
	if (chance(5) == 0)
		copy_row("%lld\t%s\t1500\t0\t0\t0\t0\n", (long long)uid_of(i), races[(race + 1) % 6]);
}

static void seed_all(void)
{
	int64_t began = clock_ms();

	copy_begin("players (discord_uid, player_name, country, region, tos_accepted_at, setup_completed_at)");
	for (int64_t i = 0; i < players; i++)
		copy_row("%lld\tPlayer %lld\t%s\t%s\t2026-01-01\t2026-01-01\n", (long long)uid_of(i), (long long)i,
		         FEW(countries), FEW(regions));
	copy_end();
	copy_begin("mmrs_1v1");
	for (int64_t i = 0; i < players; i++)
		copy_ratings(i);
	copy_end();
	copy_begin("preferences_1v1");
	for (int64_t i = 0; i < players; i++)
		copy_row("%lld\t{sc2_zerg}\t{frostbound,red_terrace}\n", (long long)uid_of(i));
	copy_end();
	copy_begin("matches_1v1 (player_1, player_2, race_1, race_2, result, mmr_change_1, mmr_change_2)");
	for (int64_t i = 0; i < players; i++) {
		const char *result = i % 100 == 7   ? "\\N\t\\N\t\\N"
		                     : i % 100 == 8 ? "conflict\t\\N\t\\N"
		                                    : "1\t20\t-20";

		copy_row("%lld\t%lld\tsc2_zerg\tbw_zerg\t%s\n", (long long)uid_of(i),
		         (long long)uid_of((i + 1) % players), result);
	}
	copy_end();
	copy_begin("player_action_logs (discord_uid, action)");
	for (int64_t i = 0; i < players; i++)
		copy_row("%lld\tjoined queue\n", (long long)uid_of(i));
	copy_end();
	must("VACUUM ANALYZE");
	printf("# %lld players, and as many matches: seeded in %lld ms\n", (long long)players,
	       (long long)(clock_ms() - began));
}

static void many_players_are_seeded(void)
{
	char sql[100];
	int64_t began = clock_ms();

	must("SELECT leaderboard_refresh(true)");
	printf("# the first refresh: %lld ms, %s entries\n", (long long)(clock_ms() - began),
	       get("SELECT count(*) FROM leaderboard_1v1"));
	must("VACUUM ANALYZE leaderboard_1v1, leaderboard_1v1_steps");
	CHECK_STR(get("SELECT max(place) - (SELECT count(*) FROM mmrs_1v1) FROM leaderboard_1v1_steps"), "0");
	snprintf(sql, sizeof(sql), "SELECT count(*) - %lld FROM players", (long long)players);
	CHECK_STR(get(sql), "0");
}

/* --- plans: of each statement and all that it calls, as auto_explain tells them */

static PGconn *loud;
static char told[1 << 20];
static size_t ntold;

static void on_notice(void *arg, const char *message)
{
	size_t n = strlen(message);

	(void)arg;
	if (ntold + n + 1 < sizeof(told)) {
		memcpy(told + ntold, message, n + 1);
		ntold += n;
	}
}

static bool is_small(const char *scan)
{
	static const char *const tables[] = {"currencies", "countries", "regions",
	                                     "races",      "maps",      "leaderboard_1v1_state"};

	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		size_t n = strlen(tables[i]);

		if (strncmp(scan, tables[i], n) == 0 && (scan[n] == ' ' || scan[n] == '\n'))
			return true;
	}
	return false;
}

/* Of a node "Scan ... (actual time=A..B rows=R loops=L)", of "Rows Removed by ...: N": too many, or row by row. Or by
 * processes that have to be started first, which takes longer than any of it should. */
static bool is_bad(const char *line)
{
	const char *seq = strstr(line, "Seq Scan on "), *actual = strstr(line, "(actual time="),
	           *removed = strstr(line, "Rows Removed by");
	double rows = 0, loops = 1;

	if ((seq && !is_small(seq + 12)) || strstr(line, "Gather"))
		return true;
	if (removed)
		return atoll(strchr(removed, ':') + 1) > ROWS_MAX;
	if (!actual || !strstr(line, "Scan"))
		return false;
	return sscanf(strstr(actual, "rows="), "rows=%lf loops=%lf", &rows, &loops) != 2 || rows * loops > ROWS_MAX;
}

static void judge_plans(const char *name)
{
	unsigned plans = 0, bad = 0;

	for (char *line = strtok(told, "\n"); line; line = strtok(NULL, "\n")) {
		plans += strstr(line, "plan:") != NULL;
		if (is_bad(line)) {
			printf("# %s: %s\n", name, line);
			bad++;
		}
	}
	CHECK(plans > 0);
	CHECK_INT(bad, 0);
}

/* Undone afterwards. Workers prepare their statements, and may come to plans that know no values; verbs do not. */
static void plan_of(const char *name, const char *const *v, int n)
{
	struct pg_params p = {.n = n};
	int ways = strncmp(name, "cli_", 4) == 0 ? 1 : 2;
	char out[512];

	for (int i = 0; i < n; i++)
		p.v[i] = v[i] ? span_of(v[i]) : (struct span){0};
	for (int generic = 0; generic < ways; generic++) {
		PQclear(PQexec(loud, generic ? "SET plan_cache_mode = force_generic_plan" : "RESET plan_cache_mode"));
		PQclear(PQexec(loud, "BEGIN"));
		ntold = 0;
		told[0] = '\0';
		CHECK_STR(verdict(sql_run(loud, name, &p), out, sizeof(out)), "ok");
		PQclear(PQexec(loud, "ROLLBACK")); /* some plans are told no sooner */
		judge_plans(name);
	}
}
#define PLAN(name, ...)                                                                                                \
	plan_of(name, (const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static const char *text(int64_t v)
{
	static char out[8][24];
	static int turn;
	char *mine = out[turn++ % 8];

	snprintf(mine, sizeof(out[0]), "%lld", (long long)v);
	return mine;
}

static const char *board_key(unsigned filters, int64_t page)
{
	static char key[100];

	snprintf(key, sizeof(key), "%s|%s|%s|%lld", filters & 1 ? FEW(races) : "", filters & 2 ? FEW(regions) : "",
	         filters & 4 ? FEW(countries) : "", (long long)page);
	return key;
}

static void leaderboard_goes_by_index(void)
{
	const char *pages[] = {"1", "50", "99999999"};

	/* processes of their own shall be tempting with few players, too */
	PQclear(PQexec(loud, "SET min_parallel_index_scan_size = 0; SET parallel_setup_cost = 0"));
	for (unsigned filters = 0; filters < 8; filters++) {
		for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++)
			PLAN("cache_board", board_key(filters, atoll(pages[i])));
		PLAN("ladder_ranks", text(uid_of((int64_t)chance((uint64_t)players))), filters & 1 ? "sc2_zerg" : "",
		     filters & 2 ? "euw" : "", filters & 4 ? "KR" : "");
	}
	PQclear(PQexec(loud, "RESET min_parallel_index_scan_size; RESET parallel_setup_cost"));
}

static void players_go_by_index(void)
{
	const char *me = text(uid_of(players / 2)), *fresh = text(uid_of(players + 5));

	PLAN("cache_player", me);
	PLAN("ladder_profile", me, NONE);
	PLAN("ladder_profile", NONE, "pLAYER 77");
	PLAN("ladder_accept", "k", "[]", fresh);
	PLAN("ladder_setup", "k", "[]", me, "New", "Germany", "euw");
	PLAN("ladder_country", "k", "[]", me, "FR");
	PLAN("cli_ladder_players", NONE, NONE, NONE, NONE, "50");
}

static void matches_go_by_index(void)
{
	/* uid_of(7) is in an open match with uid_of(8), and in others; uid_of(50) and uid_of(51) in none */
	const char *one = text(uid_of(7)), *two = text(uid_of(8)), *three = text(uid_of(50)), *four = text(uid_of(51));
	char open[24];

	snprintf(open, sizeof(open), "%s", get("SELECT min(id) FROM matches_1v1 WHERE result IS NULL"));
	PLAN("ladder_queue_load", one);
	PLAN("ladder_queue", "k", "[]", three, "sc2_zerg", "frostbound", "t");
	PLAN("ladder_match_load", one, two);
	PLAN("ladder_match_load", three, four);
	PLAN("ladder_match", "k", "[]", three, four, "sc2_zerg", "bw_zerg", "frostbound", "euw", NONE, NONE);
	PLAN("ladder_report_load", one);
	PLAN("ladder_report", "k", "[]", one, open, "1", NONE, NONE, NONE, NONE);
	PLAN("cli_ladder_matches", NONE, NONE, "50");
	PLAN("cli_ladder_matches", "conflict", NONE, "50");
	PLAN("cli_ladder_matches", "open", NONE, "50");
	PLAN("cli_ladder_matches", "settled", NONE, "50");
	PLAN("cli_ladder_matches", NONE, one, "50");
	PLAN("cli_ladder_resolve", open, "draw", NONE, "test");
}

static void indexes_serve(void)
{
	CHECK(index_serves("players_name", "SELECT FROM players WHERE lower(player_name) = 'player 7'"));
	CHECK(index_serves("players_country", "SELECT FROM players WHERE country = 'IS' ORDER BY discord_uid"));
	CHECK(index_serves("mmrs_1v1_mmr", "SELECT discord_uid FROM mmrs_1v1 WHERE race = 'sc2_zerg' ORDER BY mmr DESC "
	                                   "LIMIT 10"));
	CHECK(index_serves("matches_1v1_player_1", "SELECT FROM matches_1v1 WHERE player_1 = 80351110224678912"));
	CHECK(index_serves("matches_1v1_player_2", "SELECT FROM matches_1v1 WHERE player_2 = 80351110224678912"));
	CHECK(index_serves("player_action_logs_of_player", "SELECT FROM player_action_logs WHERE discord_uid = "
	                                                   "80351110224678912 ORDER BY created_at DESC LIMIT 10"));
	CHECK(index_serves("player_action_logs_at",
	                   "SELECT * FROM player_action_logs ORDER BY created_at DESC LIMIT 10"));
}

/* --- times */

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void put_times(const char *name, double *ms, size_t n)
{
	qsort(ms, n, sizeof(*ms), by_value);
	printf("# %-24s %8.2f %8.2f %8.2f ms (half, 99 of 100, all within), %zu times\n", name, ms[n / 2],
	       ms[n * 99 / 100], ms[n - 1], n);
}

static double run_timed(PGconn *c, const char *name, const char *a, const char *b, const char *const *more, int n)
{
	struct pg_params p = {.n = n};
	int64_t began = clock_us();
	char out[512];

	for (int i = 0; i < n; i++)
		p.v[i] = i == 0            ? span_of(a)
		         : i == 1 && b     ? span_of(b)
		         : more && more[i] ? span_of(more[i])
		                           : (struct span){0};
	CHECK_STR(verdict(sql_run(c, name, &p), out, sizeof(out)), "ok");
	return (double)(clock_us() - began) / 1000;
}

static double board_timed(PGconn *c)
{
	return run_timed(c, "cache_board", board_key((unsigned)chance(8), 1 + (int64_t)chance((uint64_t)players / 100)),
	                 NULL, NULL, 1);
}

static double ranks_timed(PGconn *c)
{
	static const char *const filters[8][4] = {
	    {0, "", "", ""},      {0, "sc2_zerg", "", ""},     {0, "", "euw", ""},
	    {0, "", "", "KR"},    {0, "sc2_zerg", "euw", ""},  {0, "sc2_zerg", "", "KR"},
	    {0, "", "euw", "KR"}, {0, "sc2_zerg", "euw", "KR"}};

	return run_timed(c, "ladder_ranks", text(uid_of((int64_t)chance((uint64_t)players))), NULL, filters[chance(8)],
	                 4);
}

static double profile_timed(PGconn *c)
{
	return run_timed(c, "ladder_profile", text(uid_of((int64_t)chance((uint64_t)players))), NULL, NULL, 2);
}

static double player_timed(PGconn *c)
{
	return run_timed(c, "cache_player", text(uid_of((int64_t)chance((uint64_t)players))), NULL, NULL, 1);
}

static double queue_timed(PGconn *c)
{
	return run_timed(c, "ladder_queue_load", text(uid_of((int64_t)chance((uint64_t)players))), NULL, NULL, 1);
}

/* A match between two that are picked is settled. */
static double match_timed(PGconn *c)
{
	int64_t i = (int64_t)chance((uint64_t)players), began = clock_us();
	char sql[300];
	PGresult *r;

	snprintf(sql, sizeof(sql), "SELECT settle_mmrs(%lld, 'sc2_zerg', %lld, 'bw_zerg', '1')", (long long)uid_of(i),
	         (long long)uid_of((i + 1) % players));
	r = PQexec(c, sql);
	CHECK_INT(PQresultStatus(r), PGRES_TUPLES_OK);
	PQclear(r);
	return (double)(clock_us() - began) / 1000;
}

static const struct work {
	const char *name;
	double (*run)(PGconn *c);
} works[] = {{"leaderboard page", board_timed},   {"own places", ranks_timed},
             {"profile", profile_timed},          {"guard checks (player)", player_timed},
             {"queue, its choices", queue_timed}, {"a match settled", match_timed}};
#define WORKS (sizeof(works) / sizeof(works[0]))

static void times_are_told(void)
{
	double ms[RUNS];

	for (size_t w = 0; w < WORKS; w++) {
		for (size_t i = 0; i < RUNS; i++)
			ms[i] = works[w].run(db);
		put_times(works[w].name, ms, RUNS);
	}
}

struct refreshing {
	pthread_t thread;
	PGconn *conn;
	int64_t ms;
	bool over;
	char out[512];
};

static void *refresh(void *arg)
{
	struct refreshing *r = arg;
	int64_t began = clock_ms();

	verdict(PQexec(r->conn, "SELECT leaderboard_refresh(true)"), r->out, sizeof(r->out));
	r->ms = clock_ms() - began;
	__atomic_store_n(&r->over, true, __ATOMIC_SEQ_CST);
	return NULL;
}

/* All at once as long as it lasts; whatever waits for the refresh would have to wait too long. */
static void ladder_goes_on_while_the_leaderboard_is_refreshed(void)
{
	enum { MOST = 100000 };
	static double ms[WORKS][MOST];
	struct refreshing r = {.conn = pgserver_connect(&server)};
	size_t n = 0;

	must("UPDATE mmrs_1v1 SET mmr = mmr + 7 WHERE discord_uid % 10 = 0");
	must("SET lock_timeout = '1s'");
	CHECK(pthread_create(&r.thread, NULL, refresh, &r) == 0);
	while (n < MOST && !__atomic_load_n(&r.over, __ATOMIC_SEQ_CST)) {
		for (size_t w = 0; w < WORKS; w++)
			ms[w][n] = works[w].run(db);
		n++;
	}
	pthread_join(r.thread, NULL);
	must("RESET lock_timeout");
	CHECK_STR(r.out, "ok");
	printf("# a refresh after a tenth of the ratings changed: %lld ms, and meanwhile:\n", (long long)r.ms);
	for (size_t w = 0; w < WORKS && n > 0; w++)
		put_times(works[w].name, ms[w], n);
	PQfinish(r.conn);
	must("SELECT leaderboard_refresh(true)");
	CHECK_STR(get("SELECT count(*) FROM leaderboard_1v1 l JOIN mmrs_1v1 m USING (discord_uid, race) WHERE l.below "
	              "= -m.mmr"),
	          get("SELECT count(*) FROM mmrs_1v1"));
}

int main(void)
{
	const char *n = getenv("PLAYERS");

	players = n ? atoll(n) : 20000;
	sqlcheck_begin();
	loud = pgserver_connect(&server);
	PQsetNoticeProcessor(loud, on_notice, NULL);
	PQclear(PQexec(loud, "LOAD 'auto_explain'"));
	PQclear(PQexec(loud, "SET auto_explain.log_min_duration = 0; SET auto_explain.log_nested_statements = on; "
	                     "SET auto_explain.log_analyze = on; SET client_min_messages = log"));
	seed_all();
	RUN(many_players_are_seeded);
	RUN(leaderboard_goes_by_index);
	RUN(players_go_by_index);
	RUN(matches_go_by_index);
	RUN(indexes_serve);
	RUN(times_are_told);
	RUN(ladder_goes_on_while_the_leaderboard_is_refreshed);
	PQfinish(loud);
	PQfinish(db);
	DONE();
}
