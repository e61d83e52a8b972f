/* Hash table from int64 to a pointer: linear probing, deletion by shifting back. */
#include "shoal/sim/map.h"

#include <stdlib.h>

#include "shoal/base/arena.h"

static size_t home(const struct map *m, int64_t key)
{
	uint64_t h = (uint64_t)key * 0x9e3779b97f4a7c15u;
	return (size_t)(h ^ h >> 32) & (m->cap - 1);
}

static size_t find(const struct map *m, int64_t key)
{
	size_t i = home(m, key);
	while (m->slots[i].value && m->slots[i].key != key)
		i = (i + 1) & (m->cap - 1);
	return i;
}

void *map_get(const struct map *m, int64_t key)
{
	return m->cap ? m->slots[find(m, key)].value : NULL;
}

static void grow(struct map *m)
{
	struct map old = *m;

	m->cap = old.cap ? old.cap * 2 : 16;
	m->slots = mem_zalloc(m->cap * sizeof(*m->slots));
	for (size_t i = 0; i < old.cap; i++) {
		if (old.slots[i].value)
			m->slots[find(m, old.slots[i].key)] = old.slots[i];
	}
	free(old.slots);
}

void map_put(struct map *m, int64_t key, void *value)
{
	if (m->count * 4 >= m->cap * 3)
		grow(m);
	size_t i = find(m, key);
	m->count += m->slots[i].value == NULL;
	m->slots[i] = (struct map_slot){key, value};
}

void *map_remove(struct map *m, int64_t key)
{
	if (!m->cap)
		return NULL;
	size_t hole = find(m, key), mask = m->cap - 1;
	void *value = m->slots[hole].value;
	if (!value)
		return NULL;
	for (size_t i = (hole + 1) & mask; m->slots[i].value; i = (i + 1) & mask) {
		/* an entry may move back unless its home lies behind the hole */
		if (((i - home(m, m->slots[i].key)) & mask) >= ((i - hole) & mask)) {
			m->slots[hole] = m->slots[i];
			hole = i;
		}
	}
	m->slots[hole].value = NULL;
	m->count--;
	return value;
}

void map_release(struct map *m)
{
	free(m->slots);
	*m = (struct map){0};
}

void *map_next(const struct map *m, size_t *i)
{
	while (*i < m->cap) {
		void *value = m->slots[(*i)++].value;
		if (value)
			return value;
	}
	return NULL;
}
