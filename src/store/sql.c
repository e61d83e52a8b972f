#include "shoal/store/sql.h"

#include <ctype.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shoal/base/arena.h"
#include "shoal/base/clock.h"
#include "shoal/base/embed.h"
#include "shoal/base/err.h"

#define FOLDER "sql/queries/"
#define SUFFIX ".sql"
#define MANY "-- many: "

static struct pg_stmt *statements; /* by name; made once, lives as long as the process */
static size_t nstatements;

static const char *skip_line(const char *p)
{
	return p + strcspn(p, "\n");
}

/* Comments nest in PostgreSQL. p stands on the opening one. */
static const char *skip_comment(const char *p)
{
	int depth = 0;

	while (*p) {
		if (p[0] == '/' && p[1] == '*') {
			depth++;
			p += 2;
		} else if (p[0] == '*' && p[1] == '/') {
			p += 2;
			if (--depth == 0)
				break;
		} else {
			p++;
		}
	}
	return p;
}

/* 'text' or "name"; a doubled quote is two quoted pieces side by side, which comes to the same. */
static const char *skip_quoted(const char *p)
{
	const char *end = strchr(p + 1, *p);

	return end ? end + 1 : p + strlen(p);
}

/* $tag$ text $tag$; NULL where p begins no such text. */
static const char *skip_dollar_quoted(const char *p)
{
	size_t tag = 1;
	const char *q;

	while (isalnum((unsigned char)p[tag]) || p[tag] == '_')
		tag++;
	if (isdigit((unsigned char)p[1]) || p[tag] != '$')
		return NULL;
	tag++;
	for (q = p + tag; *q; q++) {
		if (strncmp(q, p, tag) == 0)
			return q + tag;
	}
	return q;
}

int sql_count_params(const char *p)
{
	int highest = 0;

	while (*p) {
		const char *end;

		if (p[0] == '-' && p[1] == '-') {
			p = skip_line(p);
		} else if (p[0] == '/' && p[1] == '*') {
			p = skip_comment(p);
		} else if (*p == '\'' || *p == '"') {
			p = skip_quoted(p);
		} else if (*p == '$' && (end = skip_dollar_quoted(p))) {
			p = end;
		} else if (*p == '$' && isdigit((unsigned char)p[1])) {
			int n = 0;

			for (p++; isdigit((unsigned char)*p) && n < 10000; p++)
				n = n * 10 + (*p - '0');
			highest = n > highest ? n : highest;
		} else {
			p++;
		}
	}
	return highest;
}

/* The statement's name where the file is one. */
static bool name_of(const struct embed_file *f, struct span *name)
{
	struct span path = span_of(f->name);
	size_t around = strlen(FOLDER) + strlen(SUFFIX);

	if (!span_starts(path, FOLDER) || path.len <= around ||
	    strcmp(path.ptr + path.len - strlen(SUFFIX), SUFFIX) != 0)
		return false;
	*name = (struct span){path.ptr + strlen(FOLDER), path.len - around};
	return true;
}

/* --- of a statement for many the one for somebody alone: a row where the arrays' rows were */

#define ROWS "unnest("
#define NUMBERED " WITH ORDINALITY"

static void add_row(struct buf *out, struct span arrays)
{
	const char *end = arrays.ptr + arrays.len;

	buf_addf(out, "(VALUES (");
	for (const char *p = arrays.ptr; p < end;) {
		if (p[0] == '[' && p[1] == ']')
			p += 2;
		else
			buf_add(out, p++, 1);
	}
}

/* All parameters stand in the one list of arrays, casts are all that is done to them there. */
static char *alone(const char *many)
{
	const char *rows = strstr(many, ROWS "$1::"), *end = rows ? strchr(rows, ')') : NULL,
	           *rest = end ? end + 1 : "";
	bool numbered = span_starts(span_of(rest), NUMBERED);
	struct buf out;

	ENSURE(rows && end && sql_count_params(rest) == 0);
	buf_init(&out, SIZE_MAX / 4);
	buf_add(&out, many, (size_t)(rows - many));
	add_row(&out, (struct span){rows + strlen(ROWS), (size_t)(end - rows) - strlen(ROWS)});
	buf_addf(&out, "%s))%s", numbered ? ", 1::bigint" : "", rest + (numbered ? strlen(NUMBERED) : 0));
	ENSURE(!out.failed);
	return out.ptr;
}

