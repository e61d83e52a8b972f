#include "shoal/io/pg_conn.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shoal/base/clock.h"
#include "shoal/base/log.h"

#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 5000
#define STEADY_MS 5000      /* up for so long: the next backoff starts anew */
#define GRACE_MS 2000       /* beyond the server's own statement timeout */
#define PING_LIMIT_MS 10000 /* for pings where statements have no limit */
#define COMPLAIN_MS 30000   /* between two warnings about the same server being away */

/* DOWN -> DIALING -> UP -> LEAVING -> DOWN; all but the last but one may go straight to DOWN. LEAVING: finishes what
 * is under way, takes no more. */
enum conn_state { CONN_DOWN, CONN_DIALING, CONN_UP, CONN_LEAVING };

/* Whether a statement's name can be used on this connection. PENDING: the answer to its Parse is not here yet; what
 * else needs the statement goes without a name meanwhile, so a Parse that fails spoils nothing behind it. */
enum prepared { PREP_NO, PREP_PENDING, PREP_YES, PREP_NEVER };

struct pg_conn {
	struct loop *loop;
	struct pg_conn_conf conf;
	struct pg_hooks hooks;
	enum conn_state state;
	bool counted_busy;
	struct pg_dial *dial;
	PGconn *pq;
	struct event *readable, *writable;
	struct timer timer; /* DOWN: dial again; UP, LEAVING: look at limits and idleness, due at watch_ms */
	int64_t watch_ms;
	unsigned failures, first_host;
	int64_t up_ms, used_ms, complained_ms;
	struct pg_list under_way; /* in groups that end with a Sync; results come in this order */
	struct pg_cmd *reading;   /* whose results come next; NULL: the first group's Sync does */
	bool results;             /* some of those of the present query have come, its end has not */
	int64_t head_ms;          /* since when the server is at that one */
	bool server_gone;         /* the server said that it ends this session: nothing behind was executed */
	char trouble[200];        /* why it was lost or not made */
	uint8_t *prepared;        /* enum prepared by pg_known.index */
	unsigned nprepared;
};

/* --- lists */

void pg_list_init(struct pg_list *l)
{
	l->head = NULL;
	l->tail = &l->head;
	l->n = 0;
}

void pg_list_push(struct pg_list *l, struct pg_cmd *cmd)
{
	cmd->next = NULL;
	*l->tail = cmd;
	l->tail = &cmd->next;
	l->n++;
}

void pg_list_push_front(struct pg_list *l, struct pg_cmd *cmd)
{
	cmd->next = l->head;
	l->head = cmd;
	if (cmd->next == NULL)
		l->tail = &cmd->next;
	l->n++;
}

void pg_list_insert(struct pg_list *l, struct pg_cmd *cmd)
{
	struct pg_cmd **at = &l->head;

	while (*at != NULL && (*at)->order <= cmd->order)
		at = &(*at)->next;
	cmd->next = *at;
	*at = cmd;
	if (cmd->next == NULL)
		l->tail = &cmd->next;
	l->n++;
}

struct pg_cmd *pg_list_pop(struct pg_list *l)
{
	struct pg_cmd *cmd = l->head;

	if (cmd == NULL)
		return NULL;
	l->head = cmd->next;
	if (l->head == NULL)
		l->tail = &l->head;
	l->n--;
	cmd->next = NULL;
	return cmd;
}

void pg_cmd_fail(struct pg_cmd *cmd, enum err err, const char *why)
{
	if (cmd->err != ERR_OK)
		return;
	PQclear(cmd->res);
	cmd->res = NULL;
	cmd->err = err;
	cmd->why = why;
}

/* --- state and gauges */

static struct series *gauge(const char *state)
{
	return SERIES(metric_gauge("shoal_pg_pool", "state", "Connections to Postgres by state."), state);
}

static bool conn_linked(const struct pg_conn *c)
{
	return c->state == CONN_UP || c->state == CONN_LEAVING;
}

