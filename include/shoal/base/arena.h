/* Memory named by its lifetime: everything of one job, connection or command lives in one arena and goes at
 * once. Out of memory ends the process (the queue hands its work to others), so nothing here returns NULL. */
#ifndef SHOAL_BASE_ARENA_H
#define SHOAL_BASE_ARENA_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "shoal/base/str.h"

struct arena_block;
struct arena_cleanup;

struct arena {
	struct arena_block *blocks;
	struct arena_cleanup *cleanups;
	size_t bytes; /* held by the blocks */
};

void arena_init(struct arena *a);

/* Runs the clean-ups, last registered first, then frees all memory. The arena may be used again. */
void arena_release(struct arena *a);

/* Zeroed memory, aligned for any type. */
void *arena_alloc(struct arena *a, size_t size) __attribute__((malloc, returns_nonnull));

#define arena_new(a, type) ((type *)arena_alloc((a), sizeof(type)))
#define arena_array(a, type, n) ((type *)arena_calloc((a), (n), sizeof(type)))
void *arena_calloc(struct arena *a, size_t n, size_t size); /* checks n * size */

/* NUL-terminated copies. */
char *arena_strdup(struct arena *a, const char *s);
char *arena_strndup(struct arena *a, const char *s, size_t len);
struct span arena_span(struct arena *a, struct span s); /* copy; ptr[len] is NUL */
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* arena_join(a, "texts", behind, "each other"), none of them NULL: a tenth of what printing them costs. */
#define arena_join(a, ...)                                                                                             \
	arena_join_all((a), (const char *const[]){__VA_ARGS__},                                                        \
	               sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))
char *arena_join_all(struct arena *a, const char *const *parts, size_t n);
char *arena_i64(struct arena *a, int64_t v); /* in decimals */

/* fn(ptr) runs in arena_release: register a clean-up where the thing is acquired. */
void arena_defer(struct arena *a, void (*fn)(void *), void *ptr);

/* Ends the process, and says why: what goes on without memory helps nobody, and holds what others could do. */
_Noreturn void mem_exhausted(size_t size);
/* malloc, calloc and strdup that end the process when there is no memory. Freed with free(). */
void *mem_alloc(size_t size) __attribute__((malloc, returns_nonnull));
void *mem_zalloc(size_t size) __attribute__((malloc, returns_nonnull));
void *mem_realloc(void *p, size_t size) __attribute__((returns_nonnull));
char *mem_strdup(const char *s) __attribute__((malloc, returns_nonnull));

#endif
