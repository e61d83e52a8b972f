/* What the API works with: the servers, and who may ask. */
#ifndef SHOAL_ADMIN_API_H
#define SHOAL_ADMIN_API_H

#include "shoal/base/conf.h"
#include "shoal/base/metrics.h"
#include "shoal/io/httpd.h"
#include "shoal/io/loop.h"
#include "shoal/io/pg.h"
#include "shoal/io/redis.h"

struct api {
	struct loop *loop;
	const struct conf *conf;
	struct pg *pg;       /* of what is read */
	unsigned reading;    /* questions that it has not answered */
	struct pg *changes;  /* and of what is changed and noted, which slow questions do not hold up */
	struct redis *cache; /* of the caches */
	struct redis **shards;
	unsigned nshards;
	struct shards_place *place; /* whether they are the workers' */
	struct auth *auth;
	struct cache_gen *gen;       /* of the caches in Redis */
	struct cache_load *load;     /* which reads them whole */
	struct cache_fences *fences; /* and those who wait for the fleet */
	struct roster *roster;       /* who works */
	struct history *history;     /* what they did lately */
	struct events *events;       /* and who watches them */
	struct metric *requests;     /* shoal_admin_requests_total */
	bool closing;                /* nothing more is asked of Redis */
};

/* For struct httpd_opts; arg is the api. */
bool admin_wants_body(void *api, const struct httpd_request *r);
void admin_handle(void *api, struct httpd_request *r);

#endif
