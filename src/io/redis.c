#include "shoal/io/redis.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "shoal/base/clock.h"
#include "shoal/base/log.h"
#include "shoal/base/metrics.h"
#include "shoal/io/dns.h"
#include "shoal/io/redis_script.h"
#include "shoal/io/redis_tls.h"
#include "shoal/io/redis_url.h"

/* hiredis' plain context on our own events. Its async context is left alone: it runs callbacks while it is being
 * freed, ends the process by assert() on an answer nobody asked for, and differs between 0.14 and 1.x. */

#ifdef HI_SDS_TYPE_5 /* sds has names of hiredis' own in some 1.x, not in Debian's 1.2 */
#define obuf_len(c) hi_sdslen((c)->obuf)
#else
#define obuf_len(c) sdslen((c)->obuf)
#endif

#define ATTEMPT_MS 5000 /* from the look-up of the name to the last answer of the greeting */
#define BACKOFF_MIN_MS 50
#define BACKOFF_MAX_MS 1000 /* with its jitter less than the grace that lua/turn.lua gives after a stall */
#define STEADY_MS 5000      /* a connection that lasted so long starts the backoff anew */
#define COMMAND_MAX ((size_t)256 << 20)
#define KEEP_OUT_BYTES ((size_t)1 << 20)

/*  WAITING --retry--> RESOLVING --> CONNECTING --> GREETING --> UP
 *     ^---------------------- cut() -------------------------'        redis_close: CLOSED */
enum redis_state { REDIS_WAITING, REDIS_RESOLVING, REDIS_CONNECTING, REDIS_GREETING, REDIS_UP, REDIS_CLOSED };

enum cmd_kind {
	CMD_CALL,
	CMD_EVALSHA, /* tail: its arguments, should the text be needed */
	CMD_GREET,   /* one of AUTH, SELECT, PING */
	CMD_READY,   /* the last of them */
	CMD_DOWN     /* no command: stands among the finished ones where on_down is due */
};

struct cmd {
	struct cmd *next;
	enum cmd_kind kind;
	enum err err;     /* once finished without an answer */
	uint64_t end;     /* count of bytes on this connection up to its last one */
	int64_t since_ms; /* of clock_ms */
	redis_fn *fn;
	void *arg;
	struct redis_script *script;
	size_t tail_argc;
	struct span tail; /* owned; RESP */
};

struct cmd_list {
	struct cmd *head, **tail;
};

struct redis {
	struct loop *loop;
	struct redis_opts opts;
	struct redis_url url;
	struct arena arena; /* of opts and url */
	enum redis_state state;
	unsigned depth; /* callbacks of ours that run now: memory stays until they are through */

	struct dns_query *query;
	redisContext *ctx;
	struct event *readable, *writable;
	char addr[64]; /* what it is connected to, for logs */
	uint64_t out_bytes;
	struct buf out; /* one command */
	struct task flush;

	struct cmd_list sent;     /* outstanding, in order */
	struct cmd_list finished; /* told by the task `tell` */
	struct task tell;

	struct timer retry, deadline;
	int64_t backoff_ms, up_since_ms;
	struct redis_script **known; /* whose text this connection has seen */
	size_t nknown;

	int64_t loss_logged, denied_logged;
	unsigned loss_unlogged, denied_unlogged;
	char doom[160]; /* why the connection is cut once the answers at hand are through */
};

static void cut(struct redis *r, enum err err, const char *reason);

/* --- lists of commands */

static void list_init(struct cmd_list *l)
{
	l->head = NULL;
	l->tail = &l->head;
}

static void list_add(struct cmd_list *l, struct cmd *c)
{
	c->next = NULL;
	*l->tail = c;
	l->tail = &c->next;
}

static struct cmd *list_take(struct cmd_list *l)
{
	struct cmd *c = l->head;
	if (!c)
		return NULL;
	l->head = c->next;
	if (!l->head)
		l->tail = &l->head;
	return c;
}

static struct cmd *cmd_new(enum cmd_kind kind, redis_fn *fn, void *arg)
{
	struct cmd *c = mem_zalloc(sizeof(*c));
	c->kind = kind;
	c->fn = fn;
	c->arg = arg;
	return c;
}

static void cmd_free(struct cmd *c)
{
	free((char *)c->tail.ptr);
	free(c);
}

