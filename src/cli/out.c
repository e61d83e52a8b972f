#include "shoal/cli/out.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shoal/base/args.h"
#include "shoal/base/clock.h"
#include "shoal/base/err.h"
#include "shoal/base/json.h"
#include "shoal/cli/out_parts.h"

/* --- collecting */

static void begin(struct out *o, bool json, const struct out_col *cols, enum out_form form)
{
	*o = (struct out){.cols = cols, .json = json, .form = form};
	arena_init(&o->arena);
	while (cols[o->ncols].name)
		o->ncols++;
}

void out_begin(struct out *o, bool json, const struct out_col *cols)
{
	begin(o, json, cols, OUT_LIST);
}

void out_begin_one(struct out *o, bool json, const struct out_col *cols)
{
	begin(o, json, cols, OUT_ONE);
}

void out_row(struct out *o)
{
	ENSURE(o->ncells == o->nrows * o->ncols);
	ENSURE(o->form == OUT_LIST || o->nrows == 0);
	if (o->ncells + o->ncols > o->room) {
		o->room = o->room ? o->room * 2 : 16 * o->ncols;
		o->cells = mem_realloc(o->cells, o->room * sizeof(*o->cells));
	}
	o->nrows++;
}

static void add_cell(struct out *o, unsigned types, struct out_cell cell)
{
	ENSURE(o->ncells < o->nrows * o->ncols);
	ENSURE(cell.null || (types & 1u << o->cols[o->ncells % o->ncols].type));
	o->cells[o->ncells++] = cell;
}

void out_span(struct out *o, struct span s)
{
	add_cell(o, 1u << OUT_TEXT | 1u << OUT_KEY | 1u << OUT_JSON,
	         (struct out_cell){.text = arena_span(&o->arena, s)});
}

void out_text(struct out *o, const char *s)
{
	if (s)
		out_span(o, span_of(s));
	else
		out_null(o);
}

void out_int(struct out *o, int64_t v)
{
	add_cell(o, 1u << OUT_INT | 1u << OUT_ID, (struct out_cell){.i = v});
}

void out_num(struct out *o, double v)
{
	add_cell(o, 1u << OUT_NUM, (struct out_cell){.num = v});
}

void out_bool(struct out *o, bool v)
{
	add_cell(o, 1u << OUT_BOOL, (struct out_cell){.i = v});
}

void out_time(struct out *o, int64_t wall_ms)
{
	char text[32];

	clock_rfc3339(wall_ms, text, sizeof(text));
	add_cell(o, 1u << OUT_TIME, (struct out_cell){.text = arena_span(&o->arena, span_of(text))});
}

void out_null(struct out *o)
{
	add_cell(o, 0, (struct out_cell){.null = true});
}

/* --- JSON */

static void put_cell(struct json_writer *w, const struct out_cell *cell, enum out_type type)
{
	if (cell->null) {
		json_put_null(w);
		return;
	}
	switch (type) {
	case OUT_TEXT:
	case OUT_KEY:
	case OUT_TIME: json_put_span(w, cell->text); break;
	case OUT_JSON: json_put_raw(w, cell->text); break;
	case OUT_INT: json_put_i64(w, cell->i); break;
	case OUT_ID: json_put_id(w, cell->i); break;
	case OUT_NUM: json_put_num(w, cell->num); break;
	case OUT_BOOL: json_put_bool(w, cell->i); break;
	}
}

static void print_json(const struct out *o, struct buf *b)
{
	struct json_writer w;

	json_writer_init(&w, b);
	if (o->form == OUT_LIST)
		json_begin_arr(&w);
	for (size_t row = 0; row < o->nrows; row++) {
		json_begin_obj(&w);
		for (size_t col = 0; col < o->ncols; col++) {
			json_key(&w, o->cols[col].name);
			put_cell(&w, &o->cells[row * o->ncols + col], o->cols[col].type);
		}
		json_end_obj(&w);
	}
	if (o->form == OUT_LIST)
		json_end_arr(&w);
}

/* --- out of the door */

static int send_out(const struct buf *b)
{
	if (b->failed)
		return out_fail(EXIT_FAILED, NULL, "the listing is too long (over %d bytes)", OUT_MAX);
	if ((b->len > 0 && fwrite(b->ptr, 1, b->len, stdout) != b->len) || fflush(stdout) != 0)
		return out_fail(EXIT_FAILED, NULL, "cannot write to stdout");
	return EXIT_DONE;
}

int out_end(struct out *o, const char *empty)
{
	struct buf b;
	int code;

	ENSURE(o->ncells == o->nrows * o->ncols);
	ENSURE(o->form == OUT_LIST || o->nrows == 1);
	buf_init(&b, OUT_MAX);
	if (o->json)
		print_json(o, &b);
	else if (o->form == OUT_ONE)
		out_put_one(o, &b);
	else if (o->nrows > 0)
		out_put_table(o, &b);
	else if (empty)
		fprintf(stderr, "%s\n", empty);
	code = o->json && !b.failed ? out_json(buf_span(&b)) : send_out(&b);
	buf_release(&b);
	free(o->cells);
	arena_release(&o->arena);
	return code;
}

int out_lines(struct span text)
{
	struct buf b;
	int code;

	buf_init(&b, OUT_MAX);
	for (size_t i = 0; i < text.len;) {
		const char *end = memchr(text.ptr + i, '\n', text.len - i);
		size_t len = end ? (size_t)(end - text.ptr) - i : text.len - i;

		out_add_visible(&b, (struct span){text.ptr + i, len});
		buf_addc(&b, '\n');
		i += len + 1;
	}
	code = send_out(&b);
	buf_release(&b);
	return code;
}

int out_json(struct span json)
{
	struct buf b;
	int code;

	buf_init(&b, OUT_MAX);
	out_add_json(&b, json);
	buf_addc(&b, '\n');
	code = send_out(&b);
	buf_release(&b);
	return code;
}

int out_done(bool json, const char *fmt, ...)
{
	va_list ap;

	if (json) {
		fputs("{\"ok\":true}", stdout);
	} else {
		va_start(ap, fmt);
		vfprintf(stdout, fmt, ap);
		va_end(ap);
	}
	fputc('\n', stdout);
	return fflush(stdout) == 0 ? EXIT_DONE : out_fail(EXIT_FAILED, NULL, "cannot write to stdout");
}

int out_fail(int code, const char *verb, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "shoal%s%s: ", verb ? " " : "", verb ? verb : "");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return code;
}
