#include "shoal/gateway/suggest.h"

#include <string.h>
#include <strings.h>

enum { BY_CODE, BY_NAME, BY_WORD, BY_PART, NO_FIT };

/* U+00C0 to U+00FF without their accents; what has no letter of its own stays. */
static const char latin[] = "aaaaaaaceeeeiiiidnooooo*ouuuuytsaaaaaaaceeeeiiiidnooooo*ouuuuyty";

/* Lower case, without accents; one byte or two become one. */
static const char *folded(const char *s, struct arena *a)
{
	char *out = arena_alloc(a, strlen(s) + 1), *to = out;

	for (; *s; s++) {
		unsigned char next = (unsigned char)s[1];

		if ((unsigned char)*s == 0xc3 && next >= 0x80 && latin[next - 0x80] != '*') {
			*to++ = latin[next - 0x80];
			s++;
		} else {
			*to++ = *s >= 'A' && *s <= 'Z' ? (char)(*s - 'A' + 'a') : *s;
		}
	}
	return out;
}

static int fit(const struct static_row *row, const char *typed, struct arena *a)
{
	const char *name = folded(row->name, a), *at;

	if (strcmp(folded(row->code, a), typed) == 0)
		return BY_CODE;
	at = strstr(name, typed);
	if (!at)
		return strstr(folded(row->code, a), typed) ? BY_PART : NO_FIT;
	if (at == name)
		return BY_NAME;
	for (; at; at = strstr(at + 1, typed)) {
		if (at[-1] == ' ' || at[-1] == '-')
			return BY_WORD;
	}
	return BY_PART;
}

static const char *label_of(const struct static_row *row, const char *before, struct arena *a)
{
	const char *name = row->name[0] ? row->name : row->code;

	return row->game ? arena_printf(a, "%s%s (%s)", before, name, row->game)
	                 : arena_printf(a, "%s%s", before, name);
}

/* Codes that stand in front of the one that is being typed, with a blank behind them. */
static const char *split(const char **typed, struct arena *a)
{
	const char *last = strrchr(*typed, ' ');
	const char *before;

	if (!last)
		return "";
	before = arena_strndup(a, *typed, (size_t)(last + 1 - *typed));
	*typed = last + 1;
	return before;
}

static bool is_code(const struct static_table *t, const char *word, size_t len)
{
	for (size_t i = 0; i < t->n; i++) {
		const struct static_row *row = &t->rows[i];

		if (row->active && strlen(row->code) == len && strncasecmp(row->code, word, len) == 0)
			return true;
	}
	return false;
}

/* Else whatever follows them would be refused with them. */
static bool all_codes(const struct static_table *t, const char *words)
{
	for (const char *at = words + strspn(words, " ,"); *at; at += strspn(at, " ,")) {
		size_t n = strcspn(at, " ,");

		if (!is_code(t, at, n))
			return false;
		at += n;
	}
	return true;
}

struct discord_choices suggest(const struct static_table *t, const struct form_field *f, const char *typed,
                               struct arena *a)
{
	const char *before = f->several ? split(&typed, a) : "";
	struct choice *v = arena_array(a, struct choice, CHOICES_MAX);
	unsigned char *fits = arena_alloc(a, t->n + 1);
	struct discord_choices c = {0, v};

	if (!all_codes(t, before))
		return c;
	typed = folded(typed, a);
	for (size_t i = 0; i < t->n; i++)
		fits[i] = t->rows[i].active ? (unsigned char)fit(&t->rows[i], typed, a) : NO_FIT;
	for (unsigned how = BY_CODE; how < NO_FIT; how++) {
		for (size_t i = 0; i < t->n && c.n < CHOICES_MAX; i++) {
			const char *value = arena_printf(a, "%s%s", before, t->rows[i].code);

			if (fits[i] == how && utf8_utf16_len(span_of(value)) <= DISCORD_CHOICE_UNITS)
				v[c.n++] = (struct choice){label_of(&t->rows[i], before, a), value};
		}
	}
	return c;
}

struct discord_choices suggest_all(const struct static_table *t, struct arena *a)
{
	struct choice *v = arena_array(a, struct choice, CHOICES_MAX);
	struct discord_choices c = {0, v};

	for (size_t i = 0; i < t->n; i++) {
		if (!t->rows[i].active)
			continue;
		if (c.n == CHOICES_MAX)
			return (struct discord_choices){0};
		v[c.n++] = (struct choice){label_of(&t->rows[i], "", a), t->rows[i].code};
	}
	return c;
}