static void conn_count_busy(struct pg_conn *c)
{
	static struct series *busy_ones;
	bool busy = c->under_way.n > 0;

	if (!busy_ones)
		busy_ones = gauge("busy");
	if (busy != c->counted_busy)
		series_add(busy_ones, busy ? 1 : -1);
	c->counted_busy = busy;
}

static void conn_set_state(struct pg_conn *c, enum conn_state to)
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

/* Those under way end with err, except where the server's own word is known; what has rows may have been committed. */
static void conn_give_up(struct pg_conn *c, enum err err, const char *why)
{
	struct pg_cmd *cmd;

	c->reading = NULL;
	c->results = false;
	while ((cmd = pg_list_pop(&c->under_way)) != NULL) {
		pg_cmd_fail(cmd, cmd->res != NULL ? ERR_UNKNOWN : err, why);
		if (cmd->fn != NULL)
			c->hooks.finished(c->hooks.arg, cmd);
		else {
			PQclear(cmd->res);
			free(cmd);
		}
	}
	conn_count_busy(c);
}

/* kind counts the loss in the metrics; why must be a literal, it stays with the statements. */
static void conn_drop(struct pg_conn *c, enum err err, const char *kind, const char *why)
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
	conn_set_state(c, CONN_DOWN);
	conn_give_up(c, c->server_gone ? ERR_UNREACHABLE : err, why);
	conn_backoff(c);
}

/* --- results */

static enum prepared conn_prepared(const struct pg_conn *c, const struct pg_known *k)
{
	return k->index < c->nprepared ? (enum prepared)c->prepared[k->index] : PREP_NO;
}

static void conn_note_prepared(struct pg_conn *c, const struct pg_known *k, enum prepared to)
{
	if (k->index >= c->nprepared) {
		unsigned n = k->index + 32;

		c->prepared = mem_realloc(c->prepared, n);
		memset(c->prepared + c->nprepared, PREP_NO, n - c->nprepared);
		c->nprepared = n;
	}
	c->prepared[k->index] = (uint8_t)to;
}

static const char *result_state(const PGresult *res)
{
	const char *state = res ? PQresultErrorField(res, PG_DIAG_SQLSTATE) : NULL;

	return state ? state : "";
}

/* The server's word ends the session ("FATAL"), not only the statement. PgBouncer gives it in one form only. */
static bool result_is_fatal(const PGresult *res)
{
	const char *severity = PQresultErrorField(res, PG_DIAG_SEVERITY_NONLOCALIZED);

	if (severity == NULL)
		severity = PQresultErrorField(res, PG_DIAG_SEVERITY);
	return severity != NULL && (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0);
}

/* False: it is libpq's own word, for a connection that broke. */
static bool conn_error(struct pg_conn *c, struct pg_cmd *cmd, PGresult *res)
{
	const char *state = result_state(res);
	enum err err = pg_classify(state);

	if (state[0] == '\0') {
		PQclear(res);
		return false;
	}
	if (result_is_fatal(res)) {
		/* from a pooler it may be the pooler's word only, with a server at work behind it */
		c->server_gone = c->conf.prepare && strncmp(state, "57P", 3) == 0;
		if (cmd->res != NULL || !c->conf.prepare || strncmp(state, "08", 2) == 0) /* perhaps after the commit */
			err = ERR_UNKNOWN;
	}
	if (cmd->err != ERR_OK) {
		PQclear(res);
		return true;
	}
	PQclear(cmd->res);
	cmd->res = res;
	cmd->err = err == ERR_OK ? ERR_INTERNAL : err;
	return true;
}

/* Whether it failed only for its prepared name: a pooler gave us another server session (26000, 42P05), or the tables
 * changed under the plan (0A000). Its transaction is undone, so it may go again. */
