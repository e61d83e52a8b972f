/* CSV as RFC 4180 has it, read strictly. A byte order mark at the start, LF beside CRLF, and empty lines are let pass.
 */
#ifndef SHOAL_CLI_CSV_H
#define SHOAL_CLI_CSV_H

#include <stddef.h>

#include "shoal/base/arena.h"
#include "shoal/base/str.h"

struct csv {
	struct arena *a;
	struct span text;
	size_t at;
	unsigned line;      /* where `at` stands, from 1 */
	unsigned began;     /* line on which the record last read began */
	const char **field; /* its fields, NUL-terminated, in the arena */
	size_t nfields;
	const char *why; /* after CSV_BAD: what is wrong; the line is `line` */
};

enum csv_got { CSV_RECORD, CSV_END, CSV_BAD };

/* The text must live as long as the reader. */
void csv_open(struct csv *c, struct arena *a, struct span text);
enum csv_got csv_next(struct csv *c) __attribute__((warn_unused_result));

/* One record, quoted where it must be, and a line break. */
void csv_put(struct buf *b, const char *const *fields, size_t n);

#endif
