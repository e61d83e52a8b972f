/* A connection's life: dialled, used, watched, lost, dialled again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shoal/base/clock.h"
#include "shoal/base/log.h"
#include "shoal/io/pg_conn_parts.h"

#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 5000
#define STEADY_MS 5000      /* up for so long: the next backoff starts anew */
#define GRACE_MS 2000       /* beyond the server's own statement timeout */
#define PING_LIMIT_MS 10000 /* for pings where statements have no limit */
#define PLANS_FIRST 8192    /* statements until plans are made anew, which costs some ms each */
#define COMPLAIN_MS 30000   /* between two warnings about the same server being away */

/* --- state and gauges */

static struct series *gauge(const char *state)
{
	return SERIES(metric_gauge("shoal_pg_pool", "state", "Connections to Postgres by state."), state);
}

static bool conn_linked(const struct pg_conn *c)
{
	return c->state == CONN_UP || c->state == CONN_LEAVING;
}

void pg_conn_count_busy(struct pg_conn *c)
{
	static struct series *busy_ones;
	bool busy = c->under_way.n > 0;

	if (!busy_ones)
		busy_ones = gauge("busy");
	if (busy != c->counted_busy)
		series_add(busy_ones, busy ? 1 : -1);
	c->counted_busy = busy;
}

void pg_conn_set_state(struct pg_conn *c, enum conn_state to)
{
	enum conn_state from = c->state;

	c->state = to;
	series_add(gauge("connecting"), (to == CONN_DIALING) - (from == CONN_DIALING));
	series_add(gauge("up"), (to == CONN_UP) - (from == CONN_UP));
	if ((to == CONN_UP) != (from == CONN_UP))
		c->hooks.changed(c->hooks.arg);
}

bool pg_conn_up(const struct pg_conn *c)
{
	return c->state == CONN_UP;
}

const char *pg_conn_trouble(const struct pg_conn *c)
{
	return c->trouble;
}

unsigned pg_conn_depth(const struct pg_conn *c)
{
	return c->under_way.n;
}

unsigned pg_conn_sociable(const struct pg_conn *c)
{
	return c->sociable;
}

/* --- losing it */

static void conn_backoff(struct pg_conn *c)
{
	int64_t ms = BACKOFF_MAX_MS;

	if (c->failures < 6)
		ms = BACKOFF_MIN_MS << c->failures;
	c->failures++;
	timer_set(&c->timer, jitter_ms(ms < BACKOFF_MAX_MS ? ms : BACKOFF_MAX_MS));
}

/* Warns of the first failure and now and then; the rest is for those who debug. */
static void conn_complain(struct pg_conn *c, const char *what, const char *why)
{
	int64_t now = clock_ms();
	enum log_level level = LOG_DEBUG;

	if (c->complained_ms == 0 || now - c->complained_ms >= COMPLAIN_MS) {
		level = LOG_WARN;
		c->complained_ms = now;
	}
	LOG_AT(level, what, LOG_STR("why", why), LOG_INT("failures", c->failures), );
}

static void conn_unlink(struct pg_conn *c)
{
	if (c->readable != NULL)
		event_free(c->readable);
	if (c->writable != NULL)
		event_free(c->writable);
	c->readable = c->writable = NULL;
	PQfinish(c->pq);
	c->pq = NULL;
	if (c->nprepared > 0)
		memset(c->prepared, PREP_NO, c->nprepared);
	timer_stop(&c->timer);
}

/* The server's word on a set is its word on one of them, nobody knows whose. */
static bool cmd_undone(const struct pg_cmd *cmd)
{
	return cmd->company.n > 0 && cmd->res != NULL && cmd->err != ERR_OK && cmd->err != ERR_UNKNOWN &&
	       cmd->err != ERR_UNREACHABLE;
}

/* Those under way end with err, except where the server's own word is known; what has rows may have been committed. */
static void conn_give_up(struct pg_conn *c, enum err err, const char *why)
{
	struct pg_cmd *cmd;

	c->reading = NULL;
	c->results = false;
	c->sociable = 0;
	while ((cmd = pg_list_pop(&c->under_way)) != NULL) {
		if (cmd_undone(cmd)) {
			pg_conn_again(c, cmd);
			continue;
		}
		pg_cmd_fail(cmd, cmd->res != NULL ? ERR_UNKNOWN : err, why);
		if (cmd->fn != NULL)
			c->hooks.finished(c->hooks.arg, cmd);
		else
			pg_cmd_free(cmd);
	}
	pg_conn_count_busy(c);
}

