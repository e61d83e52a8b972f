/* Windows of calls, as Discord's headers tell of them. */
#include "shoal/sim/discord_limits.h"

#include <stdio.h>
#include <stdlib.h>

#include "shoal/base/arena.h"
#include "shoal/sim/discord.h"
#include "shoal/sim/map.h"

#define GLOBAL_LIMIT 50
#define GLOBAL_WINDOW_US 1000000
#define SWEEP_LEAST 4096
#define INVALID_SLOTS 600 /* a second each */

struct window {
	int64_t ends_us;
	unsigned used;
};

struct dc_limits {
	struct map windows;
	size_t sweep_at; /* so many windows: throw out those that are over */
	struct window global;
	struct {
		int64_t second;
		size_t n;
	} invalid[INVALID_SLOTS];
	uint64_t invalid_total;
};

struct dc_limits *dc_limits_new(void)
{
	struct dc_limits *l = mem_zalloc(sizeof(*l));

	l->sweep_at = SWEEP_LEAST;
	return l;
}

void dc_limits_clear(struct dc_limits *l)
{
	struct window *w;

	for (size_t i = 0; (w = map_next(&l->windows, &i)) != NULL;)
		free(w);
	map_release(&l->windows);
	*l = (struct dc_limits){.sweep_at = SWEEP_LEAST};
}

void dc_limits_free(struct dc_limits *l)
{
	dc_limits_clear(l);
	free(l);
}

/* The table may not change while it is walked: what is not over moves to a new one. */
static void sweep(struct dc_limits *l, int64_t now_us)
{
	struct map kept = {0};

	for (size_t i = 0; i < l->windows.cap; i++) {
		struct map_slot *slot = &l->windows.slots[i];
		struct window *w = slot->value;

		if (w && w->ends_us > now_us)
			map_put(&kept, slot->key, w);
		else
			free(w);
	}
	map_release(&l->windows);
	l->windows = kept;
	l->sweep_at = 2 * kept.count > SWEEP_LEAST ? 2 * kept.count : SWEEP_LEAST;
}

static struct window *find(struct dc_limits *l, int64_t key, int64_t now_us)
{
	struct window *w = map_get(&l->windows, key);

	if (w)
		return w;
	if (l->windows.count >= l->sweep_at)
		sweep(l, now_us);
	w = mem_zalloc(sizeof(*w));
	map_put(&l->windows, key, w);
	return w;
}

static bool take(struct window *w, unsigned limit, int64_t window_us, int64_t now_us)
{
	if (now_us >= w->ends_us)
		*w = (struct window){.ends_us = now_us + window_us};
	if (w->used == limit)
		return false;
	w->used++;
	return true;
}

bool dc_limits_take(struct dc_limits *l, const struct dc_quota *q, unsigned route, int64_t major, int64_t now_us,
                    struct dc_allowance *out)
{
	struct window *w;
	bool taken;

	*out = (struct dc_allowance){0};
	if (q->limit == 0)
		return true;
	w = find(l, (int64_t)((uint64_t)major * 0x9e3779b97f4a7c15u + route), now_us);
	taken = take(w, q->limit, (int64_t)q->window_ms * 1000, now_us);
	*out =
	    (struct dc_allowance){.limit = q->limit, .remaining = q->limit - w->used, .reset_us = w->ends_us - now_us};
	snprintf(out->bucket, sizeof(out->bucket), "%016llx", (unsigned long long)((route + 1) * 0x9e3779b97f4a7c15u));
	return taken;
}

int64_t dc_limits_take_global(struct dc_limits *l, int64_t now_us)
{
	return take(&l->global, GLOBAL_LIMIT, GLOBAL_WINDOW_US, now_us) ? 0 : l->global.ends_us - now_us;
}

void dc_limits_invalid(struct dc_limits *l, int64_t now_us)
{
	int64_t second = now_us / 1000000;
	size_t slot = (size_t)(second % INVALID_SLOTS);

	if (l->invalid[slot].second != second) {
		l->invalid[slot].second = second;
		l->invalid[slot].n = 0;
	}
	l->invalid[slot].n++;
	l->invalid_total++;
}

size_t dc_limits_invalid_count(struct dc_limits *l, int64_t now_us, uint64_t *total)
{
	size_t n = 0;

	for (size_t i = 0; i < INVALID_SLOTS; i++) {
		if (now_us / 1000000 - l->invalid[i].second < DC_INVALID_WINDOW_MS / 1000)
			n += l->invalid[i].n;
	}
	*total = l->invalid_total;
	return n;
}
