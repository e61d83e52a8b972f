/* Statements of the catalogue against a PostgreSQL of the test's own. */
#ifndef SHOAL_TESTS_SQLCHECK_H
#define SHOAL_TESTS_SQLCHECK_H

#include "check.h"
#include "pgserver.h"

#include "shoal/base/embed.h"
#include "shoal/store/rows.h"
#include "shoal/store/sql.h"

static struct pgserver server;
static PGconn *db;

static inline void must(const char *sql)
{
	PGresult *r = PQexec(db, sql);

	if (PQresultStatus(r) != PGRES_COMMAND_OK && PQresultStatus(r) != PGRES_TUPLES_OK) {
		printf("# %s\n# %s", sql, PQerrorMessage(db));
		check_failed_here++;
	}
	PQclear(r);
}

/* First value, "" for NULL or no row. */
static inline const char *get(const char *sql)
{
	static char value[4][4096];
	static int turn;
	char *out = value[turn++ % 4];
	PGresult *r = PQexec(db, sql);

	if (PQresultStatus(r) != PGRES_TUPLES_OK)
		printf("# %s\n# %s", sql, PQerrorMessage(db));
	snprintf(out, sizeof(value[0]), "%s", PQntuples(r) ? PQgetvalue(r, 0, 0) : "");
	PQclear(r);
	return out;
}

/* "ok", or "SQLSTATE message"; of a constraint its name instead of the message. */
static inline const char *verdict(PGresult *r, char *out, size_t size)
{
	const char *constraint = PQresultErrorField(r, PG_DIAG_CONSTRAINT_NAME);

	if (PQresultStatus(r) == PGRES_TUPLES_OK || PQresultStatus(r) == PGRES_COMMAND_OK)
		snprintf(out, size, "ok");
	else
		snprintf(out, size, "%s %s", PQresultErrorField(r, PG_DIAG_SQLSTATE),
		         constraint ? constraint : PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY));
	PQclear(r);
	return out;
}

/* Runs a statement with n text parameters (NULL: SQL NULL). */
static inline const char *run_on(PGconn *c, char *out, size_t size, const char *name, const char *const *v, int n)
{
	struct pg_params p = {.n = n};

	for (int i = 0; i < n; i++)
		p.v[i] = v[i] ? span_of(v[i]) : (struct span){0};
	return verdict(sql_run(c, name, &p), out, size);
}

#define NONE ((const char *)NULL)
#define COMMIT(name, key, ...)                                                                                         \
	({                                                                                                             \
		static char out_[512];                                                                                 \
		const char *v_[] = {key, "[]", __VA_ARGS__};                                                           \
		run_on(db, out_, sizeof(out_), name, v_, (int)(sizeof(v_) / sizeof(v_[0])));                           \
	})

/* The facts that a load tells; v has at least as many parameters as it takes (NULL: SQL NULL). */
static inline void load_into(const char *name, struct facts *f, struct arena *a, const char *const *v)
{
	struct pg_params p = {.n = sql_get(name)->nparams};
	const char *why = "";
	struct pg_rows rows;
	PGresult *r;

	for (int i = 0; i < p.n; i++)
		p.v[i] = v[i] ? span_of(v[i]) : (struct span){0};
	r = sql_run(db, name, &p);
	rows = pg_rows_all(r);
	memset(f, 0, sizeof(*f));
	if (PQresultStatus(r) != PGRES_TUPLES_OK)
		printf("# %s", PQerrorMessage(db));
	CHECK_INT(rows_to_facts(&rows, a, f, &why), ERR_OK);
	CHECK_STR(why, "");
	PQclear(r);
}

/* Whether the plan of some plain SQL uses an index. */
static inline bool index_serves(const char *index, const char *sql)
{
	char explain[1000];
	PGresult *r;
	bool found = false;

	snprintf(explain, sizeof(explain), "EXPLAIN %s", sql);
	r = PQexec(db, explain);
	for (int i = 0; i < PQntuples(r); i++)
		found = found || strstr(PQgetvalue(r, i, 0), index);
	for (int i = 0; !found && i < PQntuples(r); i++)
		printf("# %s\n", PQgetvalue(r, i, 0));
	PQclear(r);
	return found;
}

/* What becomes of some plain SQL. */
static inline const char *try_sql(const char *sql)
{
	static char out[4][512];
	static int turn;
	char *mine = out[turn++ % 4];

	return verdict(PQexec(db, sql), mine, sizeof(out[0]));
}

/* The plan, prepared as the pool does it, must not read any of the named tables row by row; `never` are tables that it
 * must not touch at all. Lists end with NULL. args: of EXECUTE. */
static inline void check_plan_of(const struct pg_stmt *s, int nparams, const char *args, const char *const *never)
{
	static char sql[16384];
	PGresult *r;

	snprintf(sql, sizeof(sql), "PREPARE p AS %s", s->sql);
	must(sql);
	snprintf(sql, sizeof(sql), nparams ? "EXPLAIN EXECUTE p(%s)" : "EXPLAIN EXECUTE p%s", args);
	r = PQexec(db, sql);
	CHECK(PQntuples(r) > 0);
	for (int i = 0; i < PQntuples(r); i++) {
		const char *line = PQgetvalue(r, i, 0);
		bool bad = strstr(line, "Seq Scan") && !strstr(line, "Seq Scan on currencies");

		for (const char *const *t = never; *t; t++)
			bad = bad || strstr(line, *t);
		if (bad) {
			printf("# %s: %s\n", s->name, line);
			check_failed_here++;
		}
	}
	PQclear(r);
	must("DEALLOCATE p");
	CHECK_INT(s->nparams, nparams);
}

static inline void check_plan(const char *name, int nparams, const char *args, const char *const *never)
{
	check_plan_of(sql_get(name), nparams, args, never);
}

/* A server with the whole schema. */
static inline void sqlcheck_begin(void)
{
	pgserver_init(&server);
	pgserver_start(&server);
	db = pgserver_connect(&server);
	PQsetErrorVerbosity(db, PQERRORS_TERSE);
	for (const struct embed_file *f = embed_files; f->name; f++) {
		if (strncmp(f->name, "sql/migrations/", 15) == 0)
			must(f->data);
	}
	must("SET client_min_messages = warning");
	must(sql_get("cli_migrate_table")->sql);
}

#endif
