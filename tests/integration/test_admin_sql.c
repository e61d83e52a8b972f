/* links: base model io store */
/* What the admin API asks of Postgres. USERS=1000000 (make plans) shows each page's time with as many people, and some
 * five days of activity each. */
#include <time.h>

#include "sqlcheck.h"

#include "shoal/base/clock.h"

static long users = 20000;

static void seed(void)
{
	char sql[1024];

	must("SET session_replication_role = replica");
	snprintf(sql, sizeof(sql),
	         "INSERT INTO users (telegram_id, first_name, username, acquisition_source) "
	         "SELECT 5000000000 + n, (ARRAY['Ann', 'Bob', 'Chris'])[n %% 3 + 1] || n %% 1000, "
	         "CASE WHEN n %% 2 = 0 THEN 'User' || n END, 'code' || n %% 100 FROM generate_series(1, %ld) n",
	         users);
	must(sql);
	must("INSERT INTO activity_daily SELECT u.id, (now() AT TIME ZONE 'UTC')::date - d, 20 "
	     "FROM users u, LATERAL generate_series(0, (u.id * 7919 % 9)::integer) d");
	must("INSERT INTO personas (key) VALUES ('default')");
	must("INSERT INTO start_codes (code, persona_id) SELECT 'code' || n, 1 FROM generate_series(0, 99) n");
	must("INSERT INTO start_code_uses (code_id, user_id) SELECT c.id, u.id FROM users u JOIN start_codes c ON "
	     "c.code = "
	     "u.acquisition_source");
	must("SET session_replication_role = origin");
	must("VACUUM ANALYZE users, activity_daily, start_codes, start_code_uses");
}

/* --- plans, as of prepared statements that know nothing of their parameters */

/* How often the plan reads a table row by row. */
static int seq_scans(const char *name, const char *args, const char *table, int *nodes)
{
	static char sql[16384];
	char word[64];
	int n = 0;
	PGresult *r;

	snprintf(sql, sizeof(sql), "PREPARE p AS %s", sql_get(name)->sql);
	must(sql);
	must("SET plan_cache_mode = force_generic_plan");
	snprintf(sql, sizeof(sql), "EXPLAIN EXECUTE p%s", args);
	r = PQexec(db, sql);
	snprintf(word, sizeof(word), "Seq Scan on %s", table);
	*nodes = PQntuples(r);
	for (int i = 0; i < PQntuples(r); i++)
		n += strstr(PQgetvalue(r, i, 0), word) != NULL;
	PQclear(r);
	must("DEALLOCATE p");
	return n;
}

static void check_scans(const char *name, const char *args, const char *table, int most)
{
	int nodes, n = seq_scans(name, args, table, &nodes);

	CHECK(nodes > 1);
	if (n > most)
		printf("# %s reads %s row by row\n", name, table);
	CHECK(n <= most);
}

/* Whoever counts all people reads all of them, once; pages do not. */
static void test_pages_go_by_index(void)
{
	check_scans("users_page", "(500, 50, 0)", "users", 1);
	check_scans("users_page", "(500, 50, 0)", "activity_daily", 0);
	check_scans("users_search", "(500, 50, 0, 'ann', NULL)", "users", 0);
	check_scans("users_search", "(500, 50, 0, 'ann', NULL)", "activity_daily", 0);
}

static double ms_of(const char *name, const struct pg_params *p, int *rows)
{
	int64_t began = clock_us();
	PGresult *r = sql_run(db, name, p);
	double ms = (double)(clock_us() - began) / 1e3;

	CHECK(PQresultStatus(r) == PGRES_TUPLES_OK);
	*rows = PQntuples(r);
	PQclear(r);
	return ms;
}

