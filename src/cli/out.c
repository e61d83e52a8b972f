#include "shoal/cli/out.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shoal/base/args.h"
#include "shoal/base/clock.h"
#include "shoal/base/err.h"
#include "shoal/base/json.h"

enum { MAX_OUTPUT = 1 << 30, GAP = 2 };

struct out_cell {
	bool null;
	struct span text; /* OUT_TEXT, OUT_JSON, OUT_TIME */
	int64_t i;        /* OUT_INT, OUT_ID, OUT_BOOL */
	double num;
};

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
	add_cell(o, 1u << OUT_TEXT | 1u << OUT_JSON, (struct out_cell){.text = arena_span(&o->arena, s)});
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
	buf_addc(b, '\n');
}

/* --- for people */

static unsigned decode(const char *p, size_t n)
{
	unsigned c = (unsigned char)p[0];

	if (n == 1)
		return c;
	c &= 0xFFu >> (n + 1);
	for (size_t i = 1; i < n; i++)
		c = c << 6 | ((unsigned char)p[i] & 0x3F);
	return c;
}

struct range {
	unsigned first, last;
	size_t width;
};

/* Enough of Unicode's widths for names and texts: what is not here takes one column. */
static const struct range widths[] = {
    {0x0300, 0x036F, 0},   {0x0483, 0x0489, 0},   {0x0591, 0x05BD, 0},   {0x0610, 0x061A, 0},   {0x064B, 0x065F, 0},
    {0x0E31, 0x0E31, 0},   {0x0E34, 0x0E3A, 0},   {0x0E47, 0x0E4E, 0},   {0x1100, 0x115F, 2},   {0x1AB0, 0x1AFF, 0},
    {0x1DC0, 0x1DFF, 0},   {0x200B, 0x200F, 0},   {0x202A, 0x202E, 0},   {0x2060, 0x2064, 0},   {0x20D0, 0x20FF, 0},
    {0x231A, 0x231B, 2},   {0x23E9, 0x23EC, 2},   {0x25FD, 0x25FE, 2},   {0x2614, 0x2615, 2},   {0x2648, 0x2653, 2},
    {0x26A1, 0x26A1, 2},   {0x26BD, 0x26BE, 2},   {0x2705, 0x2705, 2},   {0x2728, 0x2728, 2},   {0x274C, 0x274C, 2},
    {0x2753, 0x2757, 2},   {0x2B50, 0x2B50, 2},   {0x2E80, 0x303E, 2},   {0x3041, 0xA4CF, 2},   {0xA960, 0xA97F, 2},
    {0xAC00, 0xD7A3, 2},   {0xF900, 0xFAFF, 2},   {0xFE00, 0xFE0F, 0},   {0xFE20, 0xFE2F, 0},   {0xFE30, 0xFE6F, 2},
    {0xFEFF, 0xFEFF, 0},   {0xFF01, 0xFF60, 2},   {0xFFE0, 0xFFE6, 2},   {0x1F18E, 0x1F18E, 2}, {0x1F191, 0x1F19A, 2},
    {0x1F200, 0x1F64F, 2}, {0x1F680, 0x1F6FF, 2}, {0x1F900, 0x1FAFF, 2}, {0x20000, 0x3FFFD, 2}, {0xE0001, 0xE01EF, 0},
};

static size_t char_width(unsigned c)
{
	size_t low = 0, high = sizeof(widths) / sizeof(widths[0]);

	if (c < 0x300)
		return 1;
	while (low < high) {
		size_t middle = (low + high) / 2;

		if (c > widths[middle].last)
			low = middle + 1;
		else
			high = middle;
	}
	return low < sizeof(widths) / sizeof(widths[0]) && c >= widths[low].first ? widths[low].width : 1;
}

size_t out_width(struct span s)
{
	size_t width = 0;

	for (size_t i = 0; i < s.len;) {
		size_t n = utf8_char_len(s.ptr + i, s.len - i);

		width += n ? char_width(decode(s.ptr + i, n)) : 1;
		i += n ? n : 1;
	}
	return width;
}

/* One line, and nothing that a terminal would obey: names and texts come from strangers. */
static void add_visible(struct buf *b, struct span s)
{
	for (size_t i = 0; i < s.len;) {
		size_t n = utf8_char_len(s.ptr + i, s.len - i);
		unsigned c = n ? decode(s.ptr + i, n) : 0xFFFD;

		if (c == '\n' || c == '\r' || c == '\t')
			buf_addc(b, ' ');
		else if (c < 0x20 || (c >= 0x7F && c < 0xA0) || (c >= 0x202A && c <= 0x202E) ||
		         (c >= 0x2066 && c <= 0x2069) || n == 0)
			buf_adds(b, "\xEF\xBF\xBD");
		else
			buf_add(b, s.ptr + i, n);
		i += n ? n : 1;
	}
}

