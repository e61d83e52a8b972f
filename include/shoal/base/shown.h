/* Texts of strangers in a line for people. */
#ifndef SHOAL_BASE_SHOWN_H
#define SHOAL_BASE_SHOWN_H

#include <stdbool.h>
#include <stddef.h>

#include "shoal/base/arena.h"

/* Whether a terminal would obey the well-formed character of n bytes at p, or cannot show it: control characters,
 * U+0080 to U+009F, what turns the direction of text or breaks a line, U+FFFE and U+FFFF. */
bool char_is_unseen(const char *p, size_t n);

/* The value in quotes, cut where it is long; what is unseen or ill-formed is written as \xNN. */
const char *shown(struct arena *a, const char *value);

#endif
