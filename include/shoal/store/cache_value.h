/* What a cache holds under one key, read once from its text and never changed after: facts, counted references. Many
 * jobs share one value; it lives until the last of them is done, wherever the memory of the caches has gone meanwhile.
 *
 *   cache      key                                 text (found)                                              member
 *   startcode  CODE                                {"id","code","persona_id","active","max_uses","expires_ms"}  code
 *              #<id>                               CODE, as it is                                            alias
 *   persona    <id>, default                       {"id","key","name","greeting","prompt","replies","active"}   persona
 *   player     <uid>                               {"name","country","region","tos_ms","setup_ms"}           player
 *   static     maps, races, regions, countries     [{"code","name","active","game"},...]                     table
 *   board      RACE|REGION|COUNTRY|PAGE            as sql/queries/cache_board makes it                        board
 *   any        % (cache_key.h)                     ["KEY",...], or the word: many                            directory
 *
 * One thread: references are counted without locks. */
#ifndef SHOAL_STORE_CACHE_VALUE_H
#define SHOAL_STORE_CACHE_VALUE_H

#include "shoal/base/arena.h"
#include "shoal/base/str.h"
#include "shoal/model/facts.h"
#include "shoal/store/cache_kind.h"

struct static_row {
	const char *code, *name;
	const char *game; /* of a race; else NULL */
	bool active;      /* of a map; else true */
};

struct static_table {
	size_t n;
	const struct static_row *rows; /* in the order of the text */
	const unsigned *by_code;       /* places in rows, sorted by code, which is unique */
};

const struct static_row *static_find(const struct static_table *t, const char *code); /* NULL: none */

/* All keys of a cache that is loaded whole (of start codes, without the aliases), so that an unknown one needs no
 * question. many: too many to be listed, then absence proves nothing. */
struct code_directory {
	bool many;
	size_t n;
	const unsigned *starts; /* in texts, n + 1 of them, the codes sorted by their bytes; none is ended by NUL */
	const char *texts;
};

bool directory_has(const struct code_directory *d, struct span code);

/* One allocation with all its texts, no larger than its own member needs: copy none whole. A value that is not found
 * ends before the members, so look at `found` first. */
struct cache_value {
	unsigned refs;
	enum cache_kind kind : 8;
	bool found;   /* false: negative, there is none */
	size_t bytes; /* of memory, with what malloc adds */
	union {
		struct fact_code code;
		struct fact_persona persona;
		struct fact_player player;
		struct static_table table;
		struct fact_board board;
		const char *alias;
		struct code_directory directory;
	};
};

/* With one reference, the caller's. found false: a negative value, the text is ignored. NULL: the text makes no sense
 * as the value of this key (the text comes from other machines), or has more than CACHE_TEXT_MAX bytes: what it takes
 * to read that many, some 30 ms, holds the loop up. sql/migrations/016_persona_size.sql keeps larger personas out. */
#define CACHE_TEXT_MAX ((size_t)4 << 20)
struct cache_value *cache_value_read(enum cache_kind kind, struct span key, struct span text, bool found)
    __attribute__((warn_unused_result));

struct cache_value *cache_value_ref(struct cache_value *v);    /* v again */
void cache_value_unref(struct cache_value *v);                 /* NULL does nothing */
void cache_value_hold(struct cache_value *v, struct arena *a); /* one reference, given back when the arena goes */

/* What malloc takes for a block of so many bytes. */
size_t cache_malloc_bytes(size_t size);

#endif
