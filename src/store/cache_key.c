#include "shoal/store/cache_key.h"

#include <stdio.h>
#include <string.h>

#include "shoal/base/err.h"

bool cache_key_valid(struct span key)
{
	return key.len > 0 && key.len <= CACHE_KEY_BYTES && !memchr(key.ptr, 0, key.len) && utf8_valid(key);
}

static struct span put(char *out, const char *part, const char *kind, struct span key)
{
	int n = snprintf(out, CACHE_NAME_BYTES, "shoal:{cache}:%s%s%s%.*s", part, kind, key.ptr ? ":" : "",
	                 (int)key.len, key.ptr ? key.ptr : "");

	ENSURE(n > 0 && n < CACHE_NAME_BYTES);
	return (struct span){out, (size_t)n};
}

struct span cache_key_value(char *out, enum cache_kind kind, struct span key)
{
	ENSURE(cache_key_valid(key));
	return put(out, "v:", cache_defs[kind].name, key);
}

struct span cache_key_lease(char *out, enum cache_kind kind, struct span key)
{
	ENSURE(cache_key_valid(key));
	return put(out, "l:", cache_defs[kind].name, key);
}

struct span cache_key_generation(char *out, enum cache_kind kind)
{
	return put(out, "v:", cache_defs[kind].name, (struct span){0});
}

struct span cache_key_other(char *out, const char *part, struct span x)
{
	return put(out, "", part, x);
}

enum cache_key_is cache_key_read(struct span name, enum cache_kind *kind, struct span *rest)
{
	size_t skip = strlen(CACHE_TRACKED);
	struct span word;
	const char *colon;

	if (!span_starts(name, CACHE_TRACKED))
		return CACHE_KEY_ALIEN;
	word = (struct span){name.ptr + skip, name.len - skip};
	colon = memchr(word.ptr, ':', word.len);
	*rest = (struct span){0};
	if (colon) {
		*rest = (struct span){colon + 1, (size_t)(word.ptr + word.len - colon - 1)};
		word.len = (size_t)(colon - word.ptr);
	}
	if (span_is(word, "fence"))
		return colon ? CACHE_KEY_FENCE : CACHE_KEY_ALIEN;
	if (!cache_kind_find(word, kind))
		return CACHE_KEY_ALIEN;
	return colon ? CACHE_KEY_VALUE : CACHE_KEY_GENERATION;
}
