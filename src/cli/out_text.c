/* What a terminal may show of texts, and how wide it is there. */
#include "shoal/base/shown.h"
#include "shoal/base/str.h"
#include "shoal/cli/out_parts.h"

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

/* Bytes of as much of s as fits into `most` columns; *width: the columns that they take. */
static size_t fit(struct span s, size_t most, size_t *width)
{
	size_t i = 0;

	*width = 0;
	while (i < s.len) {
		size_t n = utf8_char_len(s.ptr + i, s.len - i), w = n ? char_width(utf8_code(s.ptr + i, n)) : 1;

		if (*width + w > most)
			break;
		*width += w;
		i += n ? n : 1;
	}
	return i;
}

size_t out_width(struct span s)
{
	size_t width;

	fit(s, SIZE_MAX, &width);
	return width;
}

struct span out_cut(struct span s, size_t width)
{
	size_t taken;

	return (struct span){s.ptr, fit(s, width, &taken)};
}

void out_add_visible(struct buf *b, struct span s)
{
	for (size_t i = 0; i < s.len;) {
		size_t n = utf8_char_len(s.ptr + i, s.len - i);

		if (s.ptr[i] == '\n' || s.ptr[i] == '\r' || s.ptr[i] == '\t')
			buf_addc(b, ' ');
		else if (n == 0 || char_is_unseen(s.ptr + i, n))
			buf_adds(b, "\xEF\xBF\xBD");
		else
			buf_add(b, s.ptr + i, n);
		i += n ? n : 1;
	}
}

void out_add_json(struct buf *b, struct span json)
{
	for (size_t i = 0; i < json.len;) {
		size_t n = utf8_char_len(json.ptr + i, json.len - i);

		if (n > 1 && char_is_unseen(json.ptr + i, n))
			buf_addf(b, "\\u%04x", utf8_code(json.ptr + i, n));
		else
			buf_add(b, json.ptr + i, n ? n : 1);
		i += n ? n : 1;
	}
}

const char *out_plain(struct arena *a, const char *text)
{
	struct buf b;
	const char *plain;

	buf_init(&b, OUT_MAX);
	out_add_visible(&b, span_of(text));
	plain = arena_span(a, buf_span(&b)).ptr;
	buf_release(&b);
	return plain;
}
