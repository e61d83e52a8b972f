#include "shoal/store/beacons.h"

#include <stdlib.h>
#include <string.h>

enum { WORKERS_MAX = 100000 };

static bool knows(const struct beacons *b, const char *id)
{
	for (size_t i = 0; i < b->n; i++)
		if (strcmp(json_str(b->v[i], "id"), id) == 0)
			return true;
	return false;
}

void beacons_add(struct beacons *b, struct arena *a, struct span text)
{
	const char *why, *id;
	const cJSON *v = json_parse(a, text, &why);

	if (!(id = json_str(v, "id")) || b->n == WORKERS_MAX || knows(b, id))
		return;
	if (b->n == b->room) {
		b->room = b->room ? b->room * 2 : 64;
		b->v = mem_realloc(b->v, b->room * sizeof(b->v[0]));
	}
	b->v[b->n++] = v;
}

static int by_id(const void *a, const void *b)
{
	return strcmp(json_str(*(const cJSON *const *)a, "id"), json_str(*(const cJSON *const *)b, "id"));
}

void beacons_sort(struct beacons *b)
{
	if (b->n > 1)
		qsort(b->v, b->n, sizeof(b->v[0]), by_id);
}

int64_t beacons_in_state(const struct beacons *b, const char *state)
{
	int64_t n = 0;

	for (size_t i = 0; i < b->n; i++) {
		const char *is = json_str(b->v[i], "state");

		n += is && strcmp(is, state) == 0;
	}
	return n;
}
