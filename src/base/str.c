#include "shoal/base/str.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shoal/base/arena.h"
#include "shoal/base/err.h"

bool span_eq(struct span a, struct span b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool span_is(struct span a, const char *s)
{
	return span_eq(a, span_of(s));
}

bool span_starts(struct span a, const char *prefix)
{
	size_t len = strlen(prefix);

	return a.len >= len && (len == 0 || memcmp(a.ptr, prefix, len) == 0);
}

bool span_i64(struct span s, int64_t *out)
{
	bool negative = s.len > 0 && s.ptr[0] == '-';
	int64_t v = 0;
	size_t i = negative;

	if (i == s.len)
		return false;
	/* Counted downwards: the range below zero is the larger one. */
	for (; i < s.len; i++) {
		if (s.ptr[i] < '0' || s.ptr[i] > '9')
			return false;
		if (__builtin_mul_overflow(v, (int64_t)10, &v) ||
		    __builtin_sub_overflow(v, (int64_t)(s.ptr[i] - '0'), &v))
			return false;
	}
	if (!negative && v == INT64_MIN)
		return false;
	*out = negative ? v : -v;
	return true;
}

/* Backwards from end; returns where it begins. */
static char *put_i64(char *end, int64_t v)
{
	uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;

	for (; u >= 100; u /= 100) {
		unsigned two = (unsigned)(u % 100);

		*--end = (char)('0' + two % 10);
		*--end = (char)('0' + two / 10);
	}
	if (u >= 10)
		*--end = (char)('0' + u % 10);
	*--end = (char)('0' + (u >= 10 ? u / 10 : u));
	if (v < 0)
		*--end = '-';
	return end;
}

struct span i64_text(char *out, int64_t v)
{
	char digits[I64_TEXT_LEN], *end = digits + sizeof(digits), *p = put_i64(end, v);

	memcpy(out, p, (size_t)(end - p));
	out[end - p] = '\0';
	return (struct span){out, (size_t)(end - p)};
}

void buf_init(struct buf *b, size_t max)
{
	*b = (struct buf){.max = max};
}

void buf_release(struct buf *b)
{
	free(b->ptr);
	buf_init(b, b->max);
}

void buf_clear(struct buf *b)
{
	b->len = 0;
	b->failed = false;
	if (b->ptr)
		b->ptr[0] = '\0';
}

static __attribute__((noinline)) bool buf_grow(struct buf *b, size_t need)
{
	size_t cap = b->cap ? b->cap : 256; /* most texts are longer than 64 */

	while (cap < need)
		cap = cap > SIZE_MAX / 2 ? need : cap * 2;
	b->ptr = mem_realloc(b->ptr, cap);
	b->cap = cap;
	return true;
}

/* Room for len more bytes and a NUL; false (and sticky) when that is beyond the maximum. */
static inline bool buf_room(struct buf *b, size_t len)
{
	if (b->failed || len > b->max - b->len) {
		b->failed = true;
		return false;
	}
	return b->len + len < b->cap || buf_grow(b, b->len + len + 1);
}

char *buf_extend(struct buf *b, size_t len)
{
	if (!buf_room(b, len))
		return NULL;
	b->len += len;
	b->ptr[b->len] = '\0';
	return b->ptr + b->len - len;
}

void buf_add(struct buf *b, const void *p, size_t len)
{
	if (!buf_room(b, len))
		return;
	if (len)
		memcpy(b->ptr + b->len, p, len);
	b->len += len;
	b->ptr[b->len] = '\0';
}

void buf_adds(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void buf_addc(struct buf *b, char c)
{
	if (!buf_room(b, 1))
		return;
	b->ptr[b->len++] = c;
	b->ptr[b->len] = '\0';
}

void buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	ENSURE(len >= 0);
	if (!buf_room(b, (size_t)len))
		return;
	va_start(ap, fmt);
	vsnprintf(b->ptr + b->len, (size_t)len + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)len;
}

void buf_add_i64(struct buf *b, int64_t v)
{
	char digits[I64_TEXT_LEN], *end = digits + sizeof(digits), *p = put_i64(end, v);

	buf_add(b, p, (size_t)(end - p));
}

struct span buf_span(const struct buf *b)
{
	return (struct span){b->ptr, b->len};
}

/* Bytes per lead byte, and the range of the second byte, which is where overlong forms, surrogates and values
 * beyond U+10FFFF show (Unicode, table 3-7). */
size_t utf8_char_len(const char *text, size_t len)
{
	const unsigned char *p = (const unsigned char *)text;
	unsigned char low = 0x80, high = 0xBF;
	size_t n;

	if (len == 0)
		return 0;
	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xC2 || p[0] > 0xF4)
		return 0;
	n = p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;
	if (n > len)
		return 0;
	if (p[0] == 0xE0)
		low = 0xA0;
	else if (p[0] == 0xED)
		high = 0x9F;
	else if (p[0] == 0xF0)
		low = 0x90;
	else if (p[0] == 0xF4)
		high = 0x8F;
	if (p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++) {
		if ((p[i] & 0xC0) != 0x80)
			return 0;
	}
	return n;
}

unsigned utf8_code(const char *p, size_t n)
{
	unsigned c = (unsigned char)p[0];

	if (n == 1)
		return c;
	c &= 0xFFu >> (n + 1);
	for (size_t i = 1; i < n; i++)
		c = c << 6 | ((unsigned char)p[i] & 0x3F);
	return c;
}

bool utf8_valid(struct span s)
{
	size_t i = 0;

	while (i < s.len) {
		uint64_t eight;
		size_t n;

		if (s.len - i >= sizeof(eight)) {
			memcpy(&eight, s.ptr + i, sizeof(eight));
			if (!(eight & 0x8080808080808080u)) {
				i += sizeof(eight);
				continue;
			}
		}
		n = utf8_char_len(s.ptr + i, s.len - i);
		if (n == 0)
			return false;
		i += n;
	}
	return true;
}

void buf_add_utf8(struct buf *b, struct span s)
{
	if (utf8_valid(s)) {
		buf_add(b, s.ptr, s.len);
		return;
	}
	for (size_t i = 0; i < s.len;) {
		size_t n = utf8_char_len(s.ptr + i, s.len - i);

		if (n)
			buf_add(b, s.ptr + i, n);
		else
			buf_adds(b, "\xEF\xBF\xBD");
		i += n ? n : 1;
	}
}

/* Units that the character with this lead byte takes in UTF-16; 0 for a continuation byte. */
static size_t utf16_units(unsigned char lead)
{
	return (lead & 0xC0) == 0x80 ? 0 : lead >= 0xF0 ? 2 : 1;
}

size_t utf8_chars(struct span s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.len; i++)
		n += utf16_units((unsigned char)s.ptr[i]) > 0;
	return n;
}

size_t utf8_utf16_len(struct span s)
{
	size_t units = 0;

	for (size_t i = 0; i < s.len; i++)
		units += utf16_units((unsigned char)s.ptr[i]);
	return units;
}

struct span utf8_prefix_utf16(struct span s, size_t units)
{
	for (size_t i = 0; i < s.len; i++) {
		size_t n = utf16_units((unsigned char)s.ptr[i]);

		if (n > units)
			return (struct span){s.ptr, i};
		units -= n;
	}
	return s;
}
