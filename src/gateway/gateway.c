#include "shoal/gateway/gateway.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "shoal/base/args.h"
#include "shoal/base/clock.h"
#include "shoal/base/conf.h"
#include "shoal/base/log.h"
#include "shoal/base/metrics.h"
#include "shoal/bots/registry.h"
#include "shoal/gateway/intake.h"
#include "shoal/gateway/interactions.h"
#include "shoal/gateway/poll.h"
#include "shoal/gateway/tables.h"
#include "shoal/gateway/webhook.h"
#include "shoal/io/health.h"
#include "shoal/io/http.h"
#include "shoal/io/httpd.h"
#include "shoal/io/loop.h"
#include "shoal/io/redis.h"
#include "shoal/store/cache_key.h"
#include "shoal/store/shards.h"

#define BODY_MAX (1u << 20)
#define BODIES_MAX (64u << 20) /* of strangers, too: Discord's signatures are over the body */
#define HEADERS_MAX (16u << 10)
#define CONNECTIONS_MAX 4096
#define TIMEOUT_S 60
#define HEAD_S 10 /* a head is one packet or two */
#define POLLERS_MAX 8
#define BATCH_MAX (32u << 20) /* bytes of one getUpdates answer */
#define DRAIN_LOOK_MS 20
#define QUIET_LOOKS 3
#define LOCKS_TIMEOUT_MS 2000

struct gateway {
	char id[32];
	struct conf conf;
	struct arena arena; /* of the process */
	const char **urls;
	unsigned shards;

	struct loop *loop;
	struct intake *intake;
	struct tables *tables; /* NULL: no bot of Discord can be served */
	struct webhook *webhook;
	struct httpd *httpd;
	struct health *health;
	struct http *http;   /* poll mode */
	struct redis *locks; /* the same */
	struct poller *pollers[POLLERS_MAX];
	unsigned npollers, polling;

	bool draining, retired;
	int64_t deadline_ms;
	unsigned quiet; /* looks in a row that found nothing open */
	struct timer drain;
};

/* --- configuration */

/* Who polls needs the bot's token: without one those that nobody has named are passed over. */
static bool runs_here(const struct conf *c, const struct bot *b)
{
	bool polled = b->platform == PLATFORM_TELEGRAM && c->telegram_mode == TELEGRAM_POLL;

	return polled ? conf_expects_bot(c, b->name) : conf_has_bot(c, b->name);
}

/* The nth bot of that platform that runs here. */
static const struct bot *bot_of(const struct conf *c, enum platform_id platform, unsigned n)
{
	for (const struct bot *const *b = bots_all; *b; b++) {
		if ((*b)->platform == platform && runs_here(c, *b) && n-- == 0)
			return *b;
	}
	return NULL;
}

static const char *check_mode(const struct conf *c, struct arena *a)
{
	const struct bot *bot;

	if (!bot_of(c, PLATFORM_TELEGRAM, 0))
		return c->telegram_mode == TELEGRAM_POLL && c->bots_by_default
		           ? "poll mode needs the token of a bot: SHOAL_PERSONA_TOKEN, SHOAL_ESCROW_TOKEN"
		           : NULL;
	if (c->telegram_mode == TELEGRAM_WEBHOOK)
		return c->webhook_secret && *c->webhook_secret
		           ? NULL
		           : "SHOAL_WEBHOOK_SECRET is not set: webhook mode needs one, 1 to 256 of A-Z a-z 0-9 _ -";
	for (unsigned i = 0; (bot = bot_of(c, PLATFORM_TELEGRAM, i)); i++) {
		if (!conf_bot_token(c, bot->name))
			return arena_printf(a, "poll mode needs the token of the bot \"%s\", which is not set",
			                    bot->name);
	}
	return NULL;
}

