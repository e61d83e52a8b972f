#include "shoal/store/cache_value.h"

#include <stdlib.h>
#include <string.h>

#include "shoal/base/err.h"
#include "shoal/store/cache_build.h"

size_t cache_malloc_bytes(size_t size)
{
	enum { HEAD = 8, UNIT = 16, SMALLEST = 32 };
	size_t bytes = (size + HEAD + UNIT - 1) / UNIT * UNIT;

	return bytes < SMALLEST ? SMALLEST : bytes;
}

/* --- making one */

#define HEAD_BYTES offsetof(struct cache_value, code)
_Static_assert(HEAD_BYTES == offsetof(struct cache_value, directory), "the members begin at one place");

struct cache_build cache_build_begin(enum cache_kind kind, bool found, size_t body)
{
	size_t size = HEAD_BYTES + body;
	struct cache_value *v = mem_zalloc(size);

	v->refs = 1;
	v->kind = kind;
	v->found = found;
	v->bytes = cache_malloc_bytes(size);
	return (struct cache_build){.value = v, .at = (char *)v + HEAD_BYTES, .end = (char *)v + size};
}

void *cache_build_take(struct cache_build *b, size_t size)
{
	char *p = b->at;

	ENSURE(size <= (size_t)(b->end - p));
	b->at += size;
	return p;
}

size_t cache_build_text_bytes(const char *s)
{
	return s ? strlen(s) + 1 : 0;
}

const char *cache_build_text(struct cache_build *b, const char *s)
{
	size_t size = cache_build_text_bytes(s);

	return s ? memcpy(cache_build_take(b, size), s, size) : NULL;
}

struct cache_value *cache_build_end(const struct cache_build *b)
{
	ENSURE(b->at == b->end);
	return b->value;
}

/* --- looking into one */

static int compare_spans(struct span a, struct span b)
{
	size_t len = a.len < b.len ? a.len : b.len;
	int order = len ? memcmp(a.ptr, b.ptr, len) : 0;

	return order ? order : a.len < b.len ? -1 : a.len > b.len;
}

bool directory_has(const struct code_directory *d, struct span code)
{
	size_t low = 0, high = d->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		struct span here = {d->texts + d->starts[mid], d->starts[mid + 1] - d->starts[mid]};
		int order = compare_spans(code, here);

		if (order == 0)
			return true;
		if (order < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return false;
}

const struct static_row *static_find(const struct static_table *t, const char *code)
{
	size_t low = 0, high = t->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const struct static_row *row = &t->rows[t->by_code[mid]];
		int order = strcmp(code, row->code);

		if (order == 0)
			return row;
		if (order < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}

/* --- life */

struct cache_value *cache_value_ref(struct cache_value *v)
{
	v->refs++;
	return v;
}

void cache_value_unref(struct cache_value *v)
{
	if (!v)
		return;
	ENSURE(v->refs > 0);
	if (--v->refs == 0)
		free(v);
}

static void give_back(void *v)
{
	cache_value_unref(v);
}

void cache_value_hold(struct cache_value *v, struct arena *a)
{
	arena_defer(a, give_back, cache_value_ref(v));
}