static const struct pg_stmt *stmt_alone(const struct pg_stmt *many)
{
	struct pg_stmt *one = mem_alloc(sizeof(*one));
	size_t len = strlen(many->name) + sizeof("/one");
	char *name = mem_alloc(len);

	snprintf(name, len, "%s/one", many->name);
	*one = (struct pg_stmt){.name = name, .sql = alone(many->sql), .nparams = many->nparams};
	return one;
}

/* --- the catalogue */

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct pg_stmt *)a)->name, ((const struct pg_stmt *)b)->name);
}

static void read_catalogue(void)
{
	size_t n = 0;
	struct span name;

	for (const struct embed_file *f = embed_files; f->name; f++)
		n += name_of(f, &name);
	statements = mem_zalloc((n + 1) * sizeof(*statements));
	n = 0;
	for (const struct embed_file *f = embed_files; f->name; f++) {
		char *copy;

		if (!name_of(f, &name))
			continue;
		copy = mem_zalloc(name.len + 1);
		memcpy(copy, name.ptr, name.len);
		statements[n++] = (struct pg_stmt){.name = copy,
		                                   .sql = f->data,
		                                   .nparams = sql_count_params(f->data),
		                                   .many = span_starts(span_of(f->data), MANY)};
		ENSURE(statements[n - 1].nparams <= PG_PARAMS_MAX);
		if (statements[n - 1].many)
			statements[n - 1].one = stmt_alone(&statements[n - 1]);
	}
	nstatements = n;
	qsort(statements, n, sizeof(*statements), by_name);
}

const struct pg_stmt *sql_find(const char *name)
{
	const struct pg_stmt wanted = {.name = name};

	if (!statements)
		read_catalogue();
	return bsearch(&wanted, statements, nstatements, sizeof(*statements), by_name);
}

const struct pg_stmt *sql_get(const char *name)
{
	const struct pg_stmt *s = sql_find(name);

	if (!s)
		BUG("no statement sql/queries/%s.sql", name);
	return s;
}

/* The statement, and its parameters as libpq wants them. */
static const struct pg_stmt *prepare(const char *name, const struct pg_params *params, struct arena *a,
                                     const char *values[PG_PARAMS_MAX])
{
	const struct pg_stmt *s = sql_get(name);
	int n = params ? params->n : 0;

	if (n != s->nparams)
		BUG("%s wants %d parameters, not %d", name, s->nparams, n);
	for (int i = 0; i < n; i++) {
		const struct span *v = &params->v[i];

		values[i] = v->ptr ? arena_span(a, *v).ptr : NULL;
	}
	return s->one ? s->one : s;
}

PGresult *sql_run(PGconn *conn, const char *name, const struct pg_params *params)
{
	const char *values[PG_PARAMS_MAX];
	const struct pg_stmt *s;
	struct arena a;
	PGresult *res;

	arena_init(&a);
	s = prepare(name, params, &a, values);
	res = PQexecParams(conn, s->sql, s->nparams, NULL, values, NULL, NULL, 0);
	arena_release(&a);
	return res;
}

static bool is_here(PGconn *conn, int64_t until_ms)
{
	while (PQisBusy(conn)) {
		int64_t left = until_ms - clock_ms();

		if (left <= 0)
			return false;
		(void)poll(&(struct pollfd){.fd = PQsocket(conn), .events = POLLIN}, 1, (int)left);
		if (PQconsumeInput(conn) != 1)
			return true; /* the connection went: that is the result */
	}
	return true;
}

PGresult *sql_run_within(PGconn *conn, const char *name, const struct pg_params *params, unsigned ms)
{
	const char *values[PG_PARAMS_MAX];
	const struct pg_stmt *s;
	struct arena a;
	bool sent;

	arena_init(&a);
	s = prepare(name, params, &a, values);
	sent = PQsendQueryParams(conn, s->sql, s->nparams, NULL, values, NULL, NULL, 0) == 1;
	arena_release(&a);
	return sent && is_here(conn, clock_ms() + ms) ? PQgetResult(conn) : NULL;
}
