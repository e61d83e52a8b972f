#include "shoal/cli/code_csv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "shoal/base/clock.h"
#include "shoal/base/json.h"
#include "shoal/cli/csv.h"
#include "shoal/store/rules.h"

enum { FILE_MAX = 64 << 20, ERRORS_SHOWN = 10 };

/* The columns, in the order of an export. */
enum column { CODE, PERSONA, DESCRIPTION, MAX_USES, EXPIRES, INACTIVE, COLUMNS };
static const char *const names[COLUMNS] = {"code", "persona", "description", "max-uses", "expires", "inactive"};

/* --- export */

static const char *text_at(const PGresult *res, int row, const char *column)
{
	return PQgetvalue(res, row, PQfnumber(res, column)); /* "" for NULL */
}

static void put_row(struct session *s, struct buf *b, const PGresult *res, int row)
{
	const char *field[COLUMNS] = {
	    [CODE] = text_at(res, row, "code"),
	    [PERSONA] = text_at(res, row, "persona"),
	    [DESCRIPTION] = text_at(res, row, "description"),
	    [MAX_USES] = text_at(res, row, "max_uses"),
	    [EXPIRES] = text_at(res, row, "expires_at"),
	    [INACTIVE] = *text_at(res, row, "active") == 't' ? "false" : "true",
	};
	char time[32];
	int64_t ms;

	if (*field[EXPIRES]) {
		ENSURE(span_i64(span_of(field[EXPIRES]), &ms));
		clock_rfc3339(ms > 0 ? ms : 1, time, sizeof(time));
		field[EXPIRES] = arena_strdup(s->a, time);
	}
	csv_put(b, field, COLUMNS);
}

int code_export(struct session *s)
{
	struct buf b;
	PGresult *res;

	if (!session_pg(s) || !(res = session_run(s, "code_counts", NULL)))
		return s->code;
	buf_init(&b, 1u << 30);
	csv_put(&b, names, COLUMNS);
	for (int row = 0; row < PQntuples(res); row++)
		put_row(s, &b, res, row);
	if (b.failed)
		session_fail(s, EXIT_FAILED, "there are more than 1 GiB of start codes");
	else if (fwrite(b.ptr, 1, b.len, stdout) != b.len || fflush(stdout) != 0)
		session_fail(s, EXIT_FAILED, "cannot write to stdout");
	buf_release(&b);
	return s->code;
}

/* --- import: the file */

struct row {
	unsigned line;
	const char *field[COLUMNS]; /* "" where the file has no such column */
};

struct import {
	struct session *s;
	const char *file;
	int place[COLUMNS]; /* which field of a record, -1: none */
	size_t nfields;
	struct row *rows;
	size_t nrows, room;
	struct buf json;
	unsigned errors;
};

/* The first errors are told, the others counted. */
static void complain(struct import *m, unsigned line, const char *why)
{
	if (m->errors++ < ERRORS_SHOWN)
		session_fail(m->s, EXIT_FAILED, "%s, line %u: %s", m->file, line, why);
	m->s->code = EXIT_FAILED;
}

static int refuse(struct import *m)
{
	if (m->errors > ERRORS_SHOWN)
		session_fail(m->s, m->s->code, "... and %u more", m->errors - ERRORS_SHOWN);
	return session_fail(m->s, m->s->code, "nothing was imported");
}

static bool read_all(struct import *m, int fd, struct buf *b)
{
	char part[65536];
	ssize_t n;

	while ((n = read(fd, part, sizeof(part))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n > 0)
			buf_add(b, part, (size_t)n);
		if (n < 0)
			session_fail(m->s, EXIT_FAILED, "cannot read %s: %s", m->file, strerror(errno));
		else if (b->failed)
			session_fail(m->s, EXIT_FAILED, "%s is longer than 64 MiB", m->file);
		if (n < 0 || b->failed)
			return false;
	}
	return true;
}

