/* Text: views (struct span) and bounded growing buffers (struct buf). */
#ifndef SHOAL_BASE_STR_H
#define SHOAL_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A view of bytes owned by someone else. Not necessarily NUL-terminated; ptr may be NULL when len is 0. */
struct span {
	const char *ptr;
	size_t len;
};

#define SPAN(literal) ((struct span){("" literal), sizeof(literal) - 1})
static inline struct span span_of(const char *s) /* NULL gives the empty span */
{
	return (struct span){s, s ? strlen(s) : 0};
}
bool span_eq(struct span a, struct span b);
bool span_is(struct span a, const char *s);
bool span_starts(struct span a, const char *prefix);

/* The whole span as a decimal int64, optional leading '-'; false for anything else, overflow included. */
bool span_i64(struct span s, int64_t *out) __attribute__((warn_unused_result));
/* The way back, into I64_TEXT_LEN bytes that the span views; NUL-terminated. */
#define I64_TEXT_LEN 21
struct span i64_text(char *out, int64_t v);

/* A growing buffer with a maximum set at its birth. It fails stickily: after the first addition that does not
 * fit, `failed` stays true, nothing more is added, and the caller checks once at the end. A cut-off text is
 * never used. ptr is NUL-terminated once anything was added. */
struct buf {
	char *ptr;
	size_t len, cap, max;
	bool failed;
};

void buf_init(struct buf *b, size_t max);
void buf_release(struct buf *b);
void buf_clear(struct buf *b); /* keeps the memory, forgets content and failure */
void buf_add(struct buf *b, const void *p, size_t len);
void buf_adds(struct buf *b, const char *s);
void buf_addc(struct buf *b, char c);
void buf_addf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_add_i64(struct buf *b, int64_t v);
/* len bytes more, for the caller to write at once; NULL when they do not fit. */
char *buf_extend(struct buf *b, size_t len) __attribute__((warn_unused_result));
struct span buf_span(const struct buf *b);

/* UTF-8: true when all of s is well-formed (no surrogates, no overlong forms, <= U+10FFFF). */
bool utf8_valid(struct span s);
/* Bytes of the well-formed character at the start of the len bytes at text, 0 if there is none. */
size_t utf8_char_len(const char *text, size_t len);
/* The code point of the well-formed character of n bytes at p. */
unsigned utf8_code(const char *p, size_t n);
/* Appends s with every ill-formed byte replaced by U+FFFD. */
void buf_add_utf8(struct buf *b, struct span s);
/* Length in characters (code points). s must be valid. */
size_t utf8_chars(struct span s);
/* Length in UTF-16 code units, which is how Telegram counts text (Bot API, "MessageEntity"). s must be valid. */
size_t utf8_utf16_len(struct span s);
/* Longest prefix of s that has at most `units` UTF-16 units and does not cut a character. */
struct span utf8_prefix_utf16(struct span s, size_t units);

#endif