/* --- counting, and the life of the struct */

static void count_error(const struct redis *r, enum err err)
{
	struct metric *m = metric_counter("shoal_errors_total", "peer,kind", "Errors by peer and kind.");
	series_add(SERIES(m, r->opts.label, err_text(err)), 1);
}

static void hold(struct redis *r)
{
	r->depth++;
}

static void let_go(struct redis *r)
{
	if (--r->depth > 0 || r->state != REDIS_CLOSED)
		return;
	for (struct cmd *c; (c = list_take(&r->finished));) /* called after redis_close */
		cmd_free(c);
	buf_release(&r->out);
	free(r->known);
	arena_release(&r->arena);
	free(r);
}

/* --- commands without an answer */

static void finish(struct redis *r, struct cmd *c, enum err err)
{
	c->err = err;
	list_add(&r->finished, c);
	if (r->state != REDIS_CLOSED)
		loop_defer(r->loop, &r->tell);
}

static void retry_later(struct redis *r)
{
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
	hold(r);
	for (struct cmd *c; n > 0 && (c = list_take(&r->finished)); n--)
		tell(r, c);
	let_go(r);
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
	r->doom[0] = '\0';
}

/* A command whose last byte has not left cannot have been carried out; of the others nobody knows. */
static void fail_sent(struct redis *r, enum err why)
{
	enum err err = why == ERR_TIMEOUT ? ERR_TIMEOUT : ERR_UNKNOWN;
	uint64_t left = r->ctx ? r->out_bytes - obuf_len(r->ctx) : 0;
	for (struct cmd *c; (c = list_take(&r->sent));) {
		if (c->kind == CMD_GREET || c->kind == CMD_READY)
			cmd_free(c);
		else
			finish(r, c, c->end > left ? ERR_UNREACHABLE : err);
	}
}

/* err is for on_down. Callbacks come later, from the task. */
static void cut(struct redis *r, enum err err, const char *reason)
{
	enum redis_state was = r->state;
	if (was == REDIS_WAITING || was == REDIS_CLOSED)
		return;
	count_error(r, err);
	if (log_due(&r->loss_logged, &r->loss_unlogged)) {
		log_warn(was == REDIS_UP ? "redis connection lost" : "redis cannot be reached",
		         LOG_STR("peer", r->opts.label), LOG_STR("at", r->url.name), LOG_STR("reason", reason),
		         LOG_INT("suppressed", r->loss_unlogged));
		r->loss_unlogged = 0;
	}
	r->state = REDIS_WAITING;
	fail_sent(r, err);
	disconnect(r); /* after the last use of reason, which may be part of the context */
	if (was != REDIS_UP) {
		retry_later(r);
		return;
	}
	if (clock_ms() - r->up_since_ms >= STEADY_MS)
		r->backoff_ms = BACKOFF_MIN_MS;
	finish(r, cmd_new(CMD_DOWN, NULL, NULL), err);
}

void redis_drop(struct redis *r, const char *reason)
{
	cut(r, ERR_UNKNOWN, reason);
}

/* --- sending */

static void out_head(struct redis *r, size_t argc)
{
	if (r->out.cap > KEEP_OUT_BYTES)
		buf_release(&r->out);
	if (!r->out.ptr)
		buf_init(&r->out, COMMAND_MAX);
	buf_clear(&r->out);
	buf_addc(&r->out, '*');
	buf_add_i64(&r->out, (int64_t)argc);
	buf_add(&r->out, "\r\n", 2);
}

static void out_arg(struct redis *r, struct span s)
{
	buf_addc(&r->out, '$');
	buf_add_i64(&r->out, (int64_t)s.len);
	buf_add(&r->out, "\r\n", 2);
	buf_add(&r->out, s.ptr, s.len);
	buf_add(&r->out, "\r\n", 2);
}

static void out_args(struct redis *r, size_t argc, const struct span *argv)
{
	for (size_t i = 0; i < argc; i++)
		out_arg(r, argv[i]);
}

static void deadline_arm(struct redis *r)
{
	if (r->state == REDIS_UP && r->opts.timeout_ms && r->sent.head && !timer_armed(&r->deadline))
		timer_set(&r->deadline, r->sent.head->since_ms + r->opts.timeout_ms - clock_ms());
}

