/* Making a value of a cache: one allocation with its head, the member in use, arrays and texts. The caller counts what
 * comes behind the head, then takes exactly that, the most aligned first. */
#ifndef SHOAL_STORE_CACHE_BUILD_H
#define SHOAL_STORE_CACHE_BUILD_H

#include "shoal/store/cache_value.h"

struct cache_build {
	struct cache_value *value;
	char *at, *end;
};

struct cache_build cache_build_begin(enum cache_kind kind, bool found, size_t body);
/* Zeroed. It must be there: a miscount ends the process. */
void *cache_build_take(struct cache_build *b, size_t size) __attribute__((returns_nonnull));
size_t cache_build_text_bytes(const char *s);                       /* NULL takes none */
const char *cache_build_text(struct cache_build *b, const char *s); /* a copy; NULL for NULL */
struct cache_value *cache_build_end(const struct cache_build *b);   /* everything must have been taken */

#endif
