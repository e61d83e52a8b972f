/* Rows as text: a table, or "name  value" lines of one row. */
#include "shoal/cli/out_parts.h"

enum { GAP = 2, CELL_WIDTH = 64 };

static void add_plain(struct buf *b, const struct out_cell *cell, enum out_type type)
{
	if (cell->null) {
		buf_addc(b, '-');
		return;
	}
	switch (type) {
	case OUT_TEXT:
	case OUT_KEY:
	case OUT_TIME:
	case OUT_JSON: out_add_visible(b, cell->text); break;
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

/* One long name would push all that stands beside it, in every row, out of sight. */
static struct span in_column(struct arena *a, struct span s)
{
	if (out_width(s) <= CELL_WIDTH)
		return arena_span(a, s);
	s = out_cut(s, CELL_WIDTH - 1);
	return span_of(arena_printf(a, "%.*s\xE2\x80\xA6", (int)s.len, s.ptr));
}

/* Everything as text first, the head as row 0: widths are known only at the end. */
static struct span *table_texts(struct out *o)
{
	struct span *texts = arena_array(&o->arena, struct span, (o->nrows + 1) * o->ncols);
	struct buf b;
	bool whole;

	buf_init(&b, OUT_MAX);
	for (size_t i = 0; i < (o->nrows + 1) * o->ncols; i++) {
		const struct out_col *col = &o->cols[i % o->ncols];

		buf_clear(&b);
		if (i < o->ncols)
			add_title(&b, col->name, o->form == OUT_LIST);
		else
			add_plain(&b, &o->cells[i - o->ncols], col->type);
		whole = o->form == OUT_ONE || col->type == OUT_KEY || i % o->ncols + 1 == o->ncols;
		texts[i] = whole ? arena_span(&o->arena, buf_span(&b)) : in_column(&o->arena, buf_span(&b));
	}
	buf_release(&b);
	return texts;
}

void out_put_table(struct out *o, struct buf *b)
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

void out_put_one(struct out *o, struct buf *b)
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