static bool cmd_goes_again(const struct pg_cmd *cmd)
{
	const char *state = result_state(cmd->res);

	switch (cmd->way) {
	case CMD_PARSING: return strcmp(state, "42P05") == 0 || strcmp(state, "26000") == 0;
	case CMD_NAMED: return strcmp(state, "26000") == 0 || strcmp(state, "0A000") == 0;
	default: return false;
	}
}

/* As if it had not been sent; where that was for its prepared name, without one. */
static void conn_again(struct pg_conn *c, struct pg_cmd *cmd)
{
	if (cmd->err != ERR_OK && cmd_goes_again(cmd)) {
		log_debug("prepared statement not usable here", LOG_STR("statement", cmd->known->stmt->name));
		conn_note_prepared(c, cmd->known, PREP_NEVER);
		cmd->plain = true;
	}
	PQclear(cmd->res);
	cmd->res = NULL;
	cmd->err = ERR_OK;
	c->hooks.again(c->hooks.arg, cmd);
}

static void conn_finish(struct pg_conn *c, struct pg_cmd *cmd, bool in_failed_group)
{
	if (cmd->fn == NULL) {
		PQclear(cmd->res);
		free(cmd);
		return;
	}
	if (cmd->way == CMD_PARSING && conn_prepared(c, cmd->known) == PREP_PENDING)
		conn_note_prepared(c, cmd->known, PREP_NO);
	if (cmd->err != ERR_OK && strcmp(result_state(cmd->res), "25006") == 0 && c->state == CONN_UP)
		conn_set_state(c, CONN_LEAVING);
	cmd->alone = cmd->alone || in_failed_group;
	if (in_failed_group || (cmd->err != ERR_OK && cmd_goes_again(cmd)))
		conn_again(c, cmd);
	else
		c->hooks.finished(c->hooks.arg, cmd);
}

/* The Sync's result is here. Of several the failure of one has undone all: whose it is shows when each goes alone. */
static void conn_finish_group(struct pg_conn *c)
{
	struct pg_list group;
	struct pg_cmd *cmd;
	bool failed = false, several;

	pg_list_init(&group);
	do {
		cmd = pg_list_pop(&c->under_way);
		failed = failed || cmd->err != ERR_OK;
		pg_list_push(&group, cmd);
	} while (!cmd->syncs);
	c->reading = c->under_way.head;
	c->head_ms = c->used_ms = clock_ms();
	conn_count_busy(c);
	several = group.n > 1;
	if (failed && several)
		pg_count_error("group");
	while ((cmd = pg_list_pop(&group)) != NULL)
		conn_finish(c, cmd, failed && several);
}

/* The last one of the first group: what goes wrong at the commit is told of it. */
static struct pg_cmd *conn_last_of_group(const struct pg_conn *c)
{
	struct pg_cmd *cmd = c->under_way.head;

	while (!cmd->syncs)
		cmd = cmd->next;
	return cmd;
}

static void conn_rows(struct pg_conn *c, struct pg_cmd *cmd, PGresult *res)
{
	if (cmd->way == CMD_PARSING && conn_prepared(c, cmd->known) == PREP_PENDING) {
		conn_note_prepared(c, cmd->known, PREP_YES);
		PQclear(res);
		return;
	}
	PQclear(cmd->res);
	cmd->res = res;
}

/* False: the connection is of no use any more. */
static bool conn_result(struct pg_conn *c, PGresult *res)
{
	struct pg_cmd *cmd = c->reading ? c->reading : conn_last_of_group(c);

	switch (PQresultStatus(res)) {
	case PGRES_PIPELINE_SYNC:
		PQclear(res);
		conn_finish_group(c);
		return true;
	case PGRES_PIPELINE_ABORTED: /* what stands between an error and its Sync */ PQclear(res); break;
	case PGRES_COMMAND_OK:
	case PGRES_TUPLES_OK:
	case PGRES_EMPTY_QUERY: conn_rows(c, cmd, res); break;
	case PGRES_FATAL_ERROR: c->results = true; return conn_error(c, cmd, res);
	default: /* COPY and the like have no place in a pipeline */
		PQclear(res);
		pg_cmd_fail(cmd, ERR_INTERNAL, "the statement is of a kind that cannot be pipelined");
		return false;
	}
	c->results = true;
	return true;
}

