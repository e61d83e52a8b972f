#include "shoal/base/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shoal/base/asan.h"
#include "shoal/base/err.h"
#include "shoal/base/log.h"

enum {
	FIRST_BLOCK = 8192, /* most updates need no second one */
	LARGEST_BLOCK = 64 * 1024,
	ALIGN = _Alignof(max_align_t),
#ifdef ASAN
	SPARE_MAX = 0
#else
	SPARE_MAX = 1024
#endif
};

struct arena_block {
	struct arena_block *next;
	size_t used, size;
	_Alignas(max_align_t) char mem[];
};

struct arena_cleanup {
	struct arena_cleanup *next;
	void (*fn)(void *);
	void *ptr;
};

/* First blocks that were released: malloc merges and splits pieces of this size each time they come and go. Each
 * thread has its own. Under a sanitizer there are none, so that it sees what is used after its release. */
static _Thread_local struct {
	struct arena_block *first;
	unsigned n;
} spare;

/* write(2) goes through stdio's unbuffered stderr here: no allocation on the way out. The log's lines of this turn go
 * first; where that wants memory, too, it comes here again. */
void mem_exhausted(size_t size)
{
	static bool flushing;

	if (!flushing) {
		flushing = true;
		log_flush();
	}
	fprintf(stderr, "shoal: out of memory (%zu bytes wanted; 0: a library's)\n", size);
	abort();
}

void *mem_alloc(size_t size)
{
	void *p = malloc(size ? size : 1);

	if (!p)
		mem_exhausted(size);
	return p;
}

void *mem_zalloc(size_t size)
{
	void *p = calloc(1, size ? size : 1);

	if (!p)
		mem_exhausted(size);
	return p;
}

void *mem_realloc(void *old, size_t size)
{
	void *p = realloc(old, size ? size : 1);

	if (!p)
		mem_exhausted(size);
	return p;
}

char *mem_strdup(const char *s)
{
	size_t size = strlen(s) + 1;

	return memcpy(mem_alloc(size), s, size);
}

/* Of FIRST_BLOCK, zeroed. */
static struct arena_block *take_block(void)
{
	struct arena_block *b = spare.first;

	if (!b)
		return mem_zalloc(sizeof(*b) + FIRST_BLOCK);
	spare.first = b->next;
	spare.n--;
	return b;
}

static void give_block(struct arena_block *b)
{
	if (spare.n == SPARE_MAX || b->size != FIRST_BLOCK) {
		free(b);
		return;
	}
	memset(b->mem, 0, b->used);
	b->next = spare.first;
	spare.first = b;
	spare.n++;
}

void arena_init(struct arena *a)
{
	*a = (struct arena){0};
}

void arena_release(struct arena *a)
{
	struct arena_block *b, *next;

	/* A clean-up may register another one. */
	while (a->cleanups) {
		struct arena_cleanup *c = a->cleanups;

		a->cleanups = c->next;
		c->fn(c->ptr);
	}
	for (b = a->blocks; b; b = next) {
		next = b->next;
		give_block(b);
	}
	arena_init(a);
}

/* A new block at the head; one that is larger than usual goes behind it, so that the head's room is kept. Apart from
 * arena_alloc, which then needs no stack where there is room: an update has a hundred pieces. */
static __attribute__((noinline)) void *alloc_block(struct arena *a, size_t need)
{
	size_t usual = a->blocks ? a->blocks->size * 2 : FIRST_BLOCK;
	struct arena_block *b;

	if (usual > LARGEST_BLOCK)
		usual = LARGEST_BLOCK;
	if (need > usual / 2) {
		b = mem_zalloc(sizeof(*b) + need);
		b->size = need;
	} else {
		b = usual == FIRST_BLOCK ? take_block() : mem_zalloc(sizeof(*b) + usual);
		b->size = usual;
	}
	b->used = need;
	a->bytes += sizeof(*b) + b->size;
	if (a->blocks && b->size == need) {
		b->next = a->blocks->next;
		a->blocks->next = b;
	} else {
		b->next = a->blocks;
		a->blocks = b;
	}
	return b->mem;
}

void *arena_alloc(struct arena *a, size_t size)
{
	struct arena_block *b = a->blocks;
	size_t need;

	if (size > SIZE_MAX / 4)
		mem_exhausted(size);
	need = ((size ? size : 1) + ALIGN - 1) / ALIGN * ALIGN;
	if (!b || need > b->size - b->used)
		return alloc_block(a, need);
	b->used += need;
	return b->mem + b->used - need;
}

void *arena_calloc(struct arena *a, size_t n, size_t size)
{
	if (size && n > SIZE_MAX / size)
		mem_exhausted(SIZE_MAX);
	return arena_alloc(a, n * size);
}

char *arena_strndup(struct arena *a, const char *s, size_t len)
{
	char *copy;

	ENSURE(len < SIZE_MAX);
	copy = arena_alloc(a, len + 1);
	if (len)
		memcpy(copy, s, len);
	return copy;
}

char *arena_strdup(struct arena *a, const char *s)
{
	return arena_strndup(a, s, strlen(s));
}

struct span arena_span(struct arena *a, struct span s)
{
	return (struct span){arena_strndup(a, s.ptr, s.len), s.len};
}

/* Into what is left of the block; where that is too short it stays as it was, that is, zero. */
static char *printf_here(struct arena *a, const char *fmt, va_list ap, int *len)
{
	struct arena_block *b = a->blocks;
	size_t room = b ? b->size - b->used : 0;
	char *text = b ? b->mem + b->used : NULL;

	*len = vsnprintf(text, room, fmt, ap);
	ENSURE(*len >= 0);
	if ((size_t)*len < room)
		return arena_alloc(a, (size_t)*len + 1);
	if (room)
		memset(text, 0, room);
	return NULL;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	char *text;
	int len;

	va_start(ap, fmt);
	text = printf_here(a, fmt, ap, &len);
	va_end(ap);
	if (text)
		return text;
	text = arena_alloc(a, (size_t)len + 1);
	va_start(ap, fmt);
	vsnprintf(text, (size_t)len + 1, fmt, ap);
	va_end(ap);
	return text;
}

char *arena_join_all(struct arena *a, const char *const *parts, size_t n)
{
	size_t len = 0;
	char *text, *end;

	for (size_t i = 0; i < n; i++)
		len += strlen(parts[i]);
	text = end = arena_alloc(a, len + 1);
	for (size_t i = 0; i < n; i++)
		end = stpcpy(end, parts[i]);
	*end = '\0';
	return text;
}

char *arena_i64(struct arena *a, int64_t v)
{
	char digits[I64_TEXT_LEN];

	struct span text = i64_text(digits, v);

	return arena_strndup(a, text.ptr, text.len);
}

void arena_defer(struct arena *a, void (*fn)(void *), void *ptr)
{
	struct arena_cleanup *c = arena_new(a, struct arena_cleanup);

	*c = (struct arena_cleanup){.next = a->cleanups, .fn = fn, .ptr = ptr};
	a->cleanups = c;
}
