/* The body of an update, for those who look at it. A token by which one could act (that of a Discord interaction) is
 * not shown. */
#ifndef SHOAL_STORE_BODY_H
#define SHOAL_STORE_BODY_H

#include "shoal/base/arena.h"
#include "shoal/base/str.h"

struct body {
	struct span json;   /* ptr NULL: it is none */
	struct span text;   /* where it is no JSON: UTF-8, what is none replaced */
	struct span base64; /* the same, byte for byte */
};

/* The first field of this name among names and values in turn; ptr NULL where there is none. */
struct span body_field(const struct span *fields, size_t n, const char *name);
/* The fields but bot, lane, key, at and body, as a JSON object; ptr NULL where there are none. */
struct span body_other_fields(const struct span *fields, size_t n, struct arena *a);

struct body body_read(struct span bytes, struct arena *a);

#endif
