/* What the verbs print. A listing is either a table for people or, with --json, one array of objects; one thing is
 * "name  value" lines or one object. The rows are collected and go out at once in out_end(). In a table a text
 * wider than 64 columns is cut and ends with "…", but for the last column; JSON and "name  value" lines have all of it.
 *
 *     static const struct out_col cols[] = {{"code", OUT_TEXT}, {"user_count", OUT_INT}, {0}};
 *     struct out out;
 *
 *     out_begin(&out, json, cols);
 *     for (...) {
 *             out_row(&out);
 *             out_text(&out, code);
 *             out_int(&out, n);
 *     }
 *     return out_end(&out, "there are no codes yet");
 */
#ifndef SHOAL_CLI_OUT_H
#define SHOAL_CLI_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shoal/base/arena.h"
#include "shoal/base/str.h"

enum out_type {
	OUT_TEXT,
	OUT_KEY,  /* text that other verbs take: never cut */
	OUT_INT,  /* a number, aligned to the right */
	OUT_ID,   /* a platform's id: a string in JSON, as a number aligned to the right */
	OUT_NUM,  /* a number with a fraction */
	OUT_BOOL, /* "yes" or "no" for people */
	OUT_TIME, /* RFC 3339 in JSON and for people */
	OUT_JSON  /* text that already is JSON: arrays and nested objects */
};

struct out_col {
	const char *name; /* snake_case, as in JSON; a table's head has spaces and capitals; NULL ends the table */
	enum out_type type;
};

/* JSON form of a listing, or a table. */
enum out_form { OUT_LIST, OUT_ONE };

struct out_cell;
struct out {
	struct arena arena;
	const struct out_col *cols;
	size_t ncols;
	bool json;
	enum out_form form;
	struct out_cell *cells; /* ncols for each row */
	size_t nrows, ncells, room;
};

void out_begin(struct out *o, bool json, const struct out_col *cols);     /* any number of rows */
void out_begin_one(struct out *o, bool json, const struct out_col *cols); /* exactly one row */

/* A new row; the one before must be full. Then one call for each column, in order, of the column's type. */
void out_row(struct out *o);
void out_text(struct out *o, const char *s); /* OUT_TEXT, OUT_KEY, OUT_JSON; NULL is null, "-" for people */
void out_span(struct out *o, struct span s); /* the same */
void out_int(struct out *o, int64_t v);      /* OUT_INT, OUT_ID */
void out_num(struct out *o, double v);
void out_bool(struct out *o, bool v);
void out_time(struct out *o, int64_t wall_ms);
void out_null(struct out *o); /* any type */

/* Prints, and releases everything. EXIT_DONE, or EXIT_FAILED with a line on stderr where stdout takes it not.
 * An empty list is "[]", or `empty` for people (a sentence on stderr; NULL: nothing). */
int out_end(struct out *o, const char *empty);

/* One line for people on stdout ("code abc added."); nothing with --json, where `{"ok":true}` goes out instead. */
int out_done(bool json, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A text of strangers as one line that a terminal may show. */
const char *out_plain(struct arena *a, const char *text);

/* A text of strangers on stdout, line by line, with what a terminal would obey replaced. Returns as out_end. */
int out_lines(struct span text);

/* JSON on stdout, as one line, with what a terminal would obey escaped. Returns as out_end. */
int out_json(struct span json);

/* "shoal VERB: ..." on stderr ("shoal: ..." where verb is NULL); returns code. */
int out_fail(int code, const char *verb, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Columns that s takes on a terminal: wide for East Asian text and emoji, none for combining marks. */
size_t out_width(struct span s);

/* As much of s as fits into so many columns. */
struct span out_cut(struct span s, size_t width);

#endif
