#include "shoal/admin/place.h"

#include <stdio.h>
#include <stdlib.h>

#include "shoal/base/log.h"
#include "shoal/store/queue.h"
#include "shoal/store/queue_admin.h"

#define LOOK_MS 2000

struct one_place {
	struct shards_place *of;
	unsigned shard;
	char key[QUEUE_KEY_MAX];
	char foreign[256]; /* "": ours, or nobody's yet */
};

struct shards_place {
	struct api *api;
	struct timer timer;
	struct one_place *v;
};

static void on_mark(void *arg, enum err err, const redisReply *reply)
{
	struct one_place *s = arg;
	bool was = s->foreign[0] != '\0';
	struct arena a;
	const char *why;

	if (err != ERR_OK || reply->type != REDIS_REPLY_ARRAY)
		return;
	arena_init(&a);
	why = queue_mark_foreign(reply, s->shard, s->of->api->nshards, &a);
	snprintf(s->foreign, sizeof(s->foreign), "%s", why ? why : "");
	arena_release(&a);
	if (why && !was)
		log_error("this shard is not where the workers have it", LOG_INT("shard", s->shard),
		          LOG_STR("why", s->foreign));
}

void place_came(void *arg)
{
	struct one_place *s = arg;
	const struct span argv[] = {SPAN("HMGET"), span_of(s->key), SPAN("v"), SPAN("shard")};

	redis_call(s->of->api->shards[s->shard], on_mark, s, sizeof(argv) / sizeof(argv[0]), argv);
}

static void look(void *arg)
{
	struct shards_place *p = arg;

	for (unsigned i = 0; i < p->api->nshards && !p->api->closing; i++)
		if (redis_up(p->api->shards[i]))
			place_came(&p->v[i]);
	timer_set(&p->timer, LOOK_MS);
}

struct shards_place *place_open(struct api *api)
{
	struct shards_place *p = mem_zalloc(sizeof(*p));

	p->api = api;
	p->v = mem_zalloc(api->nshards * sizeof(p->v[0]));
	for (unsigned i = 0; i < api->nshards; i++) {
		struct one_place *s = &p->v[i];

		s->of = p;
		s->shard = i;
		queue_key(s->key, i, "conf");
	}
	timer_init(&p->timer, api->loop, look, p);
	timer_set(&p->timer, LOOK_MS);
	return p;
}

void place_close(struct shards_place *p)
{
	timer_release(&p->timer);
	free(p->v);
	free(p);
}

void *place_shard(struct shards_place *p, unsigned shard)
{
	return &p->v[shard];
}

const char *place_foreign(const struct shards_place *p, unsigned shard)
{
	return p->v[shard].foreign[0] && redis_up(p->api->shards[shard]) ? p->v[shard].foreign : NULL;
}

const char *place_any_foreign(const struct shards_place *p, unsigned *shard)
{
	for (*shard = 0; *shard < p->api->nshards; ++*shard)
		if (place_foreign(p, *shard))
			return place_foreign(p, *shard);
	return NULL;
}
