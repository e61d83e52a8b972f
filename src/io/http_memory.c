/* Pieces that come back wait in lists by their size: with many requests under way malloc's own short lists are empty or
 * full, and it merges and splits the same pieces again and again. Each piece is one of malloc's, so any thread may take
 * or give one; only the thread that runs curl has lists. Under a sanitizer there are none, so that it sees what is used
 * after its release. */
#include "shoal/io/http_memory.h"

#include <curl/curl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef ASAN

bool http_memory_init(void)
{
	static bool is_up;

	is_up = is_up || curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
	return is_up;
}

#else

enum {
	STEP = 16,
	SMALL = 1024 / STEP,        /* classes of so many steps, one for each */
	LARGE = 5,                  /* and these, each twice as large: up to 32 KiB; curl's buffer takes 16 */
	CLASSES = SMALL + 1 + LARGE /* 0 is for what is larger, and never waits */
};

struct piece {
	_Alignas(max_align_t) struct piece *next; /* while it waits */
	size_t size;                              /* what it has room for */
	_Alignas(max_align_t) char mem[];
};

static struct piece *waiting[CLASSES];
static size_t held[CLASSES], waiting_bytes; /* by each class, and by all; with their heads */

static _Thread_local bool runs_curl;

static size_t class_of(size_t size)
{
	size_t steps = (size + STEP - 1) / STEP, i = SMALL;

	if (steps <= SMALL)
		return steps ? steps : 1;
	for (size_t most = SMALL; most < steps && i < CLASSES; most *= 2)
		i++;
	return i < CLASSES ? i : 0;
}

static size_t room_of(size_t class)
{
	return class <= SMALL ? class * STEP : (size_t)SMALL * STEP << (class - SMALL);
}

static struct piece *piece_of(void *p)
{
	return (struct piece *)((char *)p - offsetof(struct piece, mem));
}

static void count(size_t class, ptrdiff_t pieces)
{
	size_t bytes = (sizeof(struct piece) + room_of(class)) * (size_t)pieces;

	held[class] += bytes;
	waiting_bytes += bytes;
}

/* The class's first one that waits. */
static struct piece *pull(size_t class)
{
	struct piece *p = waiting[class];

	waiting[class] = p->next;
	count(class, -1);
	return p;
}

static size_t fullest(void)
{
	size_t most = 1;

	for (size_t i = 2; i < CLASSES; i++)
		most = held[i] > held[most] ? i : most;
	return most;
}

/* At the cost of the class that holds most: sizes of which there were many once must not keep out those that come. */
static bool make_room(size_t class)
{
	while (waiting_bytes + sizeof(struct piece) + room_of(class) > HTTP_MEMORY_KEPT) {
		size_t most = fullest();
		if (most == class)
			return false;
		free(pull(most));
	}
	return true;
}

void *http_memory_take(size_t size)
{
	if (size > SIZE_MAX / 2)
		return NULL;
	size_t class = class_of(size), room = class ? room_of(class) : size;
	if (runs_curl && waiting[class])
		return pull(class)->mem;
	struct piece *p = malloc(sizeof(*p) + room);
	if (!p)
		return NULL;
	p->size = room;
	/* cppcheck-suppress memleak ; the caller has it by what is inside of it */
	return p->mem;
}

void http_memory_give(void *mem)
{
	if (!mem)
		return;
	struct piece *p = piece_of(mem);
	size_t class = class_of(p->size);
	if (!runs_curl || !class || !make_room(class)) {
		free(p);
		return;
	}
	p->next = waiting[class];
	waiting[class] = p;
	count(class, 1);
}

void *http_memory_zeroed(size_t n, size_t size)
{
	size_t bytes;
	void *mem = __builtin_mul_overflow(n, size, &bytes) ? NULL : http_memory_take(bytes);

	return mem ? memset(mem, 0, bytes) : NULL;
}

void *http_memory_again(void *old, size_t size)
{
	size_t had = old ? piece_of(old)->size : 0;

	if (old && size <= had && size > had / 2)
		return old;
	void *mem = http_memory_take(size);
	if (!mem || !old)
		return mem;
	memcpy(mem, old, size < had ? size : had);
	http_memory_give(old);
	return mem;
}

char *http_memory_text(const char *text)
{
	size_t size = strlen(text) + 1;
	char *mem = http_memory_take(size);

	return mem ? memcpy(mem, text, size) : NULL;
}

size_t http_memory_waiting(void)
{
	return waiting_bytes;
}

bool http_memory_init(void)
{
	static bool is_up;

	runs_curl = true;
	is_up = is_up || curl_global_init_mem(CURL_GLOBAL_DEFAULT, http_memory_take, http_memory_give,
	                                      http_memory_again, http_memory_text, http_memory_zeroed) == CURLE_OK;
	return is_up;
}

#endif
