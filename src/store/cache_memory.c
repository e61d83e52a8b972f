/* Open addressing with linear probing over two arrays, so that looking along them touches few lines of memory:
 *
 *   marks    a byte a place: 0 free, else TAKEN | some bits of the hash | uses (0 to 3)
 *   entries  the entry of each place
 *
 * The table never grows: there are as many places as entries can be of use under the bound. */
#include "shoal/store/cache_memory.h"

#include <stdlib.h>
#include <string.h>

#include "shoal/base/clock.h"
#include "shoal/base/err.h"
#include "shoal/base/siphash.h"

enum {
	PLACE_BYTES = 128, /* of the bound for each place */
	PLACES_MIN = 16,
	SHARE_MAX = 8,    /* a value may take this part of the bound */
	SWEEP_A_PUT = 64, /* places that a put without room looks at for what was dropped */
	TAKEN = 0x80,
	USES_MAX = 3,
	ROUNDS_A_USE = 4,
	HASH_BITS = 0x7f & ~USES_MAX,
};

struct entry {
	struct cache_value *value;
	int64_t until_ms; /* 0: for ever */
	uint16_t epoch;   /* another than its kind's: dropped */
	unsigned char kind, key_len;
	char key[];
};

struct of_kind {
	struct siphash_seed seed;        /* one a kind: equal keys of two kinds are as any two */
	struct cache_memory_stats stats; /* of what is not dropped */
	uint16_t epoch;                  /* never 0 */
};

struct cache_memory {
	size_t bytes, bytes_max;
	size_t nplaces, nentries;
	size_t ndropped;     /* entries of another epoch */
	size_t hand, stride; /* of the clock */
	unsigned spared;     /* how often the hand came by an entry with uses */
	size_t broom;        /* where the sweep goes on */
	unsigned char *marks;
	struct entry **entries;
	struct of_kind kinds[CACHE_KINDS];
};

static size_t next(const struct cache_memory *m, size_t place)
{
	return place + 1 == m->nplaces ? 0 : place + 1;
}

static size_t distance(const struct cache_memory *m, size_t from, size_t to)
{
	return to >= from ? to - from : to + m->nplaces - from;
}

static size_t home(const struct cache_memory *m, uint64_t hash)
{
	return (size_t)((hash >> 32) * m->nplaces >> 32);
}

static unsigned char mark_of(uint64_t hash)
{
	return (unsigned char)(TAKEN | (hash & HASH_BITS));
}

static struct span key_of(const struct entry *e)
{
	return (struct span){e->key, e->key_len};
}

/* Without what the struct is padded with at its end. */
static size_t entry_size(size_t key_len)
{
	return offsetof(struct entry, key) + key_len;
}

static size_t entry_bytes(const struct entry *e)
{
	return cache_malloc_bytes(entry_size(e->key_len)) + e->value->bytes;
}

static bool is_dropped(const struct cache_memory *m, const struct entry *e)
{
	return e->epoch != m->kinds[e->kind].epoch;
}

static bool is_over(const struct entry *e)
{
	return e->until_ms != 0 && clock_ms() >= e->until_ms;
}

/* --- one place */

static void entry_free(struct entry *e)
{
	cache_value_unref(e->value);
	free(e);
}

/* Moves those back that stand behind a place because it was taken, so that no search ends too early. */
static void close_gap(struct cache_memory *m, size_t gap)
{
	for (size_t i = next(m, gap); m->marks[i]; i = next(m, i)) {
		const struct entry *e = m->entries[i];
		size_t first = home(m, siphash(&m->kinds[e->kind].seed, key_of(e)));

		if (distance(m, first, i) < distance(m, gap, i))
			continue;
		m->marks[gap] = m->marks[i];
		m->entries[gap] = m->entries[i];
		gap = i;
	}
	m->marks[gap] = 0;
	m->entries[gap] = NULL;
}

