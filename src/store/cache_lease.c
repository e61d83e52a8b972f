#include "shoal/store/cache_lease.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shoal/base/arena.h"
#include "shoal/base/clock.h"
#include "shoal/store/cache_key.h"

enum {
	TOKEN_BYTES = 12,
	NEGATIVE_MS = 60000, /* what is not there is looked for again after so long */
	FILL_ROWS = 100      /* of one call */
};

static struct redis_script script_lease = {.name = "lua/cache_lease.lua"};
static struct redis_script script_fill = {.name = "lua/cache_fill.lua"};

void cache_lease_ask(struct cache_lease *l, struct redis *r, struct span generation, redis_fn *fn, void *arg)
{
	char names[3][CACHE_NAME_BYTES], ms[16];

	_Static_assert(sizeof(l->token) == 2 * TOKEN_BYTES + 1, "a token fits");
	random_hex(l->token, TOKEN_BYTES);
	snprintf(l->generation, sizeof(l->generation), "%.*s", (int)generation.len, generation.ptr);
	snprintf(ms, sizeof(ms), "%d", CACHE_LEASE_MS);
	redis_eval(r, &script_lease, fn, arg, 3, 6,
	           (struct span[]){cache_key_generation(names[0], l->kind), cache_key_value(names[1], l->kind, l->key),
	                           cache_key_lease(names[2], l->kind, l->key), span_of(l->generation),
	                           span_of(l->token), span_of(ms)});
}

/* --- filling: keys, then generation, token and "last" or "more", then text and life of each */

struct filling {
	char names[FILL_ROWS + 2][CACHE_NAME_BYTES], life[24], negative[24], whole[24];
	struct span argv[2 + FILL_ROWS + 3 + 2 * FILL_ROWS], texts[2 * FILL_ROWS];
	size_t nkeys, ntexts;
};

static void begin(struct filling *w, const struct cache_lease *l)
{
	w->argv[0] = cache_key_generation(w->names[0], l->kind);
	w->argv[1] = cache_key_lease(w->names[1], l->kind, l->key);
	w->nkeys = 2;
	w->ntexts = 0;
}

static void add(struct filling *w, enum cache_kind kind, struct span key, struct span text)
{
	if (!cache_key_valid(key))
		return;
	w->argv[w->nkeys] = cache_key_value(w->names[w->nkeys], kind, key);
	w->nkeys++;
	w->texts[w->ntexts++] = text;
	w->texts[w->ntexts++] = span_of(!text.len ? w->negative : span_is(key, CACHE_WHOLE) ? w->whole : w->life);
}

static void call(struct filling *w, const struct cache_lease *l, struct redis *r, bool last, redis_fn *fn, void *arg)
{
	size_t n = w->nkeys;

	w->argv[n++] = span_of(l->generation);
	w->argv[n++] = span_of(l->token);
	w->argv[n++] = last ? SPAN("last") : SPAN("more");
	memcpy(&w->argv[n], w->texts, w->ntexts * sizeof(w->texts[0]));
	redis_eval(r, &script_fill, fn, arg, w->nkeys, n + w->ntexts, w->argv);
}

static struct span cell(const PGresult *rows, int row, int column)
{
	return (struct span){PQgetvalue(rows, row, column), (size_t)PQgetlength(rows, row, column)};
}

void cache_lease_fill(const struct cache_lease *l, struct redis *r, const PGresult *rows, int64_t life_ms, redis_fn *fn,
                      void *arg)
{
	struct filling *w = mem_alloc(sizeof(*w));
	bool brief = life_ms && life_ms < NEGATIVE_MS;

	snprintf(w->whole, sizeof(w->whole), "%lld", (long long)cache_whole_ms(life_ms));
	snprintf(w->life, sizeof(w->life), "%lld", (long long)life_ms);
	snprintf(w->negative, sizeof(w->negative), "%lld", (long long)(brief ? life_ms : NEGATIVE_MS));
	begin(w, l);
	for (int i = 0; i < PQntuples(rows); i++) {
		if (w->ntexts == 2 * FILL_ROWS) {
			call(w, l, r, false, NULL, NULL);
			begin(w, l);
		}
		add(w, l->kind, cell(rows, i, 0), cell(rows, i, 1));
	}
	if (PQntuples(rows) == 0)
		add(w, l->kind, l->key, SPAN(""));
	call(w, l, r, true, fn, arg);
	free(w);
}

void cache_lease_give_back(const struct cache_lease *l, struct redis *r)
{
	struct filling *w = mem_alloc(sizeof(*w));

	begin(w, l);
	call(w, l, r, true, NULL, NULL);
	free(w);
}
