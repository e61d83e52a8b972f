#include "shoal/wire/data.h"

#include <string.h>

static bool is_word_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

static bool is_mark(const char *s)
{
	size_t len = strlen(s);

	if (len != UPDATE_MARK_LEN)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!is_word_char(s[i]) || s[i] == '_')
			return false;
	}
	return true;
}

static bool is_word(const char *s)
{
	size_t len = strlen(s);

	for (size_t i = 0; i < len; i++) {
		if (!is_word_char(s[i]))
			return false;
	}
	return len > 0 && len <= DATA_WORD_MAX;
}

void data_read(struct arena *a, struct update *u)
{
	const char *parts[UPDATE_ARGS_MAX + 2]; /* word, args, mark */
	size_t n = 0;
	char *rest = arena_strdup(a, u->data);

	do {
		parts[n++] = rest;
		rest = strchr(rest, ':');
		if (rest)
			*rest++ = 0;
	} while (rest && n < sizeof(parts) / sizeof(parts[0]));
	if (rest || !is_word(parts[0]))
		return;
	if (n > 1 && is_mark(parts[n - 1]))
		u->mark = parts[--n];
	if (n > UPDATE_ARGS_MAX + 1) {
		u->mark = NULL;
		return;
	}
	u->word = parts[0];
	u->nargs = (unsigned)n - 1;
	for (size_t i = 1; i < n; i++)
		u->args[i - 1] = parts[i];
}
