/* The program's life: what it opens, how it ends. */
#include "shoal/admin/admin.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "shoal/admin/api.h"
#include "shoal/admin/auth.h"
#include "shoal/admin/events.h"
#include "shoal/admin/history.h"
#include "shoal/admin/place.h"
#include "shoal/admin/roster.h"
#include "shoal/base/args.h"
#include "shoal/base/clock.h"
#include "shoal/base/log.h"
#include "shoal/io/health.h"
#include "shoal/store/cache_fence.h"
#include "shoal/store/cache_gen.h"
#include "shoal/store/cache_key.h"
#include "shoal/store/cache_load.h"
#include "shoal/store/queue.h"
#include "shoal/store/shards.h"
#include "shoal/store/shards_health.h"

#define BODY_MAX (64u << 10)
#define HEADERS_MAX (16u << 10)
#define CONNECTIONS_MAX 512
#define TIMEOUT_S 15
#define PG_CONNECTIONS 2
#define STATEMENT_TIMEOUT_MS 5000
#define REDIS_TIMEOUT_MS 2000
#define DRAIN_LOOK_MS 20
#define QUIET_LOOKS 3

struct admin {
	char id[32];
	struct conf conf;
	struct arena arena; /* of the process */
	const char **urls;
	struct api api;
	struct shards_health shards;
	struct httpd *httpd;
	struct health *health;
	bool draining;
	int64_t deadline_ms;
	unsigned quiet; /* looks in a row that found nothing open */
	struct timer drain;
};

/* Of every answer: nothing is kept, nothing is run, nothing is framed. */
static const char *const headers[] = {"Cache-Control",
                                      "no-store",
                                      "X-Content-Type-Options",
                                      "nosniff",
                                      "X-Frame-Options",
                                      "DENY",
                                      "Referrer-Policy",
                                      "no-referrer",
                                      "Content-Security-Policy",
                                      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
                                      "connect-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'",
                                      NULL};

static bool configure(struct admin *ad, const char **why)
{
	struct conf *c = &ad->conf;

	if (conf_load(c, &ad->arena, NULL, why) != ERR_OK ||
	    shards_parse(c->redis_url, &ad->arena, &ad->urls, &ad->api.nshards, why) != ERR_OK ||
	    shards_check_cache(c->cache_redis_url, &ad->arena, why) != ERR_OK ||
	    pg_check_url(c->postgres_url, &ad->arena, why) != ERR_OK)
		return false;
	log_init(c->log, c->log_format, "admin", ad->id);
	ad->api.auth = auth_open(c, why);
	return ad->api.auth != NULL;
}

/* --- servers */

static void cache_redis_came(void *arg)
{
	struct api *api = arg;

	cache_gen_redis_came(api->gen);
	cache_load_redis_came(api->load);
}

/* Another generation is of no interest to who remembers nothing. */
static void on_generation(void *arg, enum cache_kind kind)
{
	(void)arg;
	(void)kind;
}

static void open_caches(struct api *api)
{
	const struct conf *c = api->conf;

	api->cache = redis_open(api->loop, &(struct redis_opts){.url = c->cache_redis_url,
	                                                        .home = CACHE_HOME,
	                                                        .label = "cache",
	                                                        .timeout_ms = REDIS_TIMEOUT_MS,
	                                                        .on_up = cache_redis_came,
	                                                        .arg = api});
	api->gen = cache_gen_open(&(struct cache_gen_opts){api->loop, api->cache, on_generation, api});
	api->load = cache_load_open(&(struct cache_load_opts){.loop = api->loop,
	                                                      .redis = api->cache,
	                                                      .pg = api->changes,
	                                                      .player_ttl_s = c->player_ttl_s,
	                                                      .code_ttl_s = c->code_ttl_s});
	api->fences = cache_fences_open(api->loop, api->cache);
}

