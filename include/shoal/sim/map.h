/* Hash table from int64 to a pointer that is not NULL. Open addressing, no order. Zeroed is empty. */
#ifndef SHOAL_SIM_MAP_H
#define SHOAL_SIM_MAP_H

#include <stddef.h>
#include <stdint.h>

struct map_slot {
	int64_t key;
	void *value; /* NULL: free */
};

struct map {
	struct map_slot *slots;
	size_t cap, count; /* cap is 0 or a power of two */
};

void *map_get(const struct map *m, int64_t key);
void map_put(struct map *m, int64_t key, void *value); /* replaces */
void *map_remove(struct map *m, int64_t key);          /* the value, NULL if it was not there */
void map_release(struct map *m);                       /* frees the table, not the values */

/* Walks over all values: for (size_t i = 0; (v = map_next(m, &i)) != NULL;). The map must not change meanwhile. */
void *map_next(const struct map *m, size_t *i);

#endif
