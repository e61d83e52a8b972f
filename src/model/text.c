#include <string.h>
#include <strings.h>

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

/* White space and other characters without ink of their own beyond ASCII, as ranges of UTF-8 sequences of one length.
 */
static const struct {
	const char *first, *last;
} blanks[] = {
    {"\xc2\x80", "\xc2\xa0"},                 /* U+0080: C1 controls, no-break space */
    {"\xc2\xad", "\xc2\xad"},                 /* U+00AD: soft hyphen */
    {"\xcc\x80", "\xcd\xaf"},                 /* U+0300: combining marks, the grapheme joiner among them */
    {"\xd2\x83", "\xd2\x89"},                 /* U+0483: combining Cyrillic */
    {"\xd8\x9c", "\xd8\x9c"},                 /* U+061C: Arabic letter mark */
    {"\xe1\x85\x9f", "\xe1\x85\xa0"},         /* U+115F: Hangul fillers */
    {"\xe1\x9a\x80", "\xe1\x9a\x80"},         /* U+1680: ogham space */
    {"\xe1\x9e\xb4", "\xe1\x9e\xb5"},         /* U+17B4: inherent Khmer vowels */
    {"\xe1\xa0\x8b", "\xe1\xa0\x8f"},         /* U+180B: Mongolian selectors, vowel separator */
    {"\xe1\xaa\xb0", "\xe1\xab\xbf"},         /* U+1AB0: combining marks */
    {"\xe1\xb7\x80", "\xe1\xb7\xbf"},         /* U+1DC0: the same */
    {"\xe2\x80\x80", "\xe2\x80\x8f"},         /* U+2000: spaces, zero width, direction marks */
    {"\xe2\x80\xa8", "\xe2\x80\xaf"},         /* U+2028: separators, embeddings and overrides */
    {"\xe2\x81\x9f", "\xe2\x81\xaf"},         /* U+205F: more of those */
    {"\xe2\x83\x90", "\xe2\x83\xbf"},         /* U+20D0: combining marks for symbols */
    {"\xe2\xa0\x80", "\xe2\xa0\x80"},         /* U+2800: Braille without a dot */
    {"\xe3\x80\x80", "\xe3\x80\x80"},         /* U+3000: ideographic space */
    {"\xe3\x85\xa4", "\xe3\x85\xa4"},         /* U+3164: Hangul filler */
    {"\xef\xb8\x80", "\xef\xb8\x8f"},         /* U+FE00: variation selectors */
    {"\xef\xb8\xa0", "\xef\xb8\xaf"},         /* U+FE20: combining half marks */
    {"\xef\xbb\xbf", "\xef\xbb\xbf"},         /* U+FEFF: zero width */
    {"\xef\xbe\xa0", "\xef\xbe\xa0"},         /* U+FFA0: halfwidth Hangul filler */
    {"\xef\xbf\xb9", "\xef\xbf\xbb"},         /* U+FFF9: annotations */
    {"\xf3\xa0\x80\x80", "\xf3\xa0\xbf\xbf"}, /* U+E0000: tags, more variation selectors */
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

bool text_is_language(const char *tag, const char *language)
{
	size_t len = tag ? strcspn(tag, "-_") : 0;

	return len > 0 && len == strlen(language) && strncasecmp(tag, language, len) == 0;
}