static bool configure(struct gateway *g, const char **why)
{
	return conf_load(&g->conf, &g->arena, NULL, why) == ERR_OK &&
	       shards_parse(g->conf.redis_url, &g->arena, &g->urls, &g->shards, why) == ERR_OK &&
	       shards_check_cache(g->conf.cache_redis_url, &g->arena, why) == ERR_OK &&
	       !(*why = check_mode(&g->conf, &g->arena));
}

/* --- life */

/* Of the caches, where the pollers' locks lie. */
static const char *check_locks(void *arg)
{
	struct gateway *g = arg;

	return redis_trouble(g->locks);
}

static void set_cut_off(void *arg)
{
	struct gateway *g = arg;

	struct metric *m = metric_gauge("shoal_cut_off", "peer", "1 while this peer does not serve");
	bool poll = false;

	series_set(SERIES(m, "queue"), shards_away(intake_health(g->intake)) > 0);
	for (unsigned i = 0; i < g->npollers; i++)
		poll = poll || poller_trouble(g->pollers[i]);
	if (g->npollers > 0)
		series_set(SERIES(m, "telegram"), poll);
}

static const char *check_poller(void *arg)
{
	return poller_trouble(arg);
}

static const char *check_draining(void *arg)
{
	struct gateway *g = arg;

	return g->draining ? "draining" : NULL;
}

static void look(void *arg)
{
	struct gateway *g = arg;
	unsigned open = httpd_open_requests(g->httpd) + intake_under_way(g->intake) + g->polling;
	bool accepting = httpd_accepting(g->httpd);

	if (!accepting && g->tables && !g->retired) {
		tables_retire(g->tables);
		g->retired = true;
	}
	/* The last answers are handed over, but not sent before the loop turns again: quiet must last. */
	g->quiet = accepting || open > 0 ? 0 : g->quiet + 1;
	if (g->quiet < QUIET_LOOKS && clock_ms() < g->deadline_ms) {
		timer_set(&g->drain, DRAIN_LOOK_MS);
		return;
	}
	if (open > 0)
		log_warn("stopped with work in hand; the platform sends it again", LOG_INT("open", open));
	loop_stop(g->loop);
}

static void on_poller_stopped(void *arg)
{
	struct gateway *g = arg;

	g->polling--;
}

static void on_signal(void *arg, int signum)
{
	struct gateway *g = arg;

	if (g->draining) { /* told twice: at once */
		loop_stop(g->loop);
		return;
	}
	log_info("draining", LOG_INT("signal", signum));
	g->draining = true;
	g->deadline_ms = clock_ms() + g->conf.drain_s * 1000;
	httpd_wind_down(g->httpd, g->conf.drain_s * 500);
	for (unsigned i = 0; i < g->npollers; i++)
		poller_stop(g->pollers[i], on_poller_stopped, g);
	timer_set(&g->drain, 0);
}

static bool listen_all(struct gateway *g, const char **why)
{
	struct httpd_opts opts = {.listen = g->conf.gateway_listen,
	                          .variable = "SHOAL_GATEWAY_LISTEN",
	                          .max_body = BODY_MAX,
	                          .max_bodies = BODIES_MAX,
	                          .max_headers = HEADERS_MAX,
	                          .max_connections = CONNECTIONS_MAX,
	                          .timeout_s = TIMEOUT_S,
	                          .head_s = HEAD_S,
	                          .wants_body = webhook_wants_body,
	                          .handle = webhook_handle};

	g->webhook = webhook_open(&g->conf, g->intake, g->tables);
	opts.arg = g->webhook;
	g->health = health_open(g->loop, g->conf.metrics_listen, &g->arena, why);
	if (!g->health && *why)
		return false;
	health_check(g->health, "redis", shards_all_away, intake_health(g->intake));
	health_note(g->health, "shards", shards_any_away, intake_health(g->intake));
	health_check(g->health, "draining", check_draining, g);
	g->httpd = httpd_open(g->loop, &opts, &g->arena, why);
	return g->httpd != NULL;
}

