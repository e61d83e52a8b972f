#include "shoal/worker/names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shoal/base/clock.h"
#include "shoal/base/log.h"
#include "shoal/base/metrics.h"
#include "shoal/bots/registry.h"
#include "shoal/wire/platform.h"

#define AGAIN_MS 10000 /* after a question without a good answer */
#define FRESH_MS 3600000
#define TIMEOUT_MS 5000

struct named {
	struct names *names;
	const struct bot *bot;
	struct timer timer;
	char name[65]; /* "": not known */
};

struct names {
	struct http *http;
	const struct reach *reach;
	struct metric *requests;
	size_t n;
	struct named *v;
};

static void on_answer(void *arg, enum err err, const struct http_response *res)
{
	struct named *b = arg;
	const struct platform *p = platform_of(b->bot->platform);
	const char *name = NULL;
	struct arena a;
	char status[16];

	arena_init(&a);
	snprintf(status, sizeof(status), "%d", err == ERR_OK ? res->status : 0);
	series_add(SERIES(b->names->requests, p->name, p->probe, status), 1);
	if (err == ERR_OK && res->status == 200)
		name = p->name_in(res->body, &a);
	if (name && strlen(name) < sizeof(b->name) && strcmp(name, b->name) != 0) {
		snprintf(b->name, sizeof(b->name), "%s", name);
		log_info("a bot's name on its platform", LOG_STR("bot", b->bot->name), LOG_STR("name", b->name));
	}
	arena_release(&a);
	timer_set(&b->timer, jitter_ms(name ? FRESH_MS : AGAIN_MS));
}

static void ask(void *arg)
{
	struct named *b = arg;
	const struct platform *p = platform_of(b->bot->platform);
	struct request r;
	struct arena a;

	arena_init(&a);
	p->request(reach_credentials(b->names->reach, b->bot), &(struct call){.method = p->probe}, &a, &r);
	const struct http_request req = {.method = r.method,
	                                 .url = r.url,
	                                 .headers = r.headers,
	                                 .body = r.body,
	                                 .timeout_ms = TIMEOUT_MS,
	                                 .peer = p->name};
	http_send(b->names->http, &req, on_answer, b);
	arena_release(&a);
}

static void add(struct names *n, struct loop *l, const struct bot *bot)
{
	struct named *b = &n->v[n->n++];

	*b = (struct named){.names = n, .bot = bot};
	timer_init(&b->timer, l, ask, b);
	timer_set(&b->timer, 0);
}

struct names *names_open(struct loop *l, const struct conf *conf, struct http *http, const struct reach *reach)
{
	struct names *n = mem_zalloc(sizeof(*n));
	size_t bots = 0;

	*n = (struct names){.http = http, .reach = reach};
	n->requests = metric_counter("shoal_platform_requests_total", "platform,method,status",
	                             "Calls of the platforms' APIs; status 0: no answer");
	while (bots_all[bots])
		bots++;
	n->v = mem_zalloc((bots + 1) * sizeof(*n->v));
	for (const struct bot *const *b = bots_all; *b; b++) {
		if ((*b)->wants_name && conf_has_bot(conf, (*b)->name) && conf_bot_token(conf, (*b)->name))
			add(n, l, *b);
	}
	return n;
}

const char *names_of(const struct names *n, const struct bot *bot)
{
	for (size_t i = 0; i < n->n; i++) {
		if (n->v[i].bot == bot)
			return n->v[i].name[0] ? n->v[i].name : NULL;
	}
	return NULL;
}

void names_close(struct names *n)
{
	for (size_t i = 0; i < n->n; i++)
		timer_release(&n->v[i].timer);
	free(n->v);
	free(n);
}
