/* Delivery by webhook: POST, in order within a lane, parallel between lanes, tried again with a delay that doubles. */
#include "shoal/sim/webhook.h"

#include <stdlib.h>
#include <string.h>

#include "shoal/base/arena.h"
#include "shoal/base/clock.h"
#include "shoal/base/log.h"
#include "shoal/sim/call.h"

#define REPLY_TIMEOUT_MS 60000
#define RETRY_FIRST_MS 1000
#define RETRY_MOST_MS 60000
#define RETRY_AFTER_MOST_MS (3600 * 1000)

static void pump(void *arg);

void webhook_init(struct updates *q)
{
	q->pump = (struct task){.fn = pump, .arg = q};
}

void webhook_ready(struct lane *l)
{
	struct updates *q = &l->bot->updates;

	if (!q->hook.url || l->queued || l->call || timer_armed(&l->again) || !l->first)
		return;
	l->queued = true;
	l->next = NULL;
	*q->ready_end = l;
	q->ready_end = &l->next;
	loop_defer(l->bot->sim->loop, &q->pump);
}

static struct lane *take_ready(struct updates *q)
{
	struct lane *l = q->ready;

	q->ready = l->next;
	if (!q->ready)
		q->ready_end = &q->ready;
	l->queued = false;
	return l;
}

static void on_again(void *arg)
{
	webhook_ready(arg);
}

static int64_t retry_delay(const struct lane *l, const struct http_response *res)
{
	if (res && res->retry_after_ms >= 0)
		return res->retry_after_ms < RETRY_AFTER_MOST_MS ? res->retry_after_ms : RETRY_AFTER_MOST_MS;
	unsigned doublings = l->failures < 7 ? l->failures - 1 : 6;
	int64_t ms = (int64_t)RETRY_FIRST_MS << doublings;
	ms = ms < RETRY_MOST_MS ? ms : RETRY_MOST_MS;
	return (int64_t)((double)ms * l->bot->sim->opts.retry_scale);
}

static const char *reason(int status)
{
	static const struct {
		int status;
		const char *text;
	} known[] = {{301, "Moved Permanently"},  {302, "Found"},
	             {400, "Bad Request"},        {401, "Unauthorized"},
	             {403, "Forbidden"},          {404, "Not Found"},
	             {405, "Method Not Allowed"}, {413, "Request Entity Too Large"},
	             {429, "Too Many Requests"},  {500, "Internal Server Error"},
	             {502, "Bad Gateway"},        {503, "Service Unavailable"},
	             {504, "Gateway Timeout"}};
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (known[i].status == status)
			return known[i].text;
	}
	return "Unknown";
}

static void note_error(struct updates *q, enum err err, const struct http_response *res)
{
	char text[160];

	if (res)
		snprintf(text, sizeof(text), "Wrong response from the webhook: %d %s", res->status,
		         reason(res->status));
	else if (err == ERR_TIMEOUT)
		snprintf(text, sizeof(text), "Read timeout expired");
	else if (err == ERR_UNREACHABLE)
		snprintf(text, sizeof(text), "Connection refused");
	else
		snprintf(text, sizeof(text), "Connection failed: %s", err_text(err));
	message_set(&q->hook.error, text);
	q->hook.error_date = clock_wall_ms() / 1000;
}

static void on_reply(void *arg, enum err err, const struct http_response *res)
{
	struct lane *l = arg;
	struct bot *b = l->bot;
	struct updates *q = &b->updates;
	bool done = err == ERR_OK && res->status >= 200 && res->status < 300;

	l->call = NULL;
	q->hook.inflight--;
	struct update *u = l->sent;
	l->sent = NULL;
	if (done) {
		l->failures = 0;
		q->delivered++;
		if (res->body.len)
			api_webhook_reply(b, res->body, "");
		bool last = u && u == l->last;
		if (u)
			updates_remove(q, u);
		if (!last) { /* else the lane went with it */
			webhook_ready(l);
			updates_lane_idle(l);
		}
	} else {
		l->failures++;
		q->retries++;
		note_error(q, err, res);
		if (!l->again.fn)
			timer_init(&l->again, b->sim->loop, on_again, l);
		timer_set(&l->again, retry_delay(l, res));
		updates_lane_idle(l);
	}
	loop_defer(b->sim->loop, &q->pump);
}

static void deliver(struct updates *q, struct lane *l)
{
	char secret[320];
	const char *headers[4] = {"Content-Type: application/json", "User-Agent:"};
	size_t n = 2;

	if (q->hook.secret) {
		snprintf(secret, sizeof(secret), "X-Telegram-Bot-Api-Secret-Token: %s", q->hook.secret);
		headers[n++] = secret;
	}
	struct http_request req = {
	    .method = "POST",
	    .url = q->hook.url,
	    .headers = headers,
	    .body = {l->first->json, l->first->len},
	    .timeout_ms = REPLY_TIMEOUT_MS,
	    .peer = "webhook",
	};
	l->sent = l->first;
	q->hook.inflight++;
	l->call = http_send(q->bot->sim->http, &req, on_reply, l);
}

static void drop_expired(struct updates *q, struct lane **l)
{
	while (*l && (*l)->first && update_expired((*l)->first)) {
		bool last = (*l)->first == (*l)->last;
		q->expired++;
		updates_remove(q, (*l)->first);
		if (last)
			*l = NULL;
	}
}

static void pump(void *arg)
{
	struct updates *q = arg;

	while (q->hook.url && q->ready && q->hook.inflight < q->hook.max_connections) {
		struct lane *l = take_ready(q);
		drop_expired(q, &l);
		if (l && !l->first)
			updates_lane_idle(l);
		else if (l)
			deliver(q, l);
	}
}

static void wake_lanes(struct map *lanes)
{
	struct lane *l;

	for (size_t i = 0; (l = map_next(lanes, &i)) != NULL;) {
		l->failures = 0;
		if (l->again.fn)
			timer_stop(&l->again);
		webhook_ready(l);
	}
}

void webhook_set(struct updates *q, const char *url, const char *secret, int max_connections)
{
	struct webhook *h = &q->hook;

	message_set(&h->url, url);
	message_set(&h->secret, url ? secret : NULL);
	message_set(&h->error, NULL);
	h->error_date = 0;
	h->max_connections = max_connections;
	if (!url)
		return;
	wake_lanes(&q->chat_lanes);
	wake_lanes(&q->user_lanes);
	loop_defer(q->bot->sim->loop, &q->pump);
}