static void remove_at(struct cache_memory *m, size_t place)
{
	struct entry *e = m->entries[place];
	struct cache_memory_stats *stats = &m->kinds[e->kind].stats;
	size_t bytes = entry_bytes(e);

	m->bytes -= bytes;
	m->nentries--;
	if (is_dropped(m, e)) {
		m->ndropped--;
	} else {
		stats->entries--;
		stats->bytes -= bytes;
	}
	close_gap(m, place);
	entry_free(e);
}

/* The place of the key, or the free one where its search ended. */
static size_t find_place(const struct cache_memory *m, enum cache_kind kind, struct span key)
{
	uint64_t hash = siphash(&m->kinds[kind].seed, key);
	unsigned char want = mark_of(hash);
	size_t i;

	for (i = home(m, hash); m->marks[i]; i = next(m, i)) {
		const struct entry *e = m->entries[i];

		if ((m->marks[i] & ~USES_MAX) == want && e->kind == kind && span_eq(key_of(e), key))
			break;
	}
	return i;
}

/* --- use */

static bool find(struct cache_memory *m, enum cache_kind kind, struct span key, size_t *place)
{
	ENSURE(kind < CACHE_KINDS);
	*place = find_place(m, kind, key);
	if (!m->marks[*place])
		return false;
	if (!is_dropped(m, m->entries[*place]) && !is_over(m->entries[*place]))
		return true;
	remove_at(m, *place);
	return false;
}

struct cache_value *cache_memory_get(struct cache_memory *m, enum cache_kind kind, struct span key)
{
	size_t i;

	if (!find(m, kind, key, &i))
		return NULL;
	if ((m->marks[i] & USES_MAX) < USES_MAX)
		m->marks[i]++;
	return m->entries[i]->value;
}

bool cache_memory_drop(struct cache_memory *m, enum cache_kind kind, struct span key)
{
	size_t i;

	if (!find(m, kind, key, &i))
		return false;
	remove_at(m, i);
	return true;
}

/* --- room */

/* The hand comes by every place once a round, in strides of the golden section: if it went along them, it would leave
 * few entries behind it and all the crowd before it, in runs that linear probing cannot bear. */
static size_t golden_stride(size_t nplaces)
{
	size_t stride = nplaces / 1000 * 618 + nplaces % 1000 * 618 / 1000, a, b;

	do {
		stride++;
		for (a = nplaces, b = stride; b != 0;) {
			size_t rest = a % b;

			a = b;
			b = rest;
		}
	} while (a != 1); /* until they have no divisor in common */
	return stride;
}

static void move_hand(struct cache_memory *m)
{
	m->hand = m->hand >= m->nplaces - m->stride ? m->hand - (m->nplaces - m->stride) : m->hand + m->stride;
}

/* The hand comes by entries that were used four times as often as it takes a use off them, so that what is new and not
 * used again goes first (the figures are in the header). */
static bool is_spared(struct cache_memory *m, size_t place)
{
	if (!(m->marks[place] & USES_MAX))
		return false;
	if (++m->spared % ROUNDS_A_USE == 0)
		m->marks[place]--;
	return true;
}

static void evict(struct cache_memory *m)
{
	struct entry *e;

	ENSURE(m->nentries > 0);
	while (!m->marks[m->hand] || is_spared(m, m->hand))
		move_hand(m);
	e = m->entries[m->hand];
	if (!is_dropped(m, e) && !is_over(e))
		m->kinds[e->kind].stats.evictions++;
	remove_at(m, m->hand);
}

static bool has_room(const struct cache_memory *m, size_t bytes)
{
	return m->bytes + bytes <= m->bytes_max && m->nentries < m->nplaces / 5 * 4;
}

static void make_room(struct cache_memory *m, size_t bytes)
{
	if (!has_room(m, bytes))
		cache_memory_sweep(m, SWEEP_A_PUT);
	while (!has_room(m, bytes))
		evict(m);
}

static struct entry *entry_new(const struct cache_memory *m, struct span key, struct cache_value *v, int64_t until_ms)
{
	struct entry *e = mem_alloc(entry_size(key.len));