static void add_plain(struct buf *b, const struct out_cell *cell, enum out_type type)
{
	if (cell->null) {
		buf_addc(b, '-');
		return;
	}
	switch (type) {
	case OUT_TEXT:
	case OUT_TIME:
	case OUT_JSON: add_visible(b, cell->text); break;
	case OUT_INT:
	case OUT_ID: buf_add_i64(b, cell->i); break;
	case OUT_NUM: buf_addf(b, "%.10g", cell->num); break;
	case OUT_BOOL: buf_adds(b, cell->i ? "yes" : "no"); break;
	}
}

/* "user_count" -> "USER COUNT" in a table's head, "user count" beside one value */
static void add_title(struct buf *b, const char *name, bool capitals)
{
	for (; *name; name++)
		buf_addc(b, *name == '_' ? ' ' : capitals && *name >= 'a' && *name <= 'z' ? (char)(*name - 32) : *name);
}

static void add_padding(struct buf *b, size_t n)
{
	while (n-- > 0)
		buf_addc(b, ' ');
}

static bool to_the_right(enum out_type type)
{
	return type == OUT_INT || type == OUT_ID || type == OUT_NUM;
}

/* Everything as text first, the head as row 0: widths are known only at the end. */
static struct span *table_texts(struct out *o)
{
	struct span *texts = arena_array(&o->arena, struct span, (o->nrows + 1) * o->ncols);
	struct buf b;

	buf_init(&b, MAX_OUTPUT);
	for (size_t i = 0; i < (o->nrows + 1) * o->ncols; i++) {
		const struct out_col *col = &o->cols[i % o->ncols];

		buf_clear(&b);
		if (i < o->ncols)
			add_title(&b, col->name, o->form == OUT_LIST);
		else
			add_plain(&b, &o->cells[i - o->ncols], col->type);
		texts[i] = arena_span(&o->arena, buf_span(&b));
	}
	buf_release(&b);
	return texts;
}

static void print_table(struct out *o, struct buf *b)
{
	struct span *texts = table_texts(o);
	size_t *width = arena_array(&o->arena, size_t, o->ncols);

	for (size_t i = 0; i < (o->nrows + 1) * o->ncols; i++) {
		size_t w = out_width(texts[i]);

		if (w > width[i % o->ncols])
			width[i % o->ncols] = w;
	}
	for (size_t i = 0; i < (o->nrows + 1) * o->ncols; i++) {
		size_t col = i % o->ncols, pad = width[col] - out_width(texts[i]);
		bool right = to_the_right(o->cols[col].type), last = col + 1 == o->ncols;

		if (right)
			add_padding(b, pad);
		buf_add(b, texts[i].ptr, texts[i].len);
		if (!last)
			add_padding(b, GAP + (right ? 0 : pad));
		else
			buf_addc(b, '\n');
	}
}

static void print_one(struct out *o, struct buf *b)
{
	struct span *texts = table_texts(o);
	size_t width = 0;

	for (size_t col = 0; col < o->ncols; col++) {
		if (out_width(texts[col]) > width)
			width = out_width(texts[col]);
	}
	for (size_t col = 0; col < o->ncols; col++) {
		buf_add(b, texts[col].ptr, texts[col].len);
		add_padding(b, GAP + width - out_width(texts[col]));
		buf_add(b, texts[o->ncols + col].ptr, texts[o->ncols + col].len);
		buf_addc(b, '\n');
	}
}

/* --- out of the door */

static int send_out(const struct buf *b)
{
	if (b->failed)
		return out_fail(EXIT_FAILED, NULL, "the listing is too long (over %d bytes)", MAX_OUTPUT);
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
	buf_init(&b, MAX_OUTPUT);
	if (o->json)
		print_json(o, &b);
	else if (o->form == OUT_ONE)
		print_one(o, &b);
	else if (o->nrows > 0)
		print_table(o, &b);
	else if (empty)
		fprintf(stderr, "%s\n", empty);
	code = send_out(&b);
	buf_release(&b);
	free(o->cells);
	arena_release(&o->arena);
	return code;
}

const char *out_plain(struct arena *a, const char *text)
{
	struct buf b;
	const char *plain;

	buf_init(&b, MAX_OUTPUT);
	add_visible(&b, span_of(text));
	plain = arena_span(a, buf_span(&b)).ptr;
	buf_release(&b);
	return plain;
}

int out_lines(struct span text)
{
	struct buf b;
	int code;

	buf_init(&b, MAX_OUTPUT);
	for (size_t i = 0; i < text.len;) {
		const char *end = memchr(text.ptr + i, '\n', text.len - i);
		size_t len = end ? (size_t)(end - text.ptr) - i : text.len - i;

		add_visible(&b, (struct span){text.ptr + i, len});
		buf_addc(&b, '\n');
		i += len + 1;
	}
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