static bool read_file(struct import *m, struct buf *b)
{
	const char *name = m->s->args->operands[0];
	bool from_stdin = strcmp(name, "-") == 0, good;
	int fd = from_stdin ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		session_fail(m->s, EXIT_FAILED, "cannot open %s: %s", m->file, strerror(errno));
		return false;
	}
	good = read_all(m, fd, b);
	if (!from_stdin)
		close(fd);
	return good;
}

/* --- import: its records */

static const char *check_head(struct import *m, const struct csv *c)
{
	for (int i = 0; i < COLUMNS; i++)
		m->place[i] = -1;
	for (size_t k = 0; k < c->nfields; k++) {
		int i = 0;

		while (i < COLUMNS && strcmp(c->field[k], names[i]) != 0)
			i++;
		if (i == COLUMNS)
			return arena_printf(m->s->a,
			                    "the column %s is unknown; the header may name code, persona, description, "
			                    "max-uses, expires, inactive",
			                    shown(m->s->a, c->field[k]));
		if (m->place[i] >= 0)
			return arena_printf(m->s->a, "the column \"%s\" is there twice", names[i]);
		m->place[i] = (int)k;
	}
	m->nfields = c->nfields;
	if (m->place[CODE] < 0 || m->place[PERSONA] < 0)
		return "the header must name at least the columns code and persona";
	return NULL;
}

static const char *read_flag(struct import *m, const char *text, bool *out)
{
	static const char *const words[] = {"", "false", "no", "0", "true", "yes", "1"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcasecmp(text, words[i]) == 0) {
			*out = i > 3;
			return NULL;
		}
	}
	return arena_printf(m->s->a, "inactive is %s, but must be true, false or empty", shown(m->s->a, text));
}

static void put_or_null(struct json_writer *w, const char *name, const char *text)
{
	json_kv_str(w, name, *text ? text : NULL);
}

/* Checks a row and writes it for the statement. Empty means none; without a persona it is the default one's. */
static const char *take_row(struct import *m, const struct row *r, struct json_writer *w)
{
	struct arena *a = m->s->a;
	const char *why, *const *f = r->field;
	int64_t uses, expires;
	bool inactive = false;
	char time[32] = "";

	if ((why = rule_code(a, f[CODE])) || (*f[PERSONA] && (why = rule_key(a, f[PERSONA]))) ||
	    (why = rule_text(a, "the description", f[DESCRIPTION], 0, DESCRIPTION_UNITS)) ||
	    (*f[MAX_USES] && (why = rule_max_uses(a, f[MAX_USES], &uses))) ||
	    (*f[EXPIRES] && (why = rule_expires(a, f[EXPIRES], &expires))) ||
	    (why = read_flag(m, f[INACTIVE], &inactive)))
		return why;
	if (*f[EXPIRES])
		clock_rfc3339(expires, time, sizeof(time));
	json_begin_obj(w);
	json_kv_i64(w, "line", r->line);
	json_kv_str(w, "code", f[CODE]);
	put_or_null(w, "persona", f[PERSONA]);
	put_or_null(w, "description", f[DESCRIPTION]);
	put_or_null(w, "max_uses", f[MAX_USES]);
	put_or_null(w, "expires_at", time);
	json_kv_bool(w, "active", !inactive);
	json_end_obj(w);
	return NULL;
}

static void add_row(struct import *m, const struct csv *c, struct json_writer *w)
{
	struct row *r;
	const char *why;

	if (c->nfields != m->nfields) {
		complain(m, c->began,
		         arena_printf(m->s->a, "%zu fields, but the header has %zu", c->nfields, m->nfields));
		return;
	}
	if (m->nrows == m->room) {
		m->room = m->room ? m->room * 2 : 64;
		m->rows = mem_realloc(m->rows, m->room * sizeof(*m->rows));
	}
	r = &m->rows[m->nrows++];
	r->line = c->began;
	for (int i = 0; i < COLUMNS; i++)
		r->field[i] = m->place[i] < 0 ? "" : c->field[m->place[i]];
	if ((why = take_row(m, r, w)))
		complain(m, r->line, why);
}

