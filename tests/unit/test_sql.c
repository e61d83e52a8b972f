/* links: base model io store */
/* The catalogue of statements, and rows to facts: on results made by hand, no server is needed. */
#include "check.h"

#include <stdarg.h>

#include "shoal/base/embed.h"
#include "shoal/store/rows.h"
#include "shoal/store/sql.h"

static void parameters_are_counted_where_they_count(void)
{
	CHECK_INT(sql_count_params("SELECT 1"), 0);
	CHECK_INT(sql_count_params("SELECT $1, $3"), 3);
	CHECK_INT(sql_count_params("-- $9\nSELECT $2 -- $7"), 2);
	CHECK_INT(sql_count_params("/* $9 /* $8 */ $7 */ SELECT $1"), 1);
	CHECK_INT(sql_count_params("SELECT '$4', 'it''s $5', \"$6\" , $1"), 1);
	CHECK_INT(sql_count_params("SELECT $$ $5 $$, $tag$ $6 $$ $7 $tag$, $2"), 2);
	CHECK_INT(sql_count_params("SELECT '$4"), 0);
	CHECK_INT(sql_count_params("/* $4"), 0);
	CHECK_INT(sql_count_params("SELECT $12::text || $2"), 12);
	CHECK_INT(sql_count_params(""), 0);
	CHECK_INT(sql_count_params("$"), 0);
}

static void statements_are_found_by_name(void)
{
	const struct pg_stmt *s = sql_find("persona_say");

	CHECK(s && s == sql_get("persona_say"));
	CHECK_STR(s->name, "persona_say");
	CHECK_INT(s->nparams, 13);
	CHECK(strstr(s->sql, "INSERT INTO messages"));
	CHECK(!sql_find("persona_sa"));
	CHECK(!sql_find("persona_say.sql"));
	CHECK(!sql_find(""));
	CHECK(!sql_find("demo"));
}

/* What else is wrong with an update that was committed before, its key comes first: nothing is decided anew then. One
 * that writes only for those who are as presumed asks for theirs; of the others the commit after it does. */
static void every_commit_asks_for_its_guard_first(void)
{
	static const char ask[] = "\nSELECT expect(1, (SELECT count(*) FROM guard), 'changed')",
	                  ask_many[] =
	                      "\nSELECT expect((SELECT count(*) FROM asked), (SELECT count(*) FROM guard), 'changed')",
	                  insert_many[] =
	                      "\n), guard AS (\n\tINSERT INTO guards (key, effects) SELECT key, effects FROM "
	                      "asked RETURNING key\n), todo AS MATERIALIZED (\n\tSELECT asked.* FROM "
	                      "(SELECT count(*) FROM guard) first, asked\n)";
	static const char insert_back[] =
	    "\n), guard AS (\n\tINSERT INTO guards (key, effects) SELECT key, effects FROM back RETURNING key\n), todo "
	    "AS "
	    "MATERIALIZED (\n\tSELECT back.* FROM (SELECT count(*) FROM guard) first, back ORDER BY n\n), mine AS";
	int commits = 0, for_many = 0, presuming = 0;

	for (const struct embed_file *f = embed_files; f->name; f++) {
		bool many = span_starts(span_of(f->data), "-- many: ");
		const char *guard = strstr(f->data, " guard AS (\n\tINSERT INTO guards (key, effects)");
		const char *insert = strstr(f->data, many ? insert_many : "\nWITH guard AS (");
		const char *last = insert ? strstr(insert, "\nSELECT ") : NULL;

		if (strncmp(f->name, "sql/queries/", 12) != 0 || !guard)
			continue;
		if (strstr(f->data, " AS presumed,")) {
			presuming++;
			CHECK(strstr(f->data, insert_back));
			continue;
		}
		commits++;
		for_many += many;
		if (!last || !span_starts(span_of(last), many ? ask_many : ask)) {
			printf("# %s\n", f->name);
			check_failed_here++;
		}
	}
	CHECK(commits > 20);
	CHECK(for_many > 4);
	CHECK_INT(presuming, 1);
}

static void those_for_many_are_known_by_their_first_line(void)
{
	CHECK(sql_get("persona_load")->many && sql_get("persona_open")->many);
	CHECK(!sql_get("guard_find")->many && !sql_get("escrow_open")->many);
}

