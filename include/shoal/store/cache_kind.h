/* The caches, by kind and by name (SPEC 2, "Caches by name"). */
#ifndef SHOAL_STORE_CACHE_KIND_H
#define SHOAL_STORE_CACHE_KIND_H

enum cache_kind { CACHE_STARTCODE, CACHE_PERSONA, CACHE_PLAYER, CACHE_STATIC, CACHE_KINDS };

struct cache_def {
	const char *name; /* "startcode" */
};
extern const struct cache_def cache_defs[CACHE_KINDS];

enum cache_kind cache_kind_find(const char *name); /* CACHE_KINDS: there is no such cache */

#endif
