/* Files built into the binary: lua/, sql/ and the web pages. Made by the Makefile. */
#ifndef SHOAL_BASE_EMBED_H
#define SHOAL_BASE_EMBED_H

#include <stddef.h>

struct embed_file {
	const char *name; /* "lua/turn.lua", "sql/migrations/001_base.sql", "sim/web/index.html" */
	const char *data; /* followed by a NUL */
	size_t len;
};

extern const struct embed_file embed_files[];          /* sorted by name; ends with a NULL name */
const struct embed_file *embed_find(const char *name); /* NULL if there is none */

#endif