static const char *shard_trouble(const void *arg, unsigned shard)
{
	const struct api *api = arg;
	const char *why = redis_trouble(api->shards[shard]);

	return why ? why : place_foreign(api->place, shard);
}

static const char *shard_foreign(const void *arg, unsigned shard)
{
	const struct api *api = arg;

	return place_foreign(api->place, shard);
}

static struct pg *open_postgres(const struct api *api, unsigned connections)
{
	const struct conf *c = api->conf;

	return pg_open(api->loop, &(struct pg_opts){.url = c->postgres_url,
	                                            .application_name = "shoal-admin",
	                                            .connections = connections,
	                                            .prepare = c->pg_prepare,
	                                            .writes = true,
	                                            .keepalive_s = (unsigned)c->pg_keepalive_s,
	                                            .statement_timeout_ms = STATEMENT_TIMEOUT_MS,
	                                            .slow_ms = (unsigned)c->slow_query_ms});
}

static void open_servers(struct admin *ad)
{
	struct api *api = &ad->api;
	const struct conf *c = &ad->conf;

	api->conf = c;
	api->requests = metric_counter("shoal_admin_requests_total", "path,status", "Requests of operators by answer");
	api->pg = open_postgres(api, PG_CONNECTIONS);
	api->changes = open_postgres(api, 1);
	open_caches(api);
	api->place = place_open(api);
	api->shards = arena_array(&ad->arena, struct redis *, api->nshards);
	for (unsigned i = 0; i < api->nshards; i++)
		api->shards[i] = redis_open(api->loop, &(struct redis_opts){.url = ad->urls[i],
		                                                            .home = queue_home(&ad->arena, i),
		                                                            .label = "queue",
		                                                            .timeout_ms = REDIS_TIMEOUT_MS,
		                                                            .on_up = place_came,
		                                                            .arg = place_shard(api->place, i)});
	ad->shards =
	    (struct shards_health){.n = api->nshards, .trouble = shard_trouble, .foreign = shard_foreign, .arg = api};
	shards_health_init(&ad->shards);
	api->roster = roster_open(api);
	api->history = history_open();
	api->events = events_open(api);
}

/* Postgres goes last: what ends with the others may still be noted there. */
static void close_servers(struct api *api)
{
	api->closing = true;
	events_end(api->events);
	cache_fences_close(api->fences);
	cache_load_close(api->load);
	cache_gen_close(api->gen);
	for (unsigned i = 0; i < api->nshards; i++)
		redis_close(api->shards[i]);
	place_close(api->place);
	redis_close(api->cache);
	events_close(api->events);
	history_close(api->history);
	roster_close(api->roster);
	pg_close(api->pg);
	pg_close(api->changes);
}

/* --- health */

static const char *check_cache(void *arg)
{
	const struct api *api = arg;

	return redis_up(api->cache) ? NULL : "the Redis of the caches cannot be reached";
}

static const char *check_postgres(void *arg)
{
	const struct api *api = arg;

	return pg_trouble(api->pg) ? pg_trouble(api->pg) : pg_trouble(api->changes);
}

static const char *check_draining(void *arg)
{
	const struct admin *ad = arg;

	return ad->draining ? "draining" : NULL;
}

static void set_cut_off(void *arg)
{
	struct admin *ad = arg;
	struct metric *m = metric_gauge("shoal_cut_off", "peer", "1 while this peer does not serve");

	series_set(SERIES(m, "queue"), shards_away(&ad->shards) > 0);
	series_set(SERIES(m, "cache"), check_cache(&ad->api) != NULL);
	series_set(SERIES(m, "postgres"), check_postgres(&ad->api) != NULL);
}

/* --- life */

static void look(void *arg)
{
	struct admin *ad = arg;
	bool open = httpd_accepting(ad->httpd) || httpd_open_requests(ad->httpd) > 0;

	/* The last answers are handed over, but not sent before the loop turns again: quiet must last. */
	ad->quiet = open ? 0 : ad->quiet + 1;
	if (ad->quiet < QUIET_LOOKS && clock_ms() < ad->deadline_ms)
		timer_set(&ad->drain, DRAIN_LOOK_MS);
	else
		loop_stop(ad->api.loop);
}

