#include "shoal/admin/place.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shoal/base/log.h"
#include "shoal/store/queue.h"

#define LOOK_MS 2000

struct shard_place {
	struct place *of;
	unsigned shard;
	char key[QUEUE_KEY_MAX], ours[24];
	char foreign[QUEUE_FOREIGN_MAX]; /* "": ours, or nobody's yet */
};

struct place {
	struct api *api;
	struct timer timer;
	struct shard_place *v;
};

static const char *text_of(const redisReply *r, size_t i)
{
	return i < r->elements && r->element[i]->type == REDIS_REPLY_STRING ? r->element[i]->str : NULL;
}

static void on_mark(void *arg, enum err err, const redisReply *reply)
{
	struct shard_place *s = arg;
	const char *format, *shard;
	bool was = s->foreign[0] != '\0';

	if (err != ERR_OK || reply->type != REDIS_REPLY_ARRAY)
		return;
	format = text_of(reply, 0);
	shard = text_of(reply, 1);
	s->foreign[0] = '\0';
	if (!format || (strcmp(format, QUEUE_FORMAT) == 0 && shard && strcmp(shard, s->ours) == 0))
		return;
	queue_foreign_text(s->foreign, format, shard ? shard : "?", s->ours);
	if (!was)
		log_error("this shard is not where the workers have it", LOG_INT("shard", s->shard),
		          LOG_STR("detail", s->foreign));
}

void place_came(void *place_shard)
{
	struct shard_place *s = place_shard;
	const struct span argv[] = {SPAN("HMGET"), span_of(s->key), SPAN("v"), SPAN("shard")};

	redis_call(s->of->api->shards[s->shard], on_mark, s, sizeof(argv) / sizeof(argv[0]), argv);
}

static void look(void *arg)
{
	struct place *p = arg;

	for (unsigned i = 0; i < p->api->nshards && !p->api->closing; i++)
		if (redis_up(p->api->shards[i]))
			place_came(&p->v[i]);
	timer_set(&p->timer, LOOK_MS);
}

struct place *place_open(struct api *api)
{
	struct place *p = mem_zalloc(sizeof(*p));

	p->api = api;
	p->v = mem_zalloc(api->nshards * sizeof(p->v[0]));
	for (unsigned i = 0; i < api->nshards; i++) {
		struct shard_place *s = &p->v[i];

		s->of = p;
		s->shard = i;
		queue_key(s->key, i, "conf");
		snprintf(s->ours, sizeof(s->ours), "%u/%u", i, api->nshards);
	}
	timer_init(&p->timer, api->loop, look, p);
	timer_set(&p->timer, LOOK_MS);
	return p;
}

void place_close(struct place *p)
{
	timer_release(&p->timer);
	free(p->v);
	free(p);
}

void *place_shard(struct place *p, unsigned shard)
{
	return &p->v[shard];
}

const char *place_foreign(const struct place *p, unsigned shard)
{
	return p->v[shard].foreign[0] ? p->v[shard].foreign : NULL;
}

const char *place_any_foreign(const struct place *p, unsigned *shard)
{
	for (*shard = 0; *shard < p->api->nshards; ++*shard)
		if (place_foreign(p, *shard))
			return place_foreign(p, *shard);
	return NULL;
}
