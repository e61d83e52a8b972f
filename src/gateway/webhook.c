#include "shoal/gateway/webhook.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shoal/base/clock.h"
#include "shoal/base/json.h"
#include "shoal/base/metrics.h"
#include "shoal/bots/registry.h"
#include "shoal/wire/telegram.h"

#define SECRET_HEADER "X-Telegram-Bot-Api-Secret-Token"
#define RETRY_AFTER_MAX_S 5

struct digest {
	unsigned char bytes[SHA256_DIGEST_LENGTH];
};

struct webhook {
	const struct conf *conf;
	struct intake *in;
	unsigned nsecrets;
	struct digest secrets[2]; /* the present one and the one before */
	struct metric *requests;
};

/* A request between its XADD and its answer. Lives in the request's arena. */
struct visit {
	struct webhook *w;
	struct httpd_request *r;
	const char *label;  /* bounded: the path of a bot that runs, or "other" */
	struct span answer; /* a call to make, as the body of the 200; or empty */
};

/* Digests are of one length, so that comparing them tells nothing about the secret's. */
static struct digest digest_of(const char *secret)
{
	struct digest d;

	SHA256((const unsigned char *)secret, strlen(secret), d.bytes);
	return d;
}

static bool may_send(const struct webhook *w, const char *given)
{
	struct digest d = digest_of(given ? given : "");
	int right = 0;

	for (unsigned i = 0; i < w->nsecrets; i++)
		right |= CRYPTO_memcmp(&d, &w->secrets[i], sizeof(d)) == 0;
	return given && right;
}

static void count(const struct visit *v, int status)
{
	char word[16];

	snprintf(word, sizeof(word), "%d", status);
	series_add(SERIES(v->w->requests, v->label, word), 1);
}

static void refuse(const struct visit *v, int status, const char *code, const char *message, const char *const *headers)
{
	struct buf b;
	struct json_writer w;

	count(v, status);
	buf_init(&b, 4096);
	json_writer_init(&w, &b);
	json_begin_obj(&w);
	json_key(&w, "error");
	json_begin_obj(&w);
	json_kv_str(&w, "code", code);
	json_kv_str(&w, "message", message);
	json_end_obj(&w);
	json_end_obj(&w);
	httpd_reply(v->r, status, "application/json", buf_span(&b), headers);
	buf_release(&b);
}

/* Telegram comes again when told to: nothing was accepted, nothing is lost. */
static void refuse_for_now(const struct visit *v, const char *message)
{
	char seconds[8];
	const char *headers[] = {"Retry-After", seconds, NULL};

	snprintf(seconds, sizeof(seconds), "%u", (unsigned)(1 + random_u64() % RETRY_AFTER_MAX_S));
	refuse(v, 503, "unavailable", message, headers);
}

static void on_appended(void *arg, enum err err)
{
	struct visit *v = arg;

	if (err != ERR_OK) {
		refuse_for_now(v, err == ERR_FULL ? "the queue is full" : "the queue cannot be reached");
		return;
	}
	count(v, 200);
	httpd_reply(v->r, 200, "application/json", v->answer, NULL);
}

/* The instant answer to a pressed button, with the toast that its command names. */
static struct span answer_to(const struct bot *bot, const struct entry *e, struct arena *a)
{
	const struct command *c;
	struct update u;
	struct call call;
	const char *why;

	if (strcmp(e->kind_name, "callback_query") != 0 ||
	    telegram_decode(bot, e->body, e->key, e->at_ms, a, &u, &why) != ERR_OK || u.kind != UPDATE_PRESS)
		return (struct span){0};
	c = bot_command(bot, &u);
	platform_telegram.answer_press(u.press_id, c && c->toast ? c->toast : "", a, &call);
	return telegram_webhook_reply(&call, a);
}

static void take(struct visit *v, const struct bot *bot)
{
	struct arena *a = httpd_arena(v->r);
	struct entry e;
	const char *why;

	if (entry_from_telegram(bot, httpd_body(v->r), clock_wall_ms(), a, &e, &why) != ERR_OK) {
		refuse(v, 400, "invalid_update", why, NULL);
		return;
	}
	v->answer = answer_to(bot, &e, a);
	if (!intake_append(v->w->in, &e, a, on_appended, v))
		refuse_for_now(v, "too many updates at once");
}

/* The bot of "/telegram/BOT", if it runs. */
static const struct bot *bot_of(const struct webhook *w, const char *path)
{
	struct span name = span_of(path);
	const struct bot *bot;

	if (w->nsecrets == 0 || !span_starts(name, "/telegram/"))
		return NULL;
	bot = bots_find(span_of(path + strlen("/telegram/")));
	return bot && bot->platform == PLATFORM_TELEGRAM && conf_has_bot(w->conf, bot->name) ? bot : NULL;
}

bool webhook_wants_body(void *webhook, const struct httpd_request *r)
{
	const struct webhook *w = webhook;

	return bot_of(w, httpd_path(r)) && strcmp(httpd_method(r), "POST") == 0 &&
	       may_send(w, httpd_header(r, SECRET_HEADER));
}

void webhook_handle(void *webhook, struct httpd_request *r)
{
	static const char *const allow[] = {"Allow", "POST", NULL};
	struct visit *v = arena_new(httpd_arena(r), struct visit);
	const struct bot *bot;

	*v = (struct visit){.w = webhook, .r = r, .label = "other"};
	bot = bot_of(v->w, httpd_path(r));
	if (bot)
		v->label = httpd_path(r);
	if (!bot)
		refuse(v, 404, "not_found", "there is no such path, or no such bot runs here", NULL);
	else if (strcmp(httpd_method(r), "POST") != 0)
		refuse(v, 405, "method_not_allowed", "updates are sent with POST", allow);
	else if (!may_send(v->w, httpd_header(r, SECRET_HEADER)))
		refuse(v, 401, "unauthorized", SECRET_HEADER " is missing or wrong", NULL);
	else
		take(v, bot);
}

struct webhook *webhook_open(const struct conf *conf, struct intake *in)
{
	struct webhook *w = mem_zalloc(sizeof(*w));
	const char *secrets[] = {conf->webhook_secret, conf->webhook_secret_old};

	w->conf = conf;
	w->in = in;
	w->requests = metric_counter("shoal_gateway_requests_total", "path,status", "Requests of platforms by answer");
	if (conf->telegram_mode != TELEGRAM_WEBHOOK)
		return w;
	for (unsigned i = 0; i < 2; i++) {
		if (secrets[i] && *secrets[i])
			w->secrets[w->nsecrets++] = digest_of(secrets[i]);
	}
	return w;
}

void webhook_close(struct webhook *w)
{
	OPENSSL_cleanse(w->secrets, sizeof(w->secrets));
	free(w);
}