static bool open_tables(struct gateway *g, const char **why)
{
	if (!interactions_possible(&g->conf))
		return true;
	g->tables = tables_open(g->loop, &g->conf, g->id, &g->arena, why);
	return g->tables != NULL;
}

static void start_pollers(struct gateway *g)
{
	struct http_opts http = {.per_host = POLLERS_MAX, .max_body = BATCH_MAX, .user_agent = "shoal-gateway"};
	const struct bot *bot;

	if (g->conf.telegram_mode != TELEGRAM_POLL)
		return;
	g->http = http_open(g->loop, &http);
	g->locks = redis_open(g->loop, &(struct redis_opts){.url = g->conf.cache_redis_url,
	                                                    .home = CACHE_HOME,
	                                                    .label = "cache",
	                                                    .timeout_ms = LOCKS_TIMEOUT_MS});
	health_check(g->health, "locks", check_locks, g);
	for (unsigned i = 0; i < POLLERS_MAX && (bot = bot_of(&g->conf, PLATFORM_TELEGRAM, i)); i++) {
		struct poller_opts opts = {.loop = g->loop,
		                           .http = g->http,
		                           .in = g->intake,
		                           .locks = g->locks,
		                           .bot = bot,
		                           .api = g->conf.telegram_api,
		                           .token = conf_bot_token(&g->conf, bot->name)};

		g->pollers[g->npollers] = poller_open(&opts);
		health_check(g->health, arena_printf(&g->arena, "poll %s", bot->name), check_poller,
		             g->pollers[g->npollers++]);
		g->polling++;
	}
}

/* The intake goes first: its last answers go to requests and pollers. */
static void close_all(struct gateway *g)
{
	intake_close(g->intake);
	redis_close(g->locks);
	for (unsigned i = 0; i < g->npollers; i++)
		poller_free(g->pollers[i]);
	if (g->http)
		http_close(g->http);
	tables_close(g->tables);
	if (g->httpd)
		httpd_free(g->httpd);
	if (g->webhook)
		webhook_close(g->webhook);
	health_close(g->health);
	timer_release(&g->drain);
	loop_free(g->loop);
}

static int run(struct gateway *g)
{
	const char *why = NULL;

	g->loop = loop_new();
	timer_init(&g->drain, g->loop, look, g);
	g->intake = intake_open(g->loop, g->urls, g->shards);
	if (!open_tables(g, &why) || !listen_all(g, &why)) {
		fprintf(stderr, "shoal gateway: %s\n", why);
		close_all(g);
		return EXIT_FAILED;
	}
	start_pollers(g);
	metrics_on_render(set_cut_off, g);
	loop_on_signal(g->loop, SIGTERM, on_signal, g);
	loop_on_signal(g->loop, SIGINT, on_signal, g);
	log_info("gateway started", LOG_INT("port", httpd_port(g->httpd)), LOG_INT("health", health_port(g->health)),
	         LOG_INT("shards", g->shards), LOG_STR("bots", g->conf.bots),
	         LOG_STR("mode", g->conf.telegram_mode == TELEGRAM_POLL ? "poll" : "webhook"));
	loop_run(g->loop);
	close_all(g);
	log_info("gateway stopped");
	return EXIT_DONE;
}

int verb_gateway(int argc, char **argv)
{
	static const struct arg_opt no_options[] = {{0}};
	struct gateway g = {0};
	struct args args;
	const char *why = NULL;
	int code;

	arena_init(&g.arena);
	if (!args_parse(&args, &g.arena, argc, argv, no_options) || !args_count(&args, 0, 0, "")) {
		code = EXIT_USAGE;
	} else if (!configure(&g, &why)) {
		fprintf(stderr, "shoal gateway: %s\n", why);
		code = EXIT_FAILED;
	} else {
		snprintf(g.id, sizeof(g.id), "gateway-");
		random_hex(g.id + strlen(g.id), 4);
		log_init(g.conf.log, g.conf.log_format, "gateway", g.id);
		code = run(&g);
	}
	arena_release(&g.arena);
	return code;
}
