/* links: base io */
#include "check.h"

#include "shoal/io/pg_cmd.h"

/* Who asked as one of a set reads their own rows of its result, whatever came back. */

static const struct pg_stmt stmt = {.name = "s", .sql = "", .many = true};
static struct pg_known known = {.stmt = &stmt};

static void nobody(void *arg, enum err err, struct pg_rows *rows, const struct pg_fault *fault)
{
	(void)arg;
	(void)err;
	(void)rows;
	(void)fault;
}

/* A result of this column and "v": rows of an owner (NULL: none) and a value. */
static PGresult *result(const char *first, int rows, const char *const (*cells)[2])
{
	PGresult *r = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
	PGresAttDesc desc[2] = {{.name = (char *)first}, {.name = "v"}};

	CHECK(PQsetResultAttrs(r, 2, desc));
	for (int i = 0; i < 2 * rows; i++) {
		const char *v = cells[i / 2][i % 2];

		CHECK(PQsetvalue(r, i / 2, i % 2, (char *)v, v ? (int)strlen(v) : -1));
	}
	return r;
}

/* Parted among n: what each reads as "ab|c|", "!" for an error; in their order. */
static const char *parted(unsigned n, PGresult *r, enum err err)
{
	static struct buf text;
	struct pg_list members, to;
	struct pg_cmd *set, *one;

	pg_list_init(&members);
	pg_list_init(&to);
	for (unsigned i = 0; i < n; i++) {
		one = pg_cmd_new(&known, NULL, nobody, NULL);
		one->kind = &known.kind;
		pg_list_push(&members, one);
	}
	set = pg_set_form(&members);
	set->res = r;
	if (err != ERR_OK)
		pg_cmd_fail(set, err, NULL);
	pg_set_part(set, &to);
	CHECK_INT(to.n, n);
	buf_release(&text);
	buf_init(&text, 256);
	while ((one = pg_list_pop(&to)) != NULL) {
		if (one->err == ERR_OK) {
			struct pg_rows rows = pg_cmd_rows(one);

			CHECK(rows.may_be_part);
			for (int i = 0; i < rows.n; i++)
				buf_adds(&text, PQgetvalue(rows.res, pg_row(&rows, i), 1));
		} else {
			buf_addc(&text, '!');
		}
		buf_addc(&text, '|');
		pg_cmd_free(one);
	}
	return text.ptr;
}

#define ROWS(...) ((const char *const[][2]){__VA_ARGS__})

static void everybody_reads_their_own(void)
{
	CHECK_STR(parted(3, result("n", 3, ROWS({"1", "a"}, {"2", "b"}, {"3", "c"})), ERR_OK), "a|b|c|");
	CHECK_STR(parted(4, result("n", 5, ROWS({"2", "a"}, {"1", "b"}, {"2", "c"}, {"4", "d"}, {"1", "e"})), ERR_OK),
	          "be|ac||d|");
	CHECK_STR(parted(2, result("n", 0, NULL), ERR_OK), "||");
	CHECK_STR(parted(1, result("n", 1, ROWS({"1", "a"})), ERR_OK), "a|");
}

static void who_is_told_no_rows_has_none(void)
{
	CHECK_STR(parted(3, result("m", 2, ROWS({"1", "a"}, {"2", "b"})), ERR_OK), "|||");
}

/* A row that is nobody's might be anybody's. */
static void nobodys_row_fails_all(void)
{
	static const char *const owners[] = {NULL, "", "0", "-1", "3", "x", "4294967297", "1 "};

	for (size_t i = 0; i < sizeof(owners) / sizeof(owners[0]); i++) {
		CHECK_STR(parted(2, result("n", 2, ROWS({"1", "a"}, {owners[i], "b"})), ERR_OK), "!|!|");
		CHECK_STR(parted(2, result("n", 2, ROWS({owners[i], "b"}, {"1", "a"})), ERR_OK), "!|!|");
	}
}

static void all_fail_together(void)
{
	CHECK_STR(parted(3, result("n", 1, ROWS({"1", "a"})), ERR_UNKNOWN), "!|!|!|");
	CHECK_STR(parted(2, NULL, ERR_TIMEOUT), "!|!|");
}

/* Whose result cannot be others' may have all of it, and longer. */
static void who_asks_alone_may_keep_all(void)
{
	struct pg_cmd *one = pg_cmd_new(&known, NULL, nobody, NULL);
	struct pg_rows rows;
	PGresult *kept;

	one->res = result("n", 2, ROWS({"7", "a"}, {"8", "b"}));
	rows = pg_cmd_rows(one);
	CHECK_INT(rows.n, 2);
	CHECK(pg_rows_whole(&rows) == one->res);
	kept = pg_rows_keep(&rows);
	CHECK(rows.res == NULL && rows.n == 0);
	one->res = rows.res;
	pg_cmd_free(one);
	CHECK_STR(PQgetvalue(kept, 1, 1), "b");
	PQclear(kept);
}

int main(void)
{
	RUN(everybody_reads_their_own);
	RUN(who_is_told_no_rows_has_none);
	RUN(nobodys_row_fails_all);
	RUN(all_fail_together);
	RUN(who_asks_alone_may_keep_all);
	DONE();
}
