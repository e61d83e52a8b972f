#include "shoal/io/redis.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "shoal/base/clock.h"
#include "shoal/base/log.h"
#include "shoal/base/metrics.h"
#include "shoal/io/redis_parts.h"

/* hiredis' plain context on our own events. Its async context is left alone: it runs callbacks while it is being
 * freed, ends the process by assert() on an answer nobody asked for, and differs between 0.14 and 1.x. */

#define BACKOFF_MIN_MS 50
#define BACKOFF_MAX_MS 1000 /* with its jitter less than the grace that lua/turn.lua gives after a stall */
#define STEADY_MS 5000      /* a connection that lasted so long starts the backoff anew */

/* --- counting, and the life of the struct */

static void count_error(const struct redis *r, enum err err)
{
	struct metric *m = metric_counter("shoal_errors_total", "peer,kind", "Errors by peer and kind.");
	series_add(SERIES(m, r->opts.label, err_text(err)), 1);
}

void redis_hold(struct redis *r)
{
	r->depth++;
}

void redis_let_go(struct redis *r)
{
	if (--r->depth > 0 || r->state != REDIS_CLOSED)
		return;
	for (struct cmd *c; (c = cmd_list_take(&r->finished));) /* called after redis_close */
		cmd_free(c);
	buf_release(&r->out);
	redis_find_release(&r->find);
	free(r->known);
	arena_release(&r->replies);
	arena_release(&r->arena);
	free(r);
}

/* --- commands without an answer */

static void retry_later(struct redis *r)
{
	if (r->find.is_told) { /* a cluster's node has said where */
		timer_set(&r->retry, 0);
		return;
	}
	timer_set(&r->retry, jitter_ms(r->backoff_ms));
	r->backoff_ms = r->backoff_ms * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : r->backoff_ms * 2;
}

static void tell(struct redis *r, struct cmd *c)
{
	if (c->kind != CMD_DOWN) {
		if (c->fn)
			c->fn(c->arg, c->err, NULL);
	} else if (r->state != REDIS_CLOSED) {
		retry_later(r);
		if (r->opts.on_down)
			r->opts.on_down(r->opts.arg, c->err);
	}
	cmd_free(c);
}

/* What these callbacks call fails into the list again, and is told in the next turn. */
static void on_tell(void *arg)
{
	struct redis *r = arg;
	size_t n = 0;
	for (const struct cmd *c = r->finished.head; c; c = c->next)
		n++;
	redis_hold(r);
	for (struct cmd *c; n > 0 && (c = cmd_list_take(&r->finished)); n--)
		tell(r, c);
	redis_let_go(r);
}

/* --- losing the connection */

static void disconnect(struct redis *r)
{
	dns_cancel(r->query);
	r->query = NULL;
	task_cancel(&r->flush);
	timer_stop(&r->deadline);
	if (r->readable)
		event_free(r->readable);
	if (r->writable)
		event_free(r->writable);
	r->readable = r->writable = NULL;
	if (r->ctx)
		redisFree(r->ctx);
	r->ctx = NULL;
	r->nknown = 0;
	r->absurd = false;
	r->doom[0] = '\0';
}

/* A command whose last byte has not left cannot have been carried out; of the others nobody knows. */
static void fail_sent(struct redis *r, enum err why)
{
	enum err err = why == ERR_TIMEOUT ? ERR_TIMEOUT : ERR_UNKNOWN;
	uint64_t left = r->ctx ? r->out_bytes - obuf_len(r->ctx) : 0;
	for (struct cmd *c; (c = cmd_list_take(&r->sent));) {
		if (cmd_is_own(c))
			cmd_free(c);
		else
			cmd_finish(r, c, c->end > left ? ERR_UNREACHABLE : err);
	}
}

void redis_cut(struct redis *r, enum err err, const char *reason)
{
	enum redis_state was = r->state;
	if (was == REDIS_WAITING || was == REDIS_CLOSED)
		return;
	if (r->ctx && r->ctx->err == REDIS_ERR_OOM && !r->absurd) /* the same answer would come again and again */
		mem_exhausted(0);
	if (r->absurd)
		reason = "an answer such as no Redis gives";
	count_error(r, err);
	if (log_due(&r->loss_logged, &r->loss_unlogged)) {
		log_warn(was == REDIS_UP ? "redis connection lost" : "redis cannot be reached",
		         LOG_STR("peer", r->opts.label), LOG_STR("at", r->url.name), LOG_STR("address", r->addr),
		         LOG_STR("reason", reason), LOG_INT("suppressed", r->loss_unlogged));
		r->loss_unlogged = 0;
	}
	snprintf(r->trouble, sizeof(r->trouble), "%s", reason);
	r->state = REDIS_WAITING;
	fail_sent(r, err);
	disconnect(r); /* after the last use of reason, which may be part of the context */
	if (was != REDIS_UP) {
		retry_later(r);
		return;
	}
	if (clock_ms() - r->up_since_ms >= STEADY_MS)
		r->backoff_ms = BACKOFF_MIN_MS;
	cmd_finish(r, cmd_new(CMD_DOWN, NULL, NULL), err);
}

void redis_redirect(struct redis *r)
{
	r->state = REDIS_WAITING;
	fail_sent(r, ERR_UNREACHABLE);
	disconnect(r);
	retry_later(r);
}

void redis_drop(struct redis *r, const char *reason)
{
	redis_cut(r, ERR_UNKNOWN, reason);
}

/* --- answers */

