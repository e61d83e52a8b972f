#include <string.h>

#include "shoal/model/decision.h"

static const char *entity_of(char c)
{
	switch (c) {
	case '&': return "&amp;";
	case '<': return "&lt;";
	case '>': return "&gt;";
	case '"': return "&quot;";
	default: return NULL;
	}
}

char *text_escape(struct arena *a, const char *s)
{
	size_t len = 0;
	char *out, *at;

	for (const char *p = s; *p; p++) {
		const char *entity = entity_of(*p);

		len += entity ? strlen(entity) : 1;
	}
	out = at = arena_alloc(a, len + 1);
	for (const char *p = s; *p; p++) {
		const char *entity = entity_of(*p);
		size_t n = entity ? strlen(entity) : 1;

		memcpy(at, entity ? entity : p, n);
		at += n;
	}
	return out;
}

char *text_fit(struct arena *a, const char *s, size_t utf16_units)
{
	static const char ellipsis[] = "…";
	struct span all = span_of(s), head;
	char *out;

	if (utf8_utf16_len(all) <= utf16_units)
		return arena_strdup(a, s);
	if (utf16_units == 0)
		return arena_strdup(a, "");
	head = utf8_prefix_utf16(all, utf16_units - 1);
	out = arena_alloc(a, head.len + sizeof(ellipsis));
	memcpy(out, head.ptr, head.len);
	memcpy(out + head.len, ellipsis, sizeof(ellipsis));
	return out;
}

/* White space and other characters without ink beyond ASCII, as ranges of UTF-8 sequences. */
static const struct {
	const char *first, *last;
} blanks[] = {
    {"\xc2\x80", "\xc2\xa0"},         /* C1 controls, no-break space */
    {"\xc2\xad", "\xc2\xad"},         /* soft hyphen */
    {"\xe1\x9a\x80", "\xe1\x9a\x80"}, /* U+1680 */
    {"\xe1\xa0\x8e", "\xe1\xa0\x8e"}, /* U+180E */
    {"\xe2\x80\x80", "\xe2\x80\x8f"}, /* U+2000 to U+200F: spaces, zero width, direction marks */
    {"\xe2\x80\xa8", "\xe2\x80\xaf"}, /* U+2028 to U+202F */
    {"\xe2\x81\x9f", "\xe2\x81\xaf"}, /* U+205F to U+206F */
    {"\xe3\x80\x80", "\xe3\x80\x80"}, /* ideographic space */
    {"\xef\xbb\xbf", "\xef\xbb\xbf"}, /* U+FEFF */
};

static bool char_blank(const char *s, size_t n)
{
	if (n == 1)
		return (unsigned char)*s <= ' ' || *s == 0x7f;
	for (size_t i = 0; i < sizeof(blanks) / sizeof(blanks[0]); i++) {
		if (strlen(blanks[i].first) == n && memcmp(s, blanks[i].first, n) >= 0 &&
		    memcmp(s, blanks[i].last, n) <= 0)
			return true;
	}
	return false;
}

bool text_blank(const char *s)
{
	size_t left = s ? strlen(s) : 0;

	while (left > 0) {
		size_t n = utf8_char_len(s, left);

		if (n == 0 || !char_blank(s, n))
			return false;
		s += n;
		left -= n;
	}
	return true;
}

/* What moves the text around it, as ranges of UTF-8 sequences. */
static const struct {
	const char *first, *last;
} unruly[] = {
    {"\xc2\x80", "\xc2\x9f"},         /* C1 controls */
    {"\xd8\x9c", "\xd8\x9c"},         /* U+061C: Arabic letter mark */
    {"\xe2\x80\x8e", "\xe2\x80\x8f"}, /* direction marks */
    {"\xe2\x80\xa8", "\xe2\x80\xae"}, /* line separators, embeddings and overrides */
    {"\xe2\x81\xa6", "\xe2\x81\xa9"}, /* isolates */
};

static bool char_unruly(const char *s, size_t n, bool lines)
{
	if (n == 1)
		return ((unsigned char)*s < ' ' && !(lines && *s == '\n')) || *s == 0x7f;
	for (size_t i = 0; i < sizeof(unruly) / sizeof(unruly[0]); i++) {
		if (strlen(unruly[i].first) == n && memcmp(s, unruly[i].first, n) >= 0 &&
		    memcmp(s, unruly[i].last, n) <= 0)
			return true;
	}
	return false;
}

char *text_tame(struct arena *a, const char *s, bool lines)
{
	size_t left = strlen(s);
	char *out = arena_alloc(a, left + 1), *at = out;

	while (left > 0) {
		size_t n = utf8_char_len(s, left);

		n = n ? n : 1;
		if (!char_unruly(s, n, lines)) {
			memcpy(at, s, n);
			at += n;
		} else if (n == 1) {
			*at++ = ' ';
		}
		s += n;
		left -= n;
	}
	return out;
}

/* The end of the tag or entity that begins at p, or NULL where p begins neither. */
static const char *markup_end(const char *p)
{
	const char *end = *p == '<' ? strchr(p, '>') : *p == '&' ? strchr(p, ';') : NULL;

	return end && end - p < 512 ? end + 1 : NULL;
}

size_t text_html_units(const char *html)
{
	size_t units = 0;

	for (const char *p = html; *p;) {
		const char *end = markup_end(p);

		if (end) {
			units += *p == '&';
			p = end;
		} else {
			size_t n = strcspn(p + 1, "<&") + 1;

			units += utf8_utf16_len((struct span){p, n});
			p += n;
		}
	}
	return units;
}