static void on_signal(void *arg, int signum)
{
	struct admin *ad = arg;

	if (ad->draining) { /* told twice: at once */
		loop_stop(ad->api.loop);
		return;
	}
	log_info("draining", LOG_INT("signal", signum));
	ad->draining = true;
	ad->deadline_ms = clock_ms() + ad->conf.drain_s * 1000;
	httpd_wind_down(ad->httpd, ad->conf.drain_s * 500);
	events_end(ad->api.events);
	timer_set(&ad->drain, 0);
}

static bool listen_all(struct admin *ad, const char **why)
{
	struct httpd_opts opts = {.listen = ad->conf.admin_listen,
	                          .variable = "SHOAL_ADMIN_LISTEN",
	                          .max_body = BODY_MAX,
	                          .max_headers = HEADERS_MAX,
	                          .max_connections = CONNECTIONS_MAX,
	                          .timeout_s = TIMEOUT_S,
	                          .headers = headers,
	                          .wants_body = admin_wants_body,
	                          .handle = admin_handle,
	                          .arg = &ad->api};

	ad->health = health_open(ad->api.loop, ad->conf.metrics_listen, &ad->arena, why);
	if (!ad->health && *why)
		return false;
	health_check(ad->health, "queue", shards_all_away, &ad->shards);
	health_note(ad->health, "shards", shards_any_away, &ad->shards);
	health_check(ad->health, "cache", check_cache, &ad->api);
	health_check(ad->health, "postgres", check_postgres, &ad->api);
	health_check(ad->health, "draining", check_draining, ad);
	ad->httpd = httpd_open(ad->api.loop, &opts, &ad->arena, why);
	return ad->httpd != NULL;
}

/* The servers go first: their last answers go to requests. */
static void close_all(struct admin *ad)
{
	close_servers(&ad->api);
	httpd_free(ad->httpd);
	health_close(ad->health);
	timer_release(&ad->drain);
	loop_free(ad->api.loop);
}

static int run(struct admin *ad)
{
	const char *why = NULL;

	ad->api.loop = loop_new();
	timer_init(&ad->drain, ad->api.loop, look, ad);
	open_servers(ad);
	if (!listen_all(ad, &why)) {
		fprintf(stderr, "shoal admin: %s\n", why);
		close_all(ad);
		return EXIT_FAILED;
	}
	metrics_on_render(set_cut_off, ad);
	loop_on_signal(ad->api.loop, SIGTERM, on_signal, ad);
	loop_on_signal(ad->api.loop, SIGINT, on_signal, ad);
	log_info("admin started", LOG_INT("port", httpd_port(ad->httpd)), LOG_INT("health", health_port(ad->health)),
	         LOG_INT("shards", ad->api.nshards));
	loop_run(ad->api.loop);
	close_all(ad);
	log_info("admin stopped");
	return EXIT_DONE;
}

int verb_admin(int argc, char **argv)
{
	static const struct arg_opt no_options[] = {{0}};
	struct admin ad = {0};
	struct args args;
	const char *why = NULL;
	int code;

	arena_init(&ad.arena);
	snprintf(ad.id, sizeof(ad.id), "admin-");
	random_hex(ad.id + strlen(ad.id), 4);
	if (!args_parse(&args, &ad.arena, argc, argv, no_options) || !args_count(&args, 0, 0, "")) {
		code = EXIT_USAGE;
	} else if (!configure(&ad, &why)) {
		fprintf(stderr, "shoal admin: %s\n", why);
		code = EXIT_FAILED;
	} else {
		code = run(&ad);
	}
	auth_close(ad.api.auth);
	arena_release(&ad.arena);
	return code;
}
