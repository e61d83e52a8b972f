/* The updates of the reference job: person i comes by a start link, or presses a button; or all that the bot is asked
 * in a long life. */
#ifndef SHOAL_TESTS_BENCH_UPDATE_H
#define SHOAL_TESTS_BENCH_UPDATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { UPDATE_MAX = 2048, FIRST_PERSON = 5000001 };

struct load {
	size_t count, people, codes;
	size_t first; /* number of the first update */
	bool press;   /* a button instead of /start */
	bool mix;     /* of all commands */
};

/* Whom the nth update is from. All come once before anybody comes again, in no order that a table has. */
int64_t update_person(const struct load *load, size_t n);

/* The nth update is a pressed button, which the gateway answers by itself. */
bool update_presses(const struct load *load, size_t n);

/* The nth update as the platform would post it, about 700 bytes, written to out with a NUL. Returns its length. */
size_t update_text(const struct load *load, size_t n, char out[UPDATE_MAX]);

#endif
