/* links: base io */
/* The memory of libcurl: pieces that wait for their next use. */
#include "check.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "shoal/io/http_memory.h"

#ifndef ASAN

/* Sizes at each side of a class's edge, and of the last class. */
static const size_t sizes[] = {0,    1,    15,   16,   17,    31,    32,    33,    1008,  1009,   1023,
                               1024, 1025, 2048, 2049, 16384, 16385, 32767, 32768, 32769, 100000, 1 << 20};
#define NSIZES (sizeof(sizes) / sizeof(sizes[0]))

static void each_piece_has_its_room(void)
{
	unsigned char *pieces[NSIZES];

	for (int round = 0; round < 3; round++) { /* from the second one on with what has waited */
		for (size_t i = 0; i < NSIZES; i++) {
			pieces[i] = http_memory_take(sizes[i]);
			CHECK(pieces[i] && (uintptr_t)pieces[i] % _Alignof(max_align_t) == 0);
			memset(pieces[i], (int)i + 1, sizes[i]);
		}
		for (size_t i = 0; i < NSIZES; i++) {
			bool whole = true;
			for (size_t n = 0; n < sizes[i]; n++)
				whole = whole && pieces[i][n] == i + 1;
			CHECK(whole);
			http_memory_give(pieces[i]);
		}
	}
	http_memory_give(NULL);
}

static void what_was_given_is_taken_again(void)
{
	void *first = http_memory_take(100);
	size_t before = http_memory_waiting();

	http_memory_give(first);
	CHECK(http_memory_waiting() > before);
	CHECK(http_memory_take(112) == first); /* of the same class */
	CHECK_INT(http_memory_waiting(), before);
	http_memory_give(first);
	void *other = http_memory_take(113);
	CHECK(other != first);
	http_memory_give(other);
	before = http_memory_waiting();
	http_memory_give(http_memory_take(32769)); /* larger than any class */
	CHECK_INT(http_memory_waiting(), before);
}

static void sizes_change(void)
{
	char *p = http_memory_again(NULL, 10);

	memcpy(p, "content", 8);
	for (size_t i = 0; i < NSIZES; i++) {
		p = http_memory_again(p, sizes[i] < 10 ? 10 : sizes[i]);
		CHECK_STR(p, "content");
	}
	for (size_t i = NSIZES; i-- > 0;) {
		p = http_memory_again(p, sizes[i] < 10 ? 10 : sizes[i]);
		CHECK_STR(p, "content");
	}
	p = http_memory_again(p, 4);
	CHECK(memcmp(p, "cont", 4) == 0);
	CHECK(http_memory_again(p, SIZE_MAX) == NULL); /* p is as it was */
	CHECK(memcmp(p, "cont", 4) == 0);
	http_memory_give(p);
}

static void zeroes_and_texts(void)
{
	unsigned char *p = http_memory_take(5000);

	memset(p, 0xff, 5000);
	http_memory_give(p);
	CHECK(http_memory_zeroed(50, 100) == p);
	bool empty = true;
	for (size_t i = 0; i < 5000; i++)
		empty = empty && p[i] == 0;
	CHECK(empty);
	http_memory_give(p);
	char *text = http_memory_text("a text");
	CHECK_STR(text, "a text");
	http_memory_give(text);
}

static void too_large_is_refused(void)
{
	CHECK(http_memory_take(SIZE_MAX) == NULL);
	CHECK(http_memory_take(SIZE_MAX / 2 + 1) == NULL);
	CHECK(http_memory_zeroed(SIZE_MAX / 2, 3) == NULL);
	CHECK(http_memory_zeroed(SIZE_MAX, SIZE_MAX) == NULL);
	CHECK(http_memory_zeroed((size_t)1 << 33, (size_t)1 << 33) == NULL); /* 0, as such a product */
}

/* So many at once, and all given back. */
static void burst(size_t size, size_t n)
{
	void **pieces = calloc(n, sizeof(void *));

	for (size_t i = 0; i < n; i++)
		pieces[i] = http_memory_take(size);
	for (size_t i = 0; i < n; i++) {
		http_memory_give(pieces[i]);
		CHECK(http_memory_waiting() <= HTTP_MEMORY_KEPT);
	}
	free(pieces);
}

static void a_burst_keeps_nobody_out(void)
{
	burst(1000, 10000); /* more than may wait */
	CHECK(http_memory_waiting() > HTTP_MEMORY_KEPT - 2000);
	for (int n = 0; n < 3; n++) {
		void *p = http_memory_take(16384);
		http_memory_give(p);
		CHECK(http_memory_take(16384) == p); /* it has waited */
		http_memory_give(p);
	}
	burst(16384, 200);
	size_t before = http_memory_waiting();
	void *mine[100];
	for (size_t i = 0; i < 100; i++)
		mine[i] = http_memory_take(16384);
	CHECK(before - http_memory_waiting() >= 100 * (size_t)16384); /* all of them had waited: half is theirs now */
	for (size_t i = 0; i < 100; i++)
		http_memory_give(mine[i]);
	burst(1, 200000);
	burst(32768, 200);
}

int main(void)
{
	if (!http_memory_init())
		return 1;
	RUN(each_piece_has_its_room);
	RUN(what_was_given_is_taken_again);
	RUN(sizes_change);
	RUN(zeroes_and_texts);
	RUN(too_large_is_refused);
	RUN(a_burst_keeps_nobody_out);
	DONE();
}

#else

static void a_sanitizer_looks_after_the_memory(void)
{
	CHECK(http_memory_init());
}

int main(void)
{
	RUN(a_sanitizer_looks_after_the_memory);
	DONE();
}

#endif