/* What stands in r->out leaves with everything else of this turn. */
static void out_send(struct redis *r, struct cmd *c)
{
	if (r->out.failed) {
		finish(r, c, ERR_TOO_LONG);
		return;
	}
	ENSURE(redisAppendFormattedCommand(r->ctx, r->out.ptr, r->out.len) == REDIS_OK);
	r->out_bytes += r->out.len;
	c->end = r->out_bytes;
	c->since_ms = clock_ms();
	list_add(&r->sent, c);
	deadline_arm(r);
	if (!event_pending(r->writable, EV_WRITE, NULL))
		loop_defer(r->loop, &r->flush);
}

static void on_flush(void *arg)
{
	struct redis *r = arg;
	int done = 0;
	size_t before = obuf_len(r->ctx);
	if (redisBufferWrite(r->ctx, &done) != REDIS_OK)
		cut(r, ERR_UNKNOWN, r->ctx->errstr);
	else if (!done && !(r->url.tls && obuf_len(r->ctx) == before)) /* TLS may first have to read */
		event_add(r->writable, NULL);
}

void redis_call(struct redis *r, redis_fn *fn, void *arg, size_t argc, const struct span *argv)
{
	struct cmd *c = cmd_new(CMD_CALL, fn, arg);
	ENSURE(argc > 0);
	if (r->state != REDIS_UP) {
		finish(r, c, ERR_UNREACHABLE);
		return;
	}
	out_head(r, argc);
	out_args(r, argc, argv);
	out_send(r, c);
}

/* --- scripts */

/* Whether this connection has sent its text; from now on it has. */
static bool script_known(struct redis *r, struct redis_script *s)
{
	for (size_t i = 0; i < r->nknown; i++)
		if (r->known[i] == s)
			return true;
	r->known = mem_realloc(r->known, (r->nknown + 1) * sizeof(struct redis_script *));
	r->known[r->nknown++] = s;
	return false;
}

static void out_script_head(struct redis *r, struct redis_script *s, bool digest, size_t tail_argc)
{
	out_head(r, 2 + tail_argc);
	out_arg(r, digest ? SPAN("EVALSHA") : SPAN("EVAL"));
	out_arg(r, digest ? (struct span){s->sha, 40} : s->text);
}

void redis_eval(struct redis *r, struct redis_script *s, redis_fn *fn, void *arg, size_t nkeys, size_t argc,
                const struct span *argv)
{
	struct cmd *c = cmd_new(CMD_CALL, fn, arg);
	char keys[24];
	ENSURE(nkeys <= argc);
	if (r->state != REDIS_UP) {
		finish(r, c, ERR_UNREACHABLE);
		return;
	}
	redis_script_prepare(s);
	bool digest = script_known(r, s);
	out_script_head(r, s, digest, argc + 1);
	size_t tail_at = r->out.len;
	snprintf(keys, sizeof(keys), "%zu", nkeys);
	out_arg(r, span_of(keys));
	out_args(r, argc, argv);
	if (digest && !r->out.failed) {
		size_t len = r->out.len - tail_at;
		char *tail = mem_alloc(len);
		memcpy(tail, r->out.ptr + tail_at, len);
		c->kind = CMD_EVALSHA;
		c->script = s;
		c->tail = (struct span){tail, len};
		c->tail_argc = argc + 1;
	}
	out_send(r, c);
}

static void script_resend(struct redis *r, struct cmd *c)
{
	c->kind = CMD_CALL;
	out_script_head(r, c->script, false, c->tail_argc);
	buf_add(&r->out, c->tail.ptr, c->tail.len);
	out_send(r, c);
}

/* --- answers */

static void note_fault(struct redis *r, enum err err, bool down, const char *text)
{
	if (down) {
		if (!r->doom[0])
			snprintf(r->doom, sizeof(r->doom), "%s", text);
		return; /* cut() counts it */
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
			script_resend(r, c);
			return;
		}
		err = redis_classify(reply->str, &down);
		note_fault(r, err, down, reply->str);
	}
	if (c->fn)
		c->fn(c->arg, err, err == ERR_OK || err == ERR_REFUSED ? reply : NULL);
	cmd_free(c);
}