/* All results of a query are here. Where the statement was to be prepared first, that was a query too. */
static void conn_query_over(struct pg_conn *c)
{
	struct pg_cmd *cmd = c->reading;

	c->results = false;
	if (cmd == NULL)
		return;
	if (cmd->way == CMD_PARSING && !cmd->parsed) {
		cmd->parsed = true;
		return;
	}
	c->reading = cmd->syncs ? NULL : cmd->next;
	c->head_ms = clock_ms();
}

/* Takes every result that is here. NULL ends the results of one query, and comes once; a Sync has none. After an
 * error libpq makes up results without reading the socket, so this goes on for as long as it is not busy. */
static bool conn_drain(struct pg_conn *c)
{
	unsigned ends = 0;

	while (c->under_way.head != NULL && !PQisBusy(c->pq)) {
		PGresult *res = PQgetResult(c->pq);

		if (res != NULL) {
			ends = 0;
			if (!conn_result(c, res))
				return false;
		} else if (c->results) {
			conn_query_over(c);
		} else if (++ends > 2) {
			return false;
		}
	}
	return true;
}

/* The server says so by itself, with the first answer after it has become so. */
static bool conn_read_only(const struct pg_conn *c)
{
	static const char *const settings[] = {"default_transaction_read_only", "in_hot_standby"};

	for (int i = 0; c->conf.writes && i < 2; i++) {
		const char *value = PQparameterStatus(c->pq, settings[i]);

		if (value != NULL && strcmp(value, "on") == 0)
			return true;
	}
	return false;
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
	sane = conn_drain(c);
	while ((notify = PQnotifies(c->pq)) != NULL)
		PQfreemem(notify);
	if (c->state == CONN_UP && conn_read_only(c))
		conn_set_state(c, CONN_LEAVING);
	if (!alive || !sane || PQstatus(c->pq) == CONNECTION_BAD)
		conn_drop(c, ERR_UNKNOWN, "lost", c->server_gone ? "the server is shutting down" : "connection lost");
	else if (c->state == CONN_LEAVING && c->under_way.n == 0)
		conn_drop(c, ERR_UNKNOWN, "read_only", "the server is read-only");
	else
		pg_conn_flush(c);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	pg_conn_flush(arg);
}

void pg_conn_flush(struct pg_conn *c)
{
	if (!conn_linked(c))
		return;
	switch (PQflush(c->pq)) {
	case 0: break;
	case 1: event_add(c->writable, NULL); break;
	default: conn_drop(c, ERR_UNKNOWN, "lost", "connection lost");
	}
}

/* --- sending */

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

static bool conn_put(struct pg_conn *c, struct pg_cmd *cmd)
{
	const struct pg_known *k = cmd->known;
	enum prepared prepared = c->conf.prepare && !cmd->plain ? conn_prepared(c, k) : PREP_NEVER;

	cmd->way = prepared == PREP_NO ? CMD_PARSING : prepared == PREP_YES ? CMD_NAMED : CMD_UNNAMED;
	if (cmd->way == CMD_PARSING) {
		if (PQsendPrepare(c->pq, k->prepared_name, k->stmt->sql, 0, NULL) != 1)
			return false;
		conn_note_prepared(c, k, PREP_PENDING);
	}
	if (cmd->way == CMD_UNNAMED)
		return PQsendQueryParams(c->pq, k->stmt->sql, cmd->n, NULL, cmd->v, NULL, NULL, 0) == 1;
	return PQsendQueryPrepared(c->pq, k->prepared_name, cmd->n, cmd->v, NULL, NULL, 0) == 1;
}

