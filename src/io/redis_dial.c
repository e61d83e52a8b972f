#include "shoal/io/redis_parts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "shoal/base/clock.h"
#include "shoal/base/log.h"
#include "shoal/io/redis_tls.h"

/* --- the greeting */

static void log_in(struct redis *r, enum cmd_kind kind)
{
	struct span auth[3] = {SPAN("AUTH")};
	size_t n = 1;
	if (!r->url.pass)
		return;
	if (r->url.user)
		auth[n++] = span_of(r->url.user);
	auth[n++] = span_of(r->url.pass);
	cmd_send_own(r, kind, n, auth);
}

static void ask_sentinel(struct redis *r)
{
	const char *words[REDIS_FIND_WORDS];
	struct span argv[REDIS_FIND_WORDS];
	redis_find_question(&r->find, words);
	for (size_t i = 0; i < REDIS_FIND_WORDS; i++)
		argv[i] = span_of(words[i]);
	log_in(r, CMD_POLITE);
	cmd_send_own(r, CMD_READY, REDIS_FIND_WORDS, argv);
}

/* A question first, so that a server that is still loading, or wants a password, is not called up; about its key, so
 * that a cluster's tells whether it has that; then what it is, because a replica would refuse what comes. */
static void greet(struct redis *r)
{
	char db[16];
	r->state = REDIS_GREETING;
	if (r->asking) {
		ask_sentinel(r);
		return;
	}
	log_in(r, CMD_GREET);
	if (r->url.db) {
		snprintf(db, sizeof(db), "%d", r->url.db);
		cmd_send_own(r, CMD_GREET, 2, (struct span[]){SPAN("SELECT"), span_of(db)});
	}
	if (r->opts.home)
		cmd_send_own(r, CMD_GREET, 2, (struct span[]){SPAN("EXISTS"), span_of(r->opts.home)});
	else
		cmd_send_own(r, CMD_GREET, 1, (struct span[]){SPAN("PING")});
	if (r->url.shards)
		cmd_send_own(r, CMD_NODES, 2, (struct span[]){SPAN("CLUSTER"), SPAN("SLOTS")});
	cmd_send_own(r, CMD_READY, 1, (struct span[]){SPAN("ROLE")});
}

static void come_up(struct redis *r)
{
	r->state = REDIS_UP;
	r->up_since_ms = clock_ms();
	timer_stop(&r->deadline);
	log_info("redis connected", LOG_STR("peer", r->opts.label), LOG_STR("at", r->url.name),
	         LOG_STR("address", r->addr), LOG_INT("port", r->url.path ? 0 : r->spot.port));
	if (r->opts.on_up)
		r->opts.on_up(r->opts.arg);
}

static void greeting_refused(struct redis *r, enum cmd_kind kind, const char *text)
{
	bool down;
	const char *hint = redis_find_hint(&r->find, text);
	if (kind == CMD_READY && !r->asking) /* ROLE is not allowed */
		come_up(r);
	else if (kind != CMD_POLITE && kind != CMD_NODES && redis_find_moved(&r->find, &r->spot, text))
		redis_redirect(r);
	else if (kind != CMD_POLITE && kind != CMD_NODES)
		redis_cut(r, redis_classify(text, &down), hint ? hint : text);
}

static void sentinel_told(struct redis *r, const redisReply *reply)
{
	const char *why = redis_find_answer(&r->find, reply);
	if (why)
		redis_cut(r, ERR_UNREACHABLE, why);
	else
		redis_redirect(r);
}

static void role_told(struct redis *r, const redisReply *reply)
{
	const char *why = redis_find_role(reply);
	if (why)
		redis_cut(r, ERR_UNREACHABLE, why);
	else
		come_up(r);
}

void redis_greeted(struct redis *r, enum cmd_kind kind, const redisReply *reply)
{
	if (reply->type == REDIS_REPLY_ERROR)
		greeting_refused(r, kind, reply->str);
	else if (kind == CMD_NODES)
		redis_find_learn(&r->find, &r->spot, reply);
	else if (kind == CMD_READY && r->asking)
		sentinel_told(r, reply);
	else if (kind == CMD_READY)
		role_told(r, reply);
}

/* --- connecting */

static void on_connected(struct redis *r)
{
	int code = 0;
	socklen_t size = sizeof(code);
	if (getsockopt(r->ctx->fd, SOL_SOCKET, SO_ERROR, &code, &size) != 0)
		code = errno;
	if (code) {
		redis_cut(r, ERR_UNREACHABLE, strerror(code));
		return;
	}
	if (!r->url.path)
		redisEnableKeepAlive(r->ctx);
	if (r->ctx->err || (r->url.tls && !redis_tls_start(r->ctx, r->spot.host)))
		redis_cut(r, ERR_UNREACHABLE, r->ctx->errstr);
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
		cmd_flush(r);
}

static void on_readable(evutil_socket_t fd, short events, void *arg)
{
	(void)fd;
	(void)events;
	struct redis *r = arg;
	if (r->state == REDIS_CONNECTING) /* on_writable finds out what it is */
		return;
	loop_note(r->loop, "redis answers");
	redis_hold(r);
	if (redisBufferRead(r->ctx) != REDIS_OK)
		redis_cut(r, r->state == REDIS_UP ? ERR_UNKNOWN : ERR_UNREACHABLE, r->ctx->errstr);
	else
		redis_read(r);
	if (r->ctx && r->url.tls && obuf_len(r->ctx))
		loop_defer(r->loop, &r->flush);
	redis_let_go(r);
}

static void attach(struct redis *r, redisContext *ctx)
{
	ENSURE(ctx);
	r->ctx = ctx;
	arena_release(&r->replies); /* half an answer of the last connection */
	redis_replies_into(ctx, r);
	r->state = REDIS_CONNECTING;
	if (ctx->err) {
		redis_cut(r, ERR_UNREACHABLE, ctx->errstr);
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
		redis_cut(r, ERR_UNREACHABLE, reason);
		return;
	}
	snprintf(r->addr, sizeof(r->addr), "%s", addr);
	attach(r, redisConnectNonBlock(addr, r->spot.port));
}

void redis_dial(void *redis)
{
	struct redis *r = redis;
	timer_set(&r->deadline, redis_attempt_ms(r));
	r->state = REDIS_RESOLVING;
	if (r->url.path) {
		attach(r, redisConnectUnixNonBlock(r->url.path));
		return;
	}
	r->spot = redis_find_next(&r->find, &r->asking);
	snprintf(r->addr, sizeof(r->addr), "%.60s", r->spot.host);
	r->query = dns_resolve(r->loop, r->spot.host, on_address, r);
}