static void answer_greeting(struct redis *r, struct cmd *c, const redisReply *reply)
{
	enum cmd_kind kind = c->kind;
	cmd_free(c);
	if (reply->type == REDIS_REPLY_ERROR) {
		bool down;
		cut(r, redis_classify(reply->str, &down), reply->str);
	} else if (kind == CMD_READY) {
		r->state = REDIS_UP;
		r->up_since_ms = clock_ms();
		timer_stop(&r->deadline);
		log_info("redis connected", LOG_STR("peer", r->opts.label), LOG_STR("at", r->url.name),
		         LOG_STR("address", r->addr));
		if (r->opts.on_up)
			r->opts.on_up(r->opts.arg);
	}
}

static bool is_push(const struct redis *r, const redisReply *reply)
{
	if (!r->opts.on_push || reply->type != REDIS_REPLY_ARRAY || reply->elements < 3 ||
	    reply->element[0]->type != REDIS_REPLY_STRING)
		return false;
	return strcasecmp(reply->element[0]->str, "message") == 0 ||
	       strcasecmp(reply->element[0]->str, "pmessage") == 0;
}

static void answer(struct redis *r, const redisReply *reply)
{
	if (is_push(r, reply)) {
		r->opts.on_push(r->opts.arg, reply);
		return;
	}
	struct cmd *c = list_take(&r->sent);
	if (!c)
		cut(r, ERR_PROTOCOL, reply->type == REDIS_REPLY_ERROR ? reply->str : "an answer nobody asked for");
	else if (c->kind == CMD_GREET || c->kind == CMD_READY)
		answer_greeting(r, c, reply);
	else
		answer_call(r, c, reply);
}

/* Callbacks may drop or close r: the context is looked at anew after each. */
static void read_answers(struct redis *r)
{
	void *reply = NULL;
	while (r->ctx) {
		if (redisGetReplyFromReader(r->ctx, &reply) != REDIS_OK) {
			cut(r, ERR_PROTOCOL, r->ctx->errstr);
			return;
		}
		if (!reply)
			break;
		answer(r, reply);
		freeReplyObject(reply);
	}
	if (r->ctx && r->doom[0]) {
		char reason[sizeof(r->doom)];
		memcpy(reason, r->doom, sizeof(reason));
		cut(r, ERR_UNREACHABLE, reason);
	}
}

/* --- timeouts */

static void on_deadline(void *arg)
{
	struct redis *r = arg;
	char reason[64];
	if (r->state == REDIS_UP) {
		if (!r->sent.head)
			return;
		if (clock_ms() < r->sent.head->since_ms + r->opts.timeout_ms) {
			deadline_arm(r);
			return;
		}
		snprintf(reason, sizeof(reason), "no answer within %u ms", r->opts.timeout_ms);
	} else {
		snprintf(reason, sizeof(reason), "no connection within %d ms", ATTEMPT_MS);
	}
	cut(r, ERR_TIMEOUT, reason);
}

/* --- connecting */

static void greet_with(struct redis *r, enum cmd_kind kind, size_t argc, const struct span *argv)
{
	out_head(r, argc);
	out_args(r, argc, argv);
	out_send(r, cmd_new(kind, NULL, NULL));
}

/* PING, so that a server that is still loading, or wants a password, is not called up. */
static void greet(struct redis *r)
{
	char db[16];
	r->state = REDIS_GREETING;
	if (r->url.pass) {
		struct span auth[3] = {SPAN("AUTH")};
		size_t n = 1;
		if (r->url.user)
			auth[n++] = span_of(r->url.user);
		auth[n++] = span_of(r->url.pass);
		greet_with(r, CMD_GREET, n, auth);
	}
	if (r->url.db) {
		snprintf(db, sizeof(db), "%d", r->url.db);
		greet_with(r, CMD_GREET, 2, (struct span[]){SPAN("SELECT"), span_of(db)});
	}
	greet_with(r, CMD_READY, 1, (struct span[]){SPAN("PING")});
}

static void on_connected(struct redis *r)
{
	int code = 0;
	socklen_t size = sizeof(code);
	if (getsockopt(r->ctx->fd, SOL_SOCKET, SO_ERROR, &code, &size) != 0)
		code = errno;
	if (code) {
		cut(r, ERR_UNREACHABLE, strerror(code));
		return;
	}
	if (!r->url.path)
		redisEnableKeepAlive(r->ctx);
	if (r->ctx->err || (r->url.tls && !redis_tls_start(r->ctx, r->url.host)))
		cut(r, ERR_UNREACHABLE, r->ctx->errstr);
	else
		greet(r);
}