void pg_conn_drop(struct pg_conn *c, enum err err, const char *kind, const char *why)
{
	struct arena a;

	arena_init(&a);
	if (clock_ms() - c->up_ms >= STEADY_MS)
		c->failures = 0;
	pg_count_error(kind);
	snprintf(c->trouble, sizeof(c->trouble), "%s", why);
	log_warn("postgres connection dropped", LOG_STR("why", why), LOG_INT("under_way", c->under_way.n),
	         LOG_STR("libpq", PQstatus(c->pq) == CONNECTION_BAD ? pg_message(&a, c->pq) : NULL));
	arena_release(&a);
	conn_unlink(c);
	pg_conn_set_state(c, CONN_DOWN);
	conn_give_up(c, c->server_gone ? ERR_UNREACHABLE : err, why);
	conn_backoff(c);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct pg_conn *c = arg;
	PGnotify *notify;
	bool alive, sane;

	(void)fd;
	(void)what;
	loop_note(c->loop, "postgres");
	alive = PQconsumeInput(c->pq) == 1;
	sane = pg_conn_drain(c);
	while ((notify = PQnotifies(c->pq)) != NULL)
		PQfreemem(notify);
	if (c->state == CONN_UP && pg_conn_read_only(c))
		pg_conn_set_state(c, CONN_LEAVING);
	if (!alive || !sane || PQstatus(c->pq) == CONNECTION_BAD)
		pg_conn_drop(c, ERR_UNKNOWN, "lost",
		             c->server_gone ? "the server is shutting down" : "connection lost");
	else if (c->state == CONN_LEAVING && c->under_way.n == 0)
		pg_conn_drop(c, ERR_UNKNOWN, "read_only", "the server is read-only");
	else
		pg_conn_flush(c);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	pg_conn_flush(arg);
}

/* A statement of the connection's own, whose answer nobody waits for. */
static void conn_say(struct pg_conn *c, struct pg_known *what)
{
	struct pg_cmd *cmd = pg_cmd_new(what, NULL, NULL, NULL);
	struct pg_list alone;

	cmd->plain = true;
	pg_list_init(&alone);
	pg_list_push(&alone, cmd);
	pg_conn_send(c, &alone);
}

static void conn_plan_anew(struct pg_conn *c)
{
	static const struct pg_stmt stmt = {.name = "discard_plans", .sql = "DISCARD PLANS", .nparams = 0};
	static struct pg_known known = {.stmt = &stmt, .prepared_name = ""};

	c->plans_until = 2 * c->sent;
	conn_say(c, &known);
}

void pg_conn_flush(struct pg_conn *c)
{
	if (c->conf.plan_once && c->sent >= c->plans_until && c->state == CONN_UP)
		conn_plan_anew(c);
	if (!conn_linked(c))
		return;
	switch (PQflush(c->pq)) {
	case 0: break;
	case 1: event_add(c->writable, NULL); break;
	default: pg_conn_drop(c, ERR_UNKNOWN, "lost", "connection lost");
	}
}

/* --- watching */

/* How long the first statement under way may take; 0: no limit. */
static int64_t conn_limit(const struct pg_conn *c)
{
	if (c->conf.statement_timeout_ms > 0)
		return (int64_t)c->conf.statement_timeout_ms + GRACE_MS;
	return c->under_way.head != NULL && c->under_way.head->fn == NULL ? PING_LIMIT_MS : 0;
}

/* The timer only ever moves nearer here; when it is early it looks and waits again. So a statement costs none. */
static void conn_watch_within(struct pg_conn *c, int64_t ms)
{
	int64_t due = clock_ms() + ms;

	if (timer_armed(&c->timer) && c->watch_ms <= due)
		return;
	c->watch_ms = due;
	timer_set(&c->timer, ms);
}

