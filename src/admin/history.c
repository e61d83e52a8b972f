#include "shoal/admin/history.h"

#include <stdlib.h>

#include "shoal/admin/routes.h"
#include "shoal/base/clock.h"

enum { KEPT = 3600 * 1000 / HISTORY_STEP_MS };

struct moment {
	int64_t at_ms; /* since 1970 */
	struct sample s;
};

struct history {
	struct moment v[KEPT]; /* a ring */
	size_t n, next;
	int64_t step; /* of the last one */
};

static const char *const names[SAMPLE_VALUES] = {
    [SAMPLE_PER_SECOND] = "per_second",
    [SAMPLE_IN_FLIGHT] = "in_flight",
    [SAMPLE_LENGTH] = "length",
    [SAMPLE_WAITING] = "waiting",
    [SAMPLE_OLDEST_SECONDS] = "oldest_seconds",
    [SAMPLE_DEAD] = "dead",
    [SAMPLE_P50_MS] = "p50_ms",
    [SAMPLE_P95_MS] = "p95_ms",
    [SAMPLE_P99_MS] = "p99_ms",
};

/* --- a look */

struct sample sample_none(void)
{
	struct sample s;

	for (int i = 0; i < SAMPLE_VALUES; i++)
		s.v[i] = -1;
	return s;
}

void history_of_queue(struct sample *s, const struct queue_stats *total)
{
	s->v[SAMPLE_LENGTH] = (double)total->length;
	s->v[SAMPLE_WAITING] = (double)total->waiting;
	s->v[SAMPLE_OLDEST_SECONDS] = total->oldest_ms < 0 ? 0 : (double)total->oldest_ms / 1e3;
	s->v[SAMPLE_DEAD] = (double)total->dead;
}

void history_of_workers(struct sample *s, double per_second, int64_t in_flight, const struct latency *all)
{
	s->v[SAMPLE_PER_SECOND] = per_second;
	s->v[SAMPLE_IN_FLIGHT] = (double)in_flight;
	if (latency_count(all) == 0)
		return;
	s->v[SAMPLE_P50_MS] = latency_quantile_ms(all, 0.5);
	s->v[SAMPLE_P95_MS] = latency_quantile_ms(all, 0.95);
	s->v[SAMPLE_P99_MS] = latency_quantile_ms(all, 0.99);
}

/* --- the last hour */

struct history *history_open(void)
{
	struct history *h = mem_zalloc(sizeof(*h));

	h->step = -1;
	return h;
}

void history_close(struct history *h)
{
	free(h);
}

void history_add(struct history *h, const struct sample *s)
{
	int64_t step = clock_ms() / HISTORY_STEP_MS;

	if (step == h->step)
		return;
	h->step = step;
	h->v[h->next] = (struct moment){clock_wall_ms(), *s};
	h->next = (h->next + 1) % KEPT;
	if (h->n < KEPT)
		h->n++;
}

static void put_moment(struct visitor *v, const struct moment *m)
{
	json_begin_arr(&v->json);
	visitor_put_time(v, m->at_ms);
	for (int i = 0; i < SAMPLE_VALUES; i++) {
		if (m->s.v[i] < 0)
			json_put_null(&v->json);
		else
			json_put_num(&v->json, (double)(int64_t)(m->s.v[i] * 1000 + 0.5) / 1000);
	}
	json_end_arr(&v->json);
}

void history_look(struct visitor *v)
{
	const struct history *h = v->api->history;

	json_begin_obj(&v->json);
	json_kv_i64(&v->json, "step_seconds", HISTORY_STEP_MS / 1000);
	json_key(&v->json, "columns");
	json_begin_arr(&v->json);
	json_put_str(&v->json, "at");
	for (int i = 0; i < SAMPLE_VALUES; i++)
		json_put_str(&v->json, names[i]);
	json_end_arr(&v->json);
	json_key(&v->json, "rows");
	json_begin_arr(&v->json);
	for (size_t i = 0; i < h->n; i++)
		put_moment(v, &h->v[(h->next + KEPT - h->n + i) % KEPT]);
	json_end_arr(&v->json);
	json_end_obj(&v->json);
	visitor_send(v, 200);
}