static void note_fault(struct redis *r, enum err err, bool down, const char *text)
{
	if (down) {
		if (!r->doom[0])
			snprintf(r->doom, sizeof(r->doom), "%s", text);
		return; /* redis_cut() counts it */
	}
	count_error(r, err);
	if (err == ERR_DENIED && log_due(&r->denied_logged, &r->denied_unlogged)) {
		log_error("redis denies a command", LOG_STR("peer", r->opts.label), LOG_STR("at", r->url.name),
		          LOG_STR("reason", text), LOG_INT("suppressed", r->denied_unlogged));
		r->denied_unlogged = 0;
	}
}

static void answer_call(struct redis *r, struct cmd *c, const redisReply *reply)
{
	enum err err = ERR_OK;
	if (reply->type == REDIS_REPLY_ERROR) {
		bool down;
		if (c->kind == CMD_EVALSHA && strncmp(reply->str, "NOSCRIPT", 8) == 0) {
			cmd_send_text(r, c);
			return;
		}
		err = redis_classify(reply->str, &down);
		note_fault(r, err, down, reply->str);
	}
	if (c->fn)
		c->fn(c->arg, err, err == ERR_OK || err == ERR_REFUSED ? reply : NULL);
	cmd_free(c);
}

static bool is_push(const struct redis *r, const redisReply *reply)
{
	if (!r->opts.on_push || reply->type != REDIS_REPLY_ARRAY || reply->elements < 3 ||
	    reply->element[0]->type != REDIS_REPLY_STRING)
		return false;
	return strcasecmp(reply->element[0]->str, "message") == 0 ||
	       strcasecmp(reply->element[0]->str, "pmessage") == 0;
}

static void answer_own(struct redis *r, struct cmd *c, const redisReply *reply)
{
	enum cmd_kind kind = c->kind;
	cmd_free(c);
	redis_greeted(r, kind, reply);
}

static void answer(struct redis *r, const redisReply *reply)
{
	if (is_push(r, reply)) {
		r->opts.on_push(r->opts.arg, reply);
		return;
	}
	struct cmd *c = cmd_list_take(&r->sent);
	if (!c)
		redis_cut(r, ERR_PROTOCOL,
		          reply->type == REDIS_REPLY_ERROR ? reply->str : "an answer nobody asked for");
	else if (cmd_is_own(c))
		answer_own(r, c, reply);
	else
		answer_call(r, c, reply);
}

/* Callbacks may drop or close r: the context is looked at anew after each. */
void redis_read(struct redis *r)
{
	void *reply = NULL;
	while (r->ctx) {
		if (redisGetReplyFromReader(r->ctx, &reply) != REDIS_OK) {
			redis_cut(r, ERR_PROTOCOL, r->ctx->errstr);
			return;
		}
		if (!reply)
			break;
		answer(r, reply);
		arena_release(&r->replies);
	}
	if (r->ctx && r->doom[0]) {
		char reason[sizeof(r->doom)];
		memcpy(reason, r->doom, sizeof(reason));
		redis_find_moved(&r->find, &r->spot, reason);
		redis_cut(r, ERR_UNREACHABLE, reason);
	}
}

/* --- timeouts */

unsigned redis_attempt_ms(const struct redis *r)
{
	return r->url.shards || r->url.master ? ATTEMPT_OF_SEVERAL_MS : ATTEMPT_MS;
}

static void on_deadline(void *arg)
{
	struct redis *r = arg;
	char reason[64];
	if (r->state == REDIS_UP) {
		if (!r->sent.head)
			return;
		if (clock_ms() < r->sent.head->since_ms + r->opts.timeout_ms) {
			cmd_arm_deadline(r);
			return;
		}
		snprintf(reason, sizeof(reason), "no answer within %u ms", r->opts.timeout_ms);
	} else {
		snprintf(reason, sizeof(reason), "no connection within %u ms", redis_attempt_ms(r));
	}
	redis_cut(r, ERR_TIMEOUT, reason);
}

/* --- birth and end */

struct redis *redis_open(struct loop *l, const struct redis_opts *opts)
{
	struct redis *r = mem_zalloc(sizeof(*r));
	const char *why;
	r->loop = l;
	r->opts = *opts;
	arena_init(&r->arena);
	arena_init(&r->replies);
	r->opts.url = arena_strdup(&r->arena, opts->url);
	r->opts.label = arena_strdup(&r->arena, opts->label);
	if (redis_url_parse(r->opts.url, &r->url, &r->arena, &why) != ERR_OK)
		BUG("redis_open(%s) with a URL that redis_url_check refuses: %s", opts->label, why);
	if (r->url.path)
		snprintf(r->addr, sizeof(r->addr), "unix socket");
	r->opts.home = opts->home ? arena_strdup(&r->arena, opts->home) : NULL;
	redis_find_init(&r->find, &r->url);
	snprintf(r->trouble, sizeof(r->trouble), "not connected yet");
	cmd_list_init(&r->sent);
	cmd_list_init(&r->finished);
	r->backoff_ms = BACKOFF_MIN_MS;
	r->flush = (struct task){.fn = cmd_flush, .arg = r};
	r->tell = (struct task){.fn = on_tell, .arg = r};
	timer_init(&r->retry, l, redis_dial, r);
	timer_init(&r->deadline, l, on_deadline, r);
	timer_set(&r->retry, 0);
	return r;
}

bool redis_up(const struct redis *r)
{
	return r->state == REDIS_UP;
}

const char *redis_trouble(const struct redis *r)
{
	return redis_up(r) ? NULL : r->trouble;
}

void redis_close(struct redis *r)
{
	if (!r || r->state == REDIS_CLOSED)
		return;
	redis_hold(r);
	r->state = REDIS_CLOSED;
	fail_sent(r, ERR_UNKNOWN);
	disconnect(r);
	timer_release(&r->retry);
	timer_release(&r->deadline);
	task_cancel(&r->tell);
	for (struct cmd *c; (c = cmd_list_take(&r->finished));)
		tell(r, c);
	redis_let_go(r);
}