/* libpq 15 writes to the socket at every Sync; from 17 on it can leave that to the flush after the batch. */
static bool conn_sync(struct pg_conn *c)
{
#ifdef LIBPQ_HAS_SEND_PIPELINE_SYNC
	return PQsendPipelineSync(c->pq) == 1;
#else
	return PQpipelineSync(c->pq) == 1;
#endif
}

/* Without its Sync nothing of a group can have been committed; with it perhaps. */
static void conn_send_failed(struct pg_conn *c, struct pg_cmd *first, struct pg_list *rest)
{
	struct pg_cmd *cmd;

	while ((cmd = pg_list_pop(rest)) != NULL)
		pg_list_push(&c->under_way, cmd);
	for (cmd = first; cmd != NULL; cmd = cmd->next)
		pg_cmd_fail(cmd, ERR_UNREACHABLE, "the statement could not be sent");
	conn_drop(c, ERR_UNKNOWN, "lost", "connection lost");
}

void pg_conn_send(struct pg_conn *c, struct pg_list *group)
{
	struct pg_cmd *first = group->head;
	int64_t now = clock_us(), limit;

	if (c->under_way.n == 0) {
		c->head_ms = now / 1000;
		c->reading = first;
	}
	for (struct pg_cmd *cmd; (cmd = pg_list_pop(group)) != NULL;) {
		bool put = conn_put(c, cmd);

		cmd->sent_us = now;
		cmd->parsed = false;
		cmd->syncs = group->n == 0;
		pg_list_push(&c->under_way, cmd);
		if (!put) {
			conn_send_failed(c, first, group);
			return;
		}
	}
	if (!conn_sync(c)) {
		conn_drop(c, ERR_UNKNOWN, "lost", "connection lost");
		return;
	}
	conn_count_busy(c);
	limit = conn_limit(c);
	if (limit > 0)
		conn_watch_within(c, limit);
}

static void conn_ping(struct pg_conn *c)
{
	static const struct pg_stmt stmt = {.name = "ping", .sql = "SELECT 1", .nparams = 0};
	static const struct pg_known ping = {.stmt = &stmt, .prepared_name = ""};
	struct pg_cmd *cmd = mem_zalloc(sizeof(*cmd));
	struct pg_list alone;

	cmd->known = &ping;
	cmd->plain = true;
	pg_list_init(&alone);
	pg_list_push(&alone, cmd);
	pg_conn_send(c, &alone);
	pg_conn_flush(c);
}

static void conn_watch(struct pg_conn *c)
{
	int64_t now = clock_ms(), limit = conn_limit(c), idle = (int64_t)c->conf.keepalive_s * 1000;

	if (c->under_way.n > 0) {
		if (limit > 0 && now - c->head_ms >= limit)
			conn_drop(c, ERR_TIMEOUT, "timeout", "no answer in time");
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
		conn_set_state(c, CONN_DOWN);
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
	c->up_ms = c->used_ms = clock_ms();
	c->complained_ms = 0;
	log_info("postgres connected", LOG_STR("host", PQhost(pq)), LOG_STR("port", PQport(pq)),
	         LOG_STR("database", PQdb(pq)), LOG_INT("backend", PQbackendPID(pq)));
	conn_set_state(c, CONN_UP);
	if (c->conf.keepalive_s > 0)
		conn_watch_within(c, (int64_t)c->conf.keepalive_s * 1000);
}

static void conn_dial(struct pg_conn *c)
{
	conn_set_state(c, CONN_DIALING);
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
	timer_init(&c->timer, l, on_timer, c);
	conn_dial(c);
	return c;
}

void pg_conn_close(struct pg_conn *c)
{
	pg_dial_cancel(c->dial);
	conn_unlink(c);
	conn_set_state(c, CONN_DOWN);
	conn_give_up(c, ERR_UNKNOWN, "the pool is closing");
	timer_release(&c->timer);
	free(c->prepared);
	free(c);
}