static void on_writable(evutil_socket_t fd, short events, void *arg)
{
	(void)fd;
	(void)events;
	struct redis *r = arg;
	loop_note(r->loop, "redis write");
	if (r->state == REDIS_CONNECTING)
		on_connected(r);
	else
		on_flush(r);
}

static void on_readable(evutil_socket_t fd, short events, void *arg)
{
	(void)fd;
	(void)events;
	struct redis *r = arg;
	if (r->state == REDIS_CONNECTING) /* on_writable finds out what it is */
		return;
	loop_note(r->loop, "redis answers");
	hold(r);
	if (redisBufferRead(r->ctx) != REDIS_OK)
		cut(r, r->state == REDIS_UP ? ERR_UNKNOWN : ERR_UNREACHABLE, r->ctx->errstr);
	else
		read_answers(r);
	if (r->ctx && r->url.tls && obuf_len(r->ctx))
		loop_defer(r->loop, &r->flush);
	let_go(r);
}

static void attach(struct redis *r, redisContext *ctx)
{
	ENSURE(ctx);
	r->ctx = ctx;
	r->state = REDIS_CONNECTING;
	if (ctx->err) {
		cut(r, ERR_UNREACHABLE, ctx->errstr);
		return;
	}
	r->out_bytes = 0;
	r->readable = event_new(loop_base(r->loop), ctx->fd, EV_READ | EV_PERSIST, on_readable, r);
	r->writable = event_new(loop_base(r->loop), ctx->fd, EV_WRITE, on_writable, r);
	ENSURE(r->readable && r->writable);
	event_add(r->readable, NULL);
	event_add(r->writable, NULL);
}

static void on_address(void *arg, enum err err, const char *addr)
{
	struct redis *r = arg;
	char reason[64];
	r->query = NULL;
	if (err) {
		snprintf(reason, sizeof(reason), "host name %s", err_text(err));
		cut(r, ERR_UNREACHABLE, reason);
		return;
	}
	snprintf(r->addr, sizeof(r->addr), "%s", addr);
	attach(r, redisConnectNonBlock(addr, r->url.port));
}

static void on_retry(void *arg)
{
	struct redis *r = arg;
	timer_set(&r->deadline, ATTEMPT_MS);
	r->state = REDIS_RESOLVING;
	if (r->url.path)
		attach(r, redisConnectUnixNonBlock(r->url.path));
	else
		r->query = dns_resolve(r->loop, r->url.host, on_address, r);
}

/* --- birth and end */

struct redis *redis_open(struct loop *l, const struct redis_opts *opts)
{
	struct redis *r = mem_zalloc(sizeof(*r));
	const char *why;
	r->loop = l;
	r->opts = *opts;
	arena_init(&r->arena);
	r->opts.url = arena_strdup(&r->arena, opts->url);
	r->opts.label = arena_strdup(&r->arena, opts->label);
	if (redis_url_parse(r->opts.url, &r->url, &r->arena, &why) != ERR_OK)
		BUG("redis_open(%s) with a URL that redis_url_check refuses: %s", opts->label, why);
	if (r->url.path)
		snprintf(r->addr, sizeof(r->addr), "unix socket");
	list_init(&r->sent);
	list_init(&r->finished);
	r->backoff_ms = BACKOFF_MIN_MS;
	r->flush = (struct task){.fn = on_flush, .arg = r};
	r->tell = (struct task){.fn = on_tell, .arg = r};
	timer_init(&r->retry, l, on_retry, r);
	timer_init(&r->deadline, l, on_deadline, r);
	timer_set(&r->retry, 0);
	return r;
}

bool redis_up(const struct redis *r)
{
	return r->state == REDIS_UP;
}

void redis_close(struct redis *r)
{
	if (!r || r->state == REDIS_CLOSED)
		return;
	hold(r);
	r->state = REDIS_CLOSED;
	fail_sent(r, ERR_UNKNOWN);
	disconnect(r);
	timer_release(&r->retry);
	timer_release(&r->deadline);
	task_cancel(&r->tell);
	for (struct cmd *c; (c = list_take(&r->finished));)
		tell(r, c);
	let_go(r);
}