	e->value = v;
	e->until_ms = until_ms;
	e->epoch = m->kinds[v->kind].epoch;
	e->kind = v->kind;
	e->key_len = (unsigned char)key.len;
	if (key.len)
		memcpy(e->key, key.ptr, key.len);
	return e;
}

static void insert(struct cache_memory *m, struct entry *e)
{
	struct of_kind *k = &m->kinds[e->kind];
	size_t place = find_place(m, e->kind, key_of(e));
	size_t bytes = entry_bytes(e);

	m->marks[place] = mark_of(siphash(&k->seed, key_of(e)));
	m->entries[place] = e;
	m->bytes += bytes;
	m->nentries++;
	k->stats.entries++;
	k->stats.bytes += bytes;
}

bool cache_memory_put(struct cache_memory *m, enum cache_kind kind, struct span key, struct cache_value *v,
                      int64_t until_ms)
{
	size_t bytes = cache_malloc_bytes(entry_size(key.len)) + v->bytes;

	ENSURE(v->kind == kind);
	cache_value_ref(v); /* first: it may be the one that is dropped here */
	cache_memory_drop(m, kind, key);
	if (key.len > CACHE_KEY_MAX || bytes > m->bytes_max / SHARE_MAX) {
		cache_value_unref(v);
		return false;
	}
	make_room(m, bytes);
	insert(m, entry_new(m, key, v, until_ms));
	return true;
}

/* --- many at once */

bool cache_memory_sweep(struct cache_memory *m, size_t n)
{
	for (; n > 0 && m->ndropped > 0; n--) {
		if (m->marks[m->broom] && is_dropped(m, m->entries[m->broom]))
			remove_at(m, m->broom); /* and look at this place again */
		else
			m->broom = next(m, m->broom);
	}
	return m->ndropped > 0;
}

/* When the epochs begin anew, nothing may be left of the old ones. */
void cache_memory_drop_kind(struct cache_memory *m, enum cache_kind kind)
{
	struct of_kind *k = &m->kinds[kind];

	m->ndropped += k->stats.entries;
	k->stats.entries = k->stats.bytes = 0;
	if (++k->epoch != 0)
		return;
	while (cache_memory_sweep(m, m->nplaces))
		;
	k->epoch = 1;
}

void cache_memory_clear(struct cache_memory *m)
{
	for (int kind = 0; kind < CACHE_KINDS; kind++)
		cache_memory_drop_kind(m, (enum cache_kind)kind);
}

/* --- figures and life */

struct cache_memory_stats cache_memory_stats(const struct cache_memory *m, enum cache_kind kind)
{
	return m->kinds[kind].stats;
}

size_t cache_memory_bytes(const struct cache_memory *m)
{
	return m->bytes;
}

struct cache_memory *cache_memory_new(size_t bytes_max)
{
	struct cache_memory *m = mem_zalloc(sizeof(*m));

	m->bytes_max = bytes_max;
	m->nplaces = bytes_max / PLACE_BYTES > PLACES_MIN ? bytes_max / PLACE_BYTES : PLACES_MIN;
	m->stride = golden_stride(m->nplaces);
	m->marks = mem_zalloc(m->nplaces);
	m->entries = mem_zalloc(m->nplaces * sizeof(struct entry *));
	m->bytes = cache_malloc_bytes(sizeof(*m)) + cache_malloc_bytes(m->nplaces) +
	           cache_malloc_bytes(m->nplaces * sizeof(struct entry *));
	for (int kind = 0; kind < CACHE_KINDS; kind++) {
		random_bytes(&m->kinds[kind].seed, sizeof(m->kinds[kind].seed));
		m->kinds[kind].epoch = 1;
	}
	return m;
}

void cache_memory_free(struct cache_memory *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->nplaces; i++) {
		if (m->marks[i])
			entry_free(m->entries[i]);
	}
	free(m->marks);
	free(m->entries);
	free(m);
}