static int by_code(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	int order = strcmp(x->field[CODE], y->field[CODE]);

	return order ? order : x->line < y->line ? -1 : 1;
}

static void find_twins(struct import *m)
{
	if (m->nrows > 1)
		qsort(m->rows, m->nrows, sizeof(*m->rows), by_code);
	for (size_t i = 1; i < m->nrows; i++)
		if (strcmp(m->rows[i].field[CODE], m->rows[i - 1].field[CODE]) == 0)
			complain(m, m->rows[i].line,
			         arena_printf(m->s->a, "the code %s stands on line %u already",
			                      shown(m->s->a, m->rows[i].field[CODE]), m->rows[i - 1].line));
}

static bool read_records(struct import *m, struct span text)
{
	struct json_writer w;
	struct csv c;
	enum csv_got got;
	const char *why;

	csv_open(&c, m->s->a, text);
	json_writer_init(&w, &m->json);
	got = csv_next(&c);
	if (got == CSV_END)
		complain(m, 1, "the header is missing: code,persona,description,max-uses,expires,inactive");
	else if (got == CSV_RECORD && (why = check_head(m, &c)))
		complain(m, c.began, why);
	if (m->errors == 0 && got == CSV_RECORD) {
		json_begin_arr(&w);
		while ((got = csv_next(&c)) == CSV_RECORD)
			add_row(m, &c, &w);
		json_end_arr(&w);
		find_twins(m);
	}
	if (got == CSV_BAD)
		complain(m, c.line, c.why);
	if (m->json.failed)
		complain(m, c.line, "this is too much at once");
	return m->errors == 0;
}

/* --- import: the database */

static bool find_objections(struct import *m)
{
	PGresult *res = session_run(m->s, "code_import_check", PARAMS(buf_span(&m->json)));
	bool all_missing = true;

	for (int row = 0; res && row < PQntuples(res); row++) {
		bool taken = *text_at(res, row, "taken") == 't';
		unsigned line = (unsigned)strtoul(text_at(res, row, "line"), NULL, 10);

		all_missing = all_missing && !taken;
		complain(m, line,
		         taken ? arena_printf(m->s->a, "there is a start code %s already", text_at(res, row, "code"))
		               : arena_printf(m->s->a, "there is no persona %s", text_at(res, row, "persona")));
	}
	if (m->errors > 0 && all_missing)
		m->s->code = EXIT_NOT_THERE;
	return res && m->errors == 0;
}

static int import_rows(struct import *m)
{
	struct session *s = m->s;
	PGresult *res;
	int64_t added;

	if (!session_pg(s) || !session_begin(s))
		return s->code;
	if (!find_objections(m))
		return m->errors ? refuse(m) : s->code;
	if (!(res = session_run(s, "code_import", PARAMS(buf_span(&m->json), session_actor(s)))))
		return s->code;
	added = cell_i64(res, "added");
	if (added != (int64_t)m->nrows)
		return session_fail(s, EXIT_FAILED,
		                    "codes or personas changed at the same moment: nothing was imported, try again");
	if (!session_commit(s))
		return s->code;
	return session_tell(s, CACHE_STARTCODE, NULL, 0,
	                    out_done(s->json, "%lld %s imported", (long long)added, added == 1 ? "code" : "codes"));
}

int code_import(struct session *s)
{
	const char *name = s->args->operands[0];
	struct import m = {.s = s, .file = strcmp(name, "-") == 0 ? "stdin" : shown(s->a, name)};
	struct buf text;

	buf_init(&text, FILE_MAX);
	buf_init(&m.json, 8u * FILE_MAX);
	if (!read_file(&m, &text))
		;
	else if (!read_records(&m, buf_span(&text)))
		refuse(&m);
	else if (m.nrows == 0)
		out_done(s->json, "the file has a header, but no codes: nothing to import");
	else
		import_rows(&m);
	free(m.rows);
	buf_release(&m.json);
	buf_release(&text);
	return s->code;
}
