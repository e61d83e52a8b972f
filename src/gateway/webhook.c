#include "shoal/gateway/webhook.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shoal/base/clock.h"
#include "shoal/base/metrics.h"
#include "shoal/bots/registry.h"
#include "shoal/gateway/interactions.h"
#include "shoal/gateway/visit.h"
#include "shoal/wire/telegram.h"

#define SECRET_HEADER "X-Telegram-Bot-Api-Secret-Token"
#define RETRY_AFTER_MAX_S 5

/* Filled up with NULs. */
struct secret {
	char text[WEBHOOK_SECRET_MAX + 1];
};

struct webhook {
	const struct conf *conf;
	struct intake *in;
	unsigned nsecrets;
	struct secret secrets[2]; /* the present one and the one before */
	struct interactions *interactions;
	struct metric *requests;
};

/* An update between its XADD and its answer. Lives in the request's arena. */
struct append {
	struct visit visit;
	struct span answer; /* a call to make, as the body of the 200; or empty */
};

/* How long it takes depends on the length of what is given alone. */
static bool may_send(const struct webhook *w, const char *given)
{
	size_t size = given ? strlen(given) + 1 : 0;
	int right = 0;

	for (unsigned i = 0; i < w->nsecrets && size <= sizeof(w->secrets[i]); i++)
		right |= CRYPTO_memcmp(given, w->secrets[i].text, size) == 0;
	return given && right;
}

/* Telegram comes again when told to: nothing was accepted, nothing is lost. */
static void refuse_for_now(const struct visit *v, const char *message)
{
	char seconds[8];
	const char *headers[] = {"Retry-After", seconds, NULL};

	snprintf(seconds, sizeof(seconds), "%u", (unsigned)(1 + random_u64() % RETRY_AFTER_MAX_S));
	visit_refuse(v, 503, "unavailable", message, headers);
}

static void on_appended(void *arg, enum err err)
{
	const struct append *ap = arg;

	if (err == ERR_OK)
		visit_answer(&ap->visit, ap->answer);
	else
		refuse_for_now(&ap->visit, err == ERR_FULL ? "the queue is full" : "the queue cannot be reached");
}

/* The instant answer to a pressed button, with the toast that its command names. */
static struct span answer_to(const struct bot *bot, const struct entry *e, struct arena *a)
{
	const struct command *c;
	struct update u;
	struct call call;

	if (strcmp(e->kind_name, "callback_query") != 0)
		return (struct span){0};
	telegram_read(e->tree, e->key, e->at_ms, a, &u);
	if (u.kind != UPDATE_PRESS)
		return (struct span){0};
	c = bot_command(bot, &u);
	platform_telegram.answer_press(u.press_id, c && c->toast ? c->toast : "", a, &call);
	return telegram_webhook_reply(&call, a);
}

static void take(struct webhook *w, const struct visit *v, const struct bot *bot)
{
	struct arena *a = httpd_arena(v->r);
	struct append *ap;
	struct entry e;
	const char *why;

	if (entry_from_telegram(bot, httpd_body(v->r), clock_wall_ms(), a, &e, &why) != ERR_OK) {
		visit_refuse(v, 400, "invalid_update", why, NULL);
		return;
	}
	e.trace = visit_trace(v);
	ap = arena_new(a, struct append);
	*ap = (struct append){*v, answer_to(bot, &e, a)};
	if (!intake_append(w->in, &e, a, on_appended, ap))
		refuse_for_now(v, "too many updates at once");
}

/* The bot of "/telegram/BOT" or "/discord/BOT", if it runs. */
static const struct bot *bot_of(const struct webhook *w, const char *path)
{
	static const struct {
		const char *prefix;
		enum platform_id platform;
	} paths[] = {{"/telegram/", PLATFORM_TELEGRAM}, {"/discord/", PLATFORM_DISCORD}};

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		const struct bot *bot;

		if (!span_starts(span_of(path), paths[i].prefix))
			continue;
		bot = bots_find(span_of(path + strlen(paths[i].prefix)));
		if (!bot || bot->platform != paths[i].platform || !conf_has_bot(w->conf, bot->name))
			return NULL;
		return bot->platform == PLATFORM_TELEGRAM && w->nsecrets == 0 ? NULL : bot;
	}
	return NULL;
}

bool webhook_wants_body(void *webhook, const struct httpd_request *r)
{
	const struct webhook *w = webhook;
	const struct bot *bot = bot_of(w, httpd_path(r));

	if (!bot || strcmp(httpd_method(r), "POST") != 0)
		return false;
	return bot->platform == PLATFORM_DISCORD ? interactions_wants_body(w->interactions, bot, r)
	                                         : may_send(w, httpd_header(r, SECRET_HEADER));
}

void webhook_handle(void *webhook, struct httpd_request *r)
{
	static const char *const allow[] = {"Allow", "POST", NULL};
	struct webhook *w = webhook;
	const struct bot *bot = bot_of(w, httpd_path(r));
	const struct visit v = {.r = r, .requests = w->requests, .label = bot ? httpd_path(r) : "other"};

	if (!bot)
		visit_refuse(&v, 404, "not_found", "there is no such path, or no such bot runs here", NULL);
	else if (strcmp(httpd_method(r), "POST") != 0)
		visit_refuse(&v, 405, "method_not_allowed", "updates are sent with POST", allow);
	else if (bot->platform == PLATFORM_DISCORD)
		interactions_handle(w->interactions, bot, &v);
	else if (!may_send(w, httpd_header(r, SECRET_HEADER)))
		visit_refuse(&v, 401, "unauthorized", SECRET_HEADER " is missing or wrong", NULL);
	else
		take(w, &v, bot);
}

struct webhook *webhook_open(const struct conf *conf, struct intake *in, struct tables *tables)
{
	struct webhook *w = mem_zalloc(sizeof(*w));
	const char *secrets[] = {conf->webhook_secret, conf->webhook_secret_old};

	w->conf = conf;
	w->in = in;
	w->interactions = interactions_open(conf, in, tables);
	w->requests = metric_counter("shoal_gateway_requests_total", "path,status", "Requests of platforms by answer");
	if (conf->telegram_mode != TELEGRAM_WEBHOOK)
		return w;
	for (unsigned i = 0; i < 2; i++) {
		if (secrets[i] && *secrets[i])
			snprintf(w->secrets[w->nsecrets++].text, sizeof(w->secrets[0].text), "%s", secrets[i]);
	}
	return w;
}

void webhook_close(struct webhook *w)
{
	interactions_close(w->interactions);
	OPENSSL_cleanse(w->secrets, sizeof(w->secrets));
	free(w);
}