static void test_every_page_is_full(void)
{
	static const struct {
		const char *after, *offset, *q, *id;
		int rows;
	} pages[] = {
	    {NULL, "0", NULL, NULL, 51},    {"10000", "0", NULL, NULL, 51}, {NULL, "10000", NULL, NULL, 51},
	    {"2", "0", NULL, NULL, 1},      {NULL, "0", "ann", NULL, 51},   {NULL, "0", "user123", NULL, 0},
	    {NULL, "0", "code7", NULL, 51}, {NULL, "0", "zzz", NULL, 1},    {NULL, "0", "5000000777", "5000000777", 1},
	    {"500", "0", "b", NULL, 51},
	};

	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
		struct span after = span_of(pages[i].after), q = span_of(pages[i].q), id = span_of(pages[i].id);
		int rows;
		double ms =
		    q.ptr ? ms_of("users_search", PARAMS(after, SPAN("50"), span_of(pages[i].offset), q, id), &rows)
		          : ms_of("users_page", PARAMS(after, SPAN("50"), span_of(pages[i].offset)), &rows);

		if (pages[i].rows)
			CHECK_INT(rows, pages[i].rows);
		if (getenv("USERS"))
			printf("# %s of %ld people, after %s, offset %s: %d rows, %.1f ms\n", q.ptr ? q.ptr : "page",
			       users, after.ptr ? after.ptr : "-", pages[i].offset, rows, ms);
	}
}

static void test_codes_are_counted_once(void)
{
	int rows;
	double ms = ms_of("code_counts", NULL, &rows);

	CHECK_INT(rows, 100);
	if (getenv("USERS"))
		printf("# 100 codes of %ld people: %.1f ms\n", users, ms);
}

/* --- times */

static void test_times_of_listings(void)
{
	CHECK_STR(get("SELECT wall_ms('1970-01-01 00:00:01.5Z')"), "1500");
	CHECK_STR(get("SELECT wall_ms('1969-12-31 23:59:59.9995Z')"), "-1");
	CHECK_STR(get("SELECT wall_ms('-infinity')"), "0");
	CHECK_STR(get("SELECT coalesce(wall_ms('infinity')::text, 'none')"), "none");
	CHECK_STR(get("SELECT coalesce(wall_ms(NULL)::text, 'none')"), "none");
}

/* --- removing a code */

/* Somebody comes by it while it is removed: the removal waits for them, counts them, and is refused. */
static void test_a_use_under_way_is_counted(void)
{
	PGconn *other = pgserver_connect(&server);
	PGresult *r;

	must("INSERT INTO users (id, telegram_id) VALUES (-1, -1)");
	must("INSERT INTO start_codes (id, code) VALUES (-1, 'used')");
	PQclear(PQexec(other, "BEGIN"));
	PQclear(PQexec(other, "SELECT use_code(-1, -1)"));
	CHECK(PQsendQuery(db, "SELECT uses, removed FROM remove_code('used', false, 'test')") == 1);
	nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
	PQconsumeInput(db);
	CHECK(PQisBusy(db));
	PQclear(PQexec(other, "COMMIT"));
	r = PQgetResult(db);
	CHECK_INT(PQntuples(r), 1);
	CHECK_STR(PQgetvalue(r, 0, 0), "1");
	CHECK_STR(PQgetvalue(r, 0, 1), "0");
	PQclear(r);
	while ((r = PQgetResult(db)))
		PQclear(r);
	PQfinish(other);
	CHECK_STR(get("SELECT count(*) FROM start_codes WHERE code = 'used'"), "1");
	CHECK_STR(get("SELECT count(*) FROM admin_audit"), "0");
}

static void test_removing(void)
{
	CHECK_STR(get("SELECT removed FROM remove_code('nobody', true, 'test')"), "");
	CHECK_STR(get("SELECT removed FROM remove_code('used', true, 'test')"), "1");
	CHECK_STR(get("SELECT count(*) FROM start_code_uses WHERE code_id = -1"), "0");
	CHECK_STR(get("SELECT action || ' ' || target || ' ' || (details->>'uses') || ' ' || actor FROM admin_audit"),
	          "code.remove code:used 1 test");
}

int main(void)
{
	if (getenv("USERS"))
		users = strtol(getenv("USERS"), NULL, 10);
	sqlcheck_begin();
	seed();
	RUN(test_pages_go_by_index);
	RUN(test_every_page_is_full);
	RUN(test_codes_are_counted_once);
	RUN(test_times_of_listings);
	RUN(test_a_use_under_way_is_counted);
	RUN(test_removing);
	PQfinish(db);
	return check_failed_all != 0;
}
