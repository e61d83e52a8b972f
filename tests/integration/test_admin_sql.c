/* links: base model io store */
/* What the admin API asks of Postgres. USERS=1000000 (make plans-admin) shows each page's plan and time with as many
 * people, who wrote a hundred messages each on one to nine days. */
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
	must("INSERT INTO activity_daily SELECT u.id, (now() AT TIME ZONE 'UTC')::date - d, "
	     "100 / days + CASE WHEN d = 0 THEN 100 % days ELSE 0 END "
	     "FROM users u, LATERAL (SELECT (u.id * 7919 % 9)::integer + 1) n (days), generate_series(0, days - 1) d");
	must("INSERT INTO admin_audit (actor, action, target, details) "
	     "SELECT 'admin', 'code.set', 'code:' || n, '{}' FROM generate_series(1, 20000) n");
	must("INSERT INTO personas (key) VALUES ('default')");
	must("INSERT INTO start_codes (code, persona_id) SELECT 'code' || n, 1 FROM generate_series(0, 99) n");
	must("INSERT INTO start_code_uses (code_id, user_id) SELECT c.id, u.id FROM users u JOIN start_codes c ON "
	     "c.code = "
	     "u.acquisition_source");
	must("SET session_replication_role = origin");
	must("VACUUM ANALYZE users, activity_daily, start_codes, start_code_uses, admin_audit");
	snprintf(sql, sizeof(sql), "%ld", users * 100);
	CHECK_STR(get("SELECT sum(messages) FROM activity_daily"), sql);
	if (getenv("USERS"))
		printf("# %ld people, %s days of activity, %s messages\n", users,
		       get("SELECT count(*) FROM activity_daily"), get("SELECT sum(messages) FROM activity_daily"));
}

/* --- plans, as of prepared statements that know nothing of their parameters */

static PGresult *explain(const char *how, const char *name, const char *args)
{
	static char sql[16384];
	PGresult *r;

	snprintf(sql, sizeof(sql), "PREPARE p AS %s", sql_get(name)->sql);
	must(sql);
	must("SET plan_cache_mode = force_generic_plan");
	snprintf(sql, sizeof(sql), "%s EXECUTE p%s", how, args);
	r = PQexec(db, sql);
	must("DEALLOCATE p");
	return r;
}

/* How many lines of the plan say this. */
static int lines_with(const char *name, const char *args, const char *word)
{
	PGresult *r = explain("EXPLAIN", name, args);
	int n = 0;

	CHECK(PQntuples(r) > 1);
	for (int i = 0; i < PQntuples(r); i++)
		n += strstr(PQgetvalue(r, i, 0), word) != NULL;
	PQclear(r);
	return n;
}

/* At full size: what the plan reads, and how long that takes. */
static void show_plan(const char *name, const char *args)
{
	PGresult *r;

	if (!getenv("USERS"))
		return;
	r = explain("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF)", name, args);
	printf("# plan of %s%s\n", name, args);
	for (int i = 0; i < PQntuples(r); i++) {
		const char *line = PQgetvalue(r, i, 0);

		if ((strstr(line, "Scan") && !strstr(line, "CTE Scan") && !strstr(line, "Subquery") &&
		     !strstr(line, "Function")) ||
		    strstr(line, "Execution Time"))
			printf("#   %s\n", line + strspn(line, " ->"));
	}
	PQclear(r);
}

static void check_scans(const char *name, const char *args, const char *table, int most)
{
	char word[64];
	int n;

	snprintf(word, sizeof(word), "Seq Scan on %s", table);
	n = lines_with(name, args, word);
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
	check_scans("audit_page", "(500, 50)", "admin_audit", 0);
	show_plan("users_page", "(500, 50, 0)");
	show_plan("users_search", "(NULL, 50, 0, 'user777', NULL)");
	show_plan("users_search", "(NULL, 50, 0, 'ann', NULL)");
	show_plan("audit_page", "(500, 50)");
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

static void count_codes(int codes)
{
	int want[] = {codes, 101, 101, 1}, rows;
	double ms[] = {ms_of("code_counts", NULL, &rows), 0, 0, 0};
	struct span none = {0};

	CHECK_INT(rows, want[0]);
	for (int i = 1; i < 4; i++) {
		const char *q = i == 3 ? "no such code" : NULL;

		ms[i] = ms_of("codes_page", PARAMS(none, none, SPAN("100"), i == 1 ? SPAN("t") : SPAN("f"), span_of(q)),
		              &rows);
		CHECK_INT(rows, codes == 100 && i < 3 ? 100 : want[i]);
	}
	if (getenv("USERS"))
		printf("# %d codes of %ld people: all %.1f ms, 100 with most people %.1f ms, 100 by name %.1f ms, "
		       "a search %.1f ms\n",
		       codes, users, ms[0], ms[1], ms[2], ms[3]);
}

/* All uses are read once, whatever the number of codes. */
static void test_codes_are_counted_once(void)
{
	CHECK_INT(lines_with("code_counts", "", " on start_code_uses"), 1);
	CHECK_INT(lines_with("codes_page", "(NULL, NULL, 100, true, NULL)", " on start_code_uses"), 1);
	count_codes(100);
	show_plan("code_counts", "");
	show_plan("codes_page", "(NULL, NULL, 100, true, NULL)");
}

static void test_so_are_very_many(void)
{
	int more = getenv("USERS") ? 99900 : 1900;
	char sql[256];

	must("SET session_replication_role = replica");
	snprintf(sql, sizeof(sql),
	         "INSERT INTO start_codes (code, persona_id, description) SELECT 'more' || n, 1, 'a poster' FROM "
	         "generate_series(1, %d) n",
	         more);
	must(sql);
	must("SET session_replication_role = origin");
	must("ANALYZE start_codes");
	count_codes(100 + more);
	must("DELETE FROM start_codes WHERE code LIKE 'more%'");
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
	CHECK_STR(get("SELECT count(*) FROM admin_audit WHERE action = 'code.remove'"), "0");
}

static void test_removing(void)
{
	CHECK_STR(get("SELECT removed FROM remove_code('nobody', true, 'test')"), "");
	CHECK_STR(get("SELECT removed FROM remove_code('used', true, 'test')"), "1");
	CHECK_STR(get("SELECT count(*) FROM start_code_uses WHERE code_id = -1"), "0");
	CHECK_STR(
	    get("SELECT action || ' ' || target || ' ' || (details->>'uses') || ' ' || actor FROM admin_audit WHERE "
	        "action = 'code.remove'"),
	    "code.remove code:used 1 test");
}

int main(void)
{
	const char *many = getenv("USERS");

	if (many)
		users = strtol(many, NULL, 10);
	sqlcheck_begin();
	seed();
	RUN(test_pages_go_by_index);
	RUN(test_every_page_is_full);
	RUN(test_codes_are_counted_once);
	RUN(test_so_are_very_many);
	RUN(test_times_of_listings);
	RUN(test_a_use_under_way_is_counted);
	RUN(test_removing);
	PQfinish(db);
	return check_failed_all != 0;
}