static void of_those_for_many_there_is_one_for_somebody_alone(void)
{
	const struct pg_stmt *load = sql_get("persona_load"), *stop = sql_get("persona_stop");

	CHECK_STR(load->one->name, "persona_load/one");
	CHECK(strstr(load->one->sql, "FROM (VALUES ($1::text::bigint, $2::text, $3::text::bigint, $4::text::bigint, "
	                             "1::bigint))\n\tasked ("));
	CHECK(strstr(load->one->sql, "]::bigint[]) FILTER")); /* what else is an array stays one */
	CHECK(strstr(stop->one->sql, "SELECT * FROM (VALUES ($1::text, $2::text, $3::text::bigint, "));
	for (const struct embed_file *f = embed_files; f->name; f++) {
		char name[128];
		const struct pg_stmt *s;

		if (sscanf(f->name, "sql/queries/%127[^.]", name) != 1)
			continue;
		s = sql_get(name);
		CHECK(s->many == (s->one != NULL));
		CHECK(!s->one || (!s->one->many && s->one->nparams == s->nparams));
		CHECK(!s->one || (sql_count_params(s->one->sql) == s->nparams && !strstr(s->one->sql, "unnest")));
	}
}

static void every_migration_has_a_number_of_its_own(void)
{
	const char *before = NULL;

	for (const struct embed_file *f = embed_files; f->name; f++) {
		if (strncmp(f->name, "sql/migrations/", 15) != 0)
			continue;
		if (before && strncmp(before, f->name, strlen("sql/migrations/000")) >= 0) {
			printf("# %s, %s\n", before, f->name);
			check_failed_here++;
		}
		before = f->name;
	}
	CHECK(before);
}

/* A result with these columns and rows of values; "NULL" is NULL. Before each stands a row of somebody else. */
static PGresult *result(int columns, const char *const *names, int rows, const char *const *values)
{
	PGresult *r = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
	PGresAttDesc desc[16];

	memset(desc, 0, sizeof(desc));
	for (int i = 0; i < columns; i++)
		desc[i].name = (char *)names[i];
	CHECK(PQsetResultAttrs(r, columns, desc));
	for (int i = 0; i < 2 * rows * columns; i++) {
		int row = i / columns;
		const char *v = row % 2 ? values[row / 2 * columns + i % columns] : "somebody else's";
		int len = strcmp(v, "NULL") == 0 ? -1 : (int)strlen(v);

		CHECK(PQsetvalue(r, row, i % columns, len < 0 ? NULL : (char *)v, len));
	}
	return r;
}

#define COLUMNS(...) ((const char *const[]){__VA_ARGS__})
static struct arena arena;
static struct facts facts;
static const char *why;

static enum err read_rows(int columns, const char *const *names, int rows, const char *const *values)
{
	static const int at[] = {1, 3, 5};
	PGresult *r = result(columns, names, rows, values);
	struct pg_rows theirs = {.res = r, .at = at, .n = rows};
	enum err err;

	CHECK(rows <= 3);
	memset(&facts, 0, sizeof(facts));
	facts.user.id = 77;
	why = NULL;
	err = rows_to_facts(&theirs, &arena, &facts, &why);
	PQclear(r);
	CHECK((err == ERR_OK) == (why == NULL));
	return err;
}

static void rows_become_facts(void)
{
	const char *const *names = COLUMNS("user_id", "user_age_verified", "user_suspended", "user_source", "chat_id",
	                                   "chat_persona_id", "chat_turns", "code_chat_id", "conversation");

	CHECK_INT(
	    read_rows(9, names, 1, COLUMNS("9223372036854775807", "t", "f", "ahoy", "5", "-3", "12", "NULL", "{}")),
	    ERR_OK);
	CHECK(facts.user.known && facts.user.id == INT64_MAX && facts.user.age_verified && !facts.user.suspended);
	CHECK_STR(facts.user.source, "ahoy");
	CHECK(facts.chat.found && facts.chat.id == 5 && facts.chat.persona_id == -3 && facts.chat.turns == 12);
	CHECK(!facts.code_chat.found && facts.conversation_known);
	CHECK_STR(facts.conversation, "{}");
}

static void whose_row_it_was_is_no_fact(void)
{
	CHECK_INT(read_rows(2, COLUMNS("n", "user_id"), 1, COLUMNS("3", "5")), ERR_OK);
	CHECK(facts.user.known && facts.user.id == 5);
	CHECK_INT(read_rows(2, COLUMNS("user_id", "n"), 1, COLUMNS("5", "3")), ERR_INTERNAL);
}