void pg_conn_watch_limit(struct pg_conn *c)
{
	int64_t limit = conn_limit(c);

	if (limit > 0)
		conn_watch_within(c, limit);
}

static void conn_ping(struct pg_conn *c)
{
	static const struct pg_stmt stmt = {.name = "ping", .sql = "SELECT 1", .nparams = 0};
	static struct pg_known ping = {.stmt = &stmt, .prepared_name = ""};

	conn_say(c, &ping);
	pg_conn_flush(c);
}

static void conn_watch(struct pg_conn *c)
{
	int64_t now = clock_ms(), limit = conn_limit(c), idle = (int64_t)c->conf.keepalive_s * 1000;

	if (c->under_way.n > 0) {
		if (limit > 0 && now - c->head_ms >= limit)
			pg_conn_drop(c, ERR_TIMEOUT, "timeout", "no answer in time");
		else if (limit > 0)
			conn_watch_within(c, c->head_ms + limit - now);
		else if (idle > 0)
			conn_watch_within(c, idle);
	} else if (idle > 0) {
		if (now - c->used_ms >= idle)
			conn_ping(c);
		else
			conn_watch_within(c, c->used_ms + idle - now);
	}
}

/* --- dialing */

static void on_dialed(void *arg, PGconn *pq, const char *why)
{
	struct pg_conn *c = arg;

	c->dial = NULL;
	if (pq == NULL || PQsetnonblocking(pq, 1) != 0 || PQenterPipelineMode(pq) != 1) {
		PQfinish(pq);
		pg_count_error("connect");
		snprintf(c->trouble, sizeof(c->trouble), "%s", why ? why : "no pipeline mode");
		conn_complain(c, "postgres cannot be reached", why ? why : "no pipeline mode");
		pg_conn_set_state(c, CONN_DOWN);
		c->first_host++;
		conn_backoff(c);
		return;
	}
	c->pq = pq;
	c->readable = event_new(loop_base(c->loop), PQsocket(pq), EV_READ | EV_PERSIST, on_readable, c);
	c->writable = event_new(loop_base(c->loop), PQsocket(pq), EV_WRITE, on_writable, c);
	ENSURE(c->readable != NULL && c->writable != NULL);
	event_add(c->readable, NULL);
	c->server_gone = false;
	c->sent = 0;
	c->plans_until = PLANS_FIRST;
	c->up_ms = c->used_ms = clock_ms();
	c->complained_ms = 0;
	log_info("postgres connected", LOG_STR("host", PQhost(pq)), LOG_STR("port", PQport(pq)),
	         LOG_STR("database", PQdb(pq)), LOG_INT("backend", PQbackendPID(pq)));
	pg_conn_set_state(c, CONN_UP);
	if (c->conf.keepalive_s > 0)
		conn_watch_within(c, (int64_t)c->conf.keepalive_s * 1000);
}

static void conn_dial(struct pg_conn *c)
{
	pg_conn_set_state(c, CONN_DIALING);
	c->dial = pg_dial(c->loop, c->conf.target, c->first_host, on_dialed, c);
}

static void on_timer(void *arg)
{
	struct pg_conn *c = arg;

	if (c->state == CONN_DOWN)
		conn_dial(c);
	else if (conn_linked(c))
		conn_watch(c);
}

struct pg_conn *pg_conn_open(struct loop *l, const struct pg_conn_conf *conf, const struct pg_hooks *hooks)
{
	struct pg_conn *c = mem_zalloc(sizeof(*c));

	c->loop = l;
	c->conf = *conf;
	c->hooks = *hooks;
	snprintf(c->trouble, sizeof(c->trouble), "not connected yet");
	pg_list_init(&c->under_way);
	buf_init(&c->scratch, INT32_MAX);
	timer_init(&c->timer, l, on_timer, c);
	conn_dial(c);
	return c;
}

void pg_conn_close(struct pg_conn *c)
{
	pg_dial_cancel(c->dial);
	conn_unlink(c);
	pg_conn_set_state(c, CONN_DOWN);
	conn_give_up(c, ERR_UNKNOWN, "the pool is closing");
	timer_release(&c->timer);
	buf_release(&c->scratch);
	free(c->prepared);
	free(c);
}