static void no_row_and_null_leave_facts_as_they_are(void)
{
	CHECK_INT(read_rows(2, COLUMNS("user_id", "user_source"), 0, NULL), ERR_OK);
	CHECK(!facts.user.known && facts.user.id == 77);
	CHECK_INT(read_rows(2, COLUMNS("user_id", "user_source"), 1, COLUMNS("NULL", "NULL")), ERR_OK);
	CHECK(!facts.user.known && facts.user.id == 77 && !facts.user.source);
}

static void what_does_not_fit_is_an_error(void)
{
	CHECK_INT(read_rows(1, COLUMNS("user_shoe_size"), 1, COLUMNS("5")), ERR_INTERNAL);
	CHECK(strstr(why, "user_shoe_size"));
	CHECK_INT(read_rows(1, COLUMNS("user_shoe_size"), 0, NULL), ERR_INTERNAL);
	CHECK_INT(read_rows(1, COLUMNS("user_id"), 1, COLUMNS("9223372036854775808")), ERR_INTERNAL);
	CHECK(strstr(why, "user_id"));
	CHECK_INT(read_rows(1, COLUMNS("user_id"), 1, COLUMNS("5 ")), ERR_INTERNAL);
	CHECK_INT(read_rows(1, COLUMNS("user_id"), 1, COLUMNS("")), ERR_INTERNAL);
	CHECK_INT(read_rows(1, COLUMNS("user_suspended"), 1, COLUMNS("true")), ERR_INTERNAL);
	CHECK_INT(read_rows(1, COLUMNS("user_id"), 2, COLUMNS("5", "6")), ERR_INTERNAL);
	CHECK_INT(read_rows(1, COLUMNS("history_out"), 1, COLUMNS("t")), ERR_INTERNAL);
	CHECK_INT(read_rows(2, COLUMNS("history_out", "history_text"), 1, COLUMNS("x", "hi")), ERR_INTERNAL);
	CHECK_INT(read_rows(2, COLUMNS("history_out", "history_text"), 1, COLUMNS("NULL", "hi")), ERR_INTERNAL);
	CHECK_INT(read_rows(4, COLUMNS("wallet_currency", "wallet_scale", "wallet_available", "wallet_held"), 1,
	                    COLUMNS("USD", "2", "NULL", "0")),
	          ERR_INTERNAL);
	CHECK(strstr(why, "wallet_available"));
	CHECK_INT(read_rows(2, COLUMNS("wallet_currency", "listed_id"), 1, COLUMNS("USD", "5")), ERR_INTERNAL);
	CHECK(strstr(why, "several lists"));
}

static void history_keeps_its_order(void)
{
	const char *const *names = COLUMNS("user_id", "history_out", "history_text");

	CHECK_INT(read_rows(3, names, 2, COLUMNS("5", "f", "hi", "5", "t", "ho")), ERR_OK);
	CHECK_INT(facts.history.n, 2);
	CHECK(facts.user.id == 5 && !facts.history.lines[0].out && facts.history.lines[1].out);
	CHECK_STR(facts.history.lines[0].text, "hi");
	CHECK_STR(facts.history.lines[1].text, "ho");
	CHECK_INT(read_rows(3, names, 1, COLUMNS("5", "NULL", "NULL")), ERR_OK);
	CHECK_INT(facts.history.n, 0);
	CHECK_INT(read_rows(3, names, 0, NULL), ERR_OK);
	CHECK_INT(facts.history.n, 0);
}

int main(void)
{
	arena_init(&arena);
	RUN(parameters_are_counted_where_they_count);
	RUN(statements_are_found_by_name);
	RUN(every_commit_asks_for_its_guard_first);
	RUN(those_for_many_are_known_by_their_first_line);
	RUN(of_those_for_many_there_is_one_for_somebody_alone);
	RUN(every_migration_has_a_number_of_its_own);
	RUN(rows_become_facts);
	RUN(whose_row_it_was_is_no_fact);
	RUN(no_row_and_null_leave_facts_as_they_are);
	RUN(what_does_not_fit_is_an_error);
	RUN(history_keeps_its_order);
	arena_release(&arena);
	DONE();
}
