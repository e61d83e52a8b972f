#include "shoal/io/pg_listen.h"

#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shoal/base/arena.h"
#include "shoal/base/clock.h"
#include "shoal/base/err.h"
#include "shoal/base/log.h"
#include "shoal/io/pg_conn.h"
#include "shoal/io/pg_dial.h"

#define BACKOFF_MIN_MS 50
#define BACKOFF_MAX_MS 1000
#define STEADY_MS 5000    /* a connection that lasted so long starts the backoff anew */
#define COMPLAIN_MS 30000 /* between two warnings about the same outage */
#define CHANNEL_MAX 63    /* longer names the server cuts off */

/*  WAITING --timer--> DIALING --> GREETING --first echo--> UP
 *     ^------------------------ cut() ---------------------'     pg_listen_close: CLOSED
 * WAITING without a timer: the connection string cannot be used. */
enum listen_state { LISTEN_WAITING, LISTEN_DIALING, LISTEN_GREETING, LISTEN_UP, LISTEN_CLOSED };

/* ASKED: by NOTIFY. ECHOED: its answer is here, the end of its command is not. LIGHT: the end is the answer. */
enum question { QUESTION_NONE, QUESTION_ASKED, QUESTION_ECHOED, QUESTION_LIGHT };

struct pg_listen {
	struct loop *loop;
	struct pg_listen_opts opts;
	struct arena arena; /* of opts and target */
	struct pg_target *target;
	enum listen_state state;
	unsigned depth; /* entries from the loop on the stack: memory stays until they are through */

	struct pg_dial *dial;
	PGconn *pq;
	struct event *readable, *writable;
	char echo[48]; /* our own channel, new for every connection: an old one may still have a question on its way */
	int backend;   /* the server's process that answered first; 0: none yet */
	char last_word[200]; /* why the server ends this session, or refuses what we asked */
	char kind[16];       /* of that, for the metrics */

	enum question question;
	uint64_t token;   /* of the question, as its payload */
	int64_t answered; /* by this process of the server, a light one */
	int64_t asked_ms;
	bool ask_again; /* after this one */
	struct task soon;

	struct timer timer; /* WAITING: dial; a question: its limit; UP: the next question */
	int64_t backoff_ms, up_since_ms;
	unsigned first_host;

	int64_t complained_ms;
	unsigned unsaid; /* complaints since */
	char trouble[200];
};

/* --- the life of the struct */

static void hold(struct pg_listen *l)
{
	l->depth++;
}

static void let_go(struct pg_listen *l)
{
	if (--l->depth > 0 || l->state != LISTEN_CLOSED)
		return;
	arena_release(&l->arena);
	free(l);
}

/* --- losing the connection */

static void disconnect(struct pg_listen *l)
{
	pg_dial_cancel(l->dial);
	l->dial = NULL;
	if (l->readable != NULL)
		event_free(l->readable);
	if (l->writable != NULL)
		event_free(l->writable);
	l->readable = l->writable = NULL;
	PQfinish(l->pq);
	l->pq = NULL;
	l->question = QUESTION_NONE;
	l->ask_again = false;
	l->backend = 0;
	l->last_word[0] = '\0';
	task_cancel(&l->soon);
	timer_stop(&l->timer);
}

/* The first of an outage and now and then; the rest is for those who debug. */
static void complain(struct pg_listen *l, bool was_up)
{
	int64_t now = clock_ms();
	enum log_level level = LOG_DEBUG;

	if (l->complained_ms == 0 || now - l->complained_ms >= COMPLAIN_MS) {
		level = LOG_WARN;
		l->complained_ms = now;
	}
	LOG_AT(level, was_up ? "postgres listener lost its connection" : "postgres listener cannot connect",
	       LOG_STR("peer", "postgres"), LOG_STR("host", l->pq ? PQhost(l->pq) : NULL),
	       LOG_STR("port", l->pq ? PQport(l->pq) : NULL), LOG_STR("channel", l->opts.channel),
	       LOG_STR("reason", l->trouble), LOG_INT("suppressed", l->unsaid), );
	l->unsaid = level == LOG_WARN ? 0 : l->unsaid + 1;
}

/* kind counts the loss in the metrics. */
static void lose(struct pg_listen *l, const char *kind, const char *reason)
{
	bool was_up = l->state == LISTEN_UP;

	if (was_up && clock_ms() - l->up_since_ms >= STEADY_MS) {
		l->backoff_ms = BACKOFF_MIN_MS;
		l->complained_ms = 0;
	}
	if (!was_up)
		l->first_host++;
	pg_count_error(kind);
	snprintf(l->trouble, sizeof(l->trouble), "%s", reason);
	complain(l, was_up);
	disconnect(l); /* after the last use of reason, which may be libpq's */
	l->state = LISTEN_WAITING;
	timer_set(&l->timer, jitter_ms(l->backoff_ms));
	l->backoff_ms = l->backoff_ms * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : l->backoff_ms * 2;
}

/* on_down may close l. */
static void cut(struct pg_listen *l, const char *kind, const char *reason)
{
	bool was_up = l->state == LISTEN_UP;

	lose(l, kind, reason);
	if (was_up && l->opts.on_down != NULL)
		l->opts.on_down(l->opts.arg);
}

/* For what libpq reports; the server's own last word tells more. */
static void cut_broken(struct pg_listen *l)
{
	struct arena a;

	arena_init(&a);
	if (l->last_word[0] != '\0')
		cut(l, l->kind, arena_strdup(&a, l->last_word));
	else
		cut(l, "lost", pg_message(&a, l->pq));
	arena_release(&a);
}

static void cut_moved(struct pg_listen *l)
{
	cut(l, "protocol", "another server session answers: a pooler stands between that does not keep ours");
}

/* The first one tells. */
static void note_last_word(struct pg_listen *l, const PGresult *res)
{
	const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
	const char *message = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);

	if (l->last_word[0] != '\0' || state == NULL || message == NULL)
		return; /* without a state it is libpq's own, and stands in the connection's message too */
	snprintf(l->last_word, sizeof(l->last_word), "%s", message);
	snprintf(l->kind, sizeof(l->kind), "%.2s", state);
}

/* What a server says to an idle client, its farewell too, reaches us as a notice. */
static void on_server_notice(void *arg, const PGresult *res)
{
	const char *severity = PQresultErrorField(res, PG_DIAG_SEVERITY_NONLOCALIZED);

	if (severity != NULL && (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0))
		note_last_word(arg, res);
	else
		log_debug("postgres notice", LOG_STR("text", PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY)));
}

/* --- asking */

static void flush(struct pg_listen *l)
{
	switch (PQflush(l->pq)) {
	case 0: break;
	case 1: event_add(l->writable, NULL); break;
	default: cut_broken(l);
	}
}

static void send_question(struct pg_listen *l, enum question question, const char *sql)
{
	l->question = question;
	l->asked_ms = clock_ms(); /* before it can leave */
	timer_set(&l->timer, l->opts.timeout_ms);
	if (PQsendQuery(l->pq, sql) != 1)
		cut_broken(l);
	else
		flush(l);
}

/* before: what goes in the same transaction, ahead of the question. Only where none is open. */
static void ask(struct pg_listen *l, const char *before)
{
	char sql[384];
	int len = snprintf(sql, sizeof(sql), "%sNOTIFY %s, '%" PRIu64 "'", before, l->echo, ++l->token);

	ENSURE(len > 0 && (size_t)len < sizeof(sql));
	l->ask_again = false;
	send_question(l, QUESTION_ASKED, sql);
}

static void ask_by_the_clock(struct pg_listen *l)
{
	if (l->opts.light)
		send_question(l, QUESTION_LIGHT, "SELECT pg_backend_pid() AS shoal_echo");
	else
		ask(l, "");
}

/* Those that light questions lead to, of several listeners, are not to come at one time. */
static int64_t interval_ms(const struct pg_listen *l)
{
	return l->opts.light ? jitter_ms(l->opts.ping_ms) : l->opts.ping_ms;
}

/* A question ends with its command, as libpq takes the next one only then. */
static void end_question(struct pg_listen *l)
{
	bool light = l->question == QUESTION_LIGHT;

	if ((!light && l->question != QUESTION_ECHOED) || PQtransactionStatus(l->pq) != PQTRANS_IDLE)
		return;
	l->question = QUESTION_NONE;
	if (light && l->answered != l->backend) {
		cut_moved(l);
		return;
	}
	if (light && l->opts.on_alive != NULL)
		l->opts.on_alive(l->opts.arg, l->asked_ms);
	if (l->state != LISTEN_UP)
		return;
	if (l->ask_again)
		loop_defer(l->loop, &l->soon);
	else
		timer_set(&l->timer, l->asked_ms + interval_ms(l) - clock_ms());
}

static void on_soon(void *arg)
{
	struct pg_listen *l = arg;

	hold(l);
	if (l->question == QUESTION_NONE)
		ask(l, "");
	let_go(l);
}

void pg_listen_ping(struct pg_listen *l)
{
	if (l->state != LISTEN_UP)
		return;
	l->ask_again = true;
	if (l->question == QUESTION_NONE)
		loop_defer(l->loop, &l->soon);
}

/* --- what the server sends */

static void get_up(struct pg_listen *l, int backend)
{
	l->state = LISTEN_UP;
	l->backend = backend;
	l->up_since_ms = clock_ms();
	log_info("postgres listener connected", LOG_STR("host", PQhost(l->pq)), LOG_STR("port", PQport(l->pq)),
	         LOG_STR("database", PQdb(l->pq)), LOG_INT("backend", backend), LOG_STR("channel", l->opts.channel));
	if (PQbackendPID(l->pq) != backend)
		log_warn("postgres listener goes through a pooler: it loses notices unless that keeps our session",
		         LOG_STR("host", PQhost(l->pq)), LOG_STR("port", PQport(l->pq)),
		         LOG_STR("channel", l->opts.channel));
	if (l->opts.on_up != NULL)
		l->opts.on_up(l->opts.arg);
}

static void take_echo(struct pg_listen *l, const PGnotify *n)
{
	uint64_t token = strtoull(n->extra, NULL, 10);

	if (l->question != QUESTION_ASKED || token != l->token)
		return;
	l->question = QUESTION_ECHOED;
	if (l->state == LISTEN_GREETING) {
		get_up(l, n->be_pid);
	} else if (n->be_pid != l->backend) {
		cut_moved(l);
		return;
	}
	if (l->state == LISTEN_UP && l->opts.on_pong != NULL)
		l->opts.on_pong(l->opts.arg, l->asked_ms);
}

/* The order among channels is the server's. Before the first echo they tell of what on_up has read again anyway. */
static void take_notices(struct pg_listen *l)
{
	PGnotify *n;

	while (l->pq != NULL && (n = PQnotifies(l->pq)) != NULL) {
		if (strcmp(n->relname, l->echo) == 0)
			take_echo(l, n);
		else if (l->state == LISTEN_UP && l->opts.on_notice != NULL && strcmp(n->relname, l->opts.channel) == 0)
			l->opts.on_notice(l->opts.arg, span_of(n->extra));
		PQfreemem(n);
	}
}

/* False: what we asked was refused, or the session ended. */
static bool take_results(struct pg_listen *l)
{
	PGresult *res;
	bool ok = true;

	while (ok && !PQisBusy(l->pq) && (res = PQgetResult(l->pq)) != NULL) {
		ok = PQresultStatus(res) == PGRES_COMMAND_OK || PQresultStatus(res) == PGRES_TUPLES_OK;
		if (PQntuples(res) == 1 && !span_i64(span_of(PQgetvalue(res, 0, 0)), &l->answered))
			l->answered = 0;
		if (!ok)
			note_last_word(l, res);
		PQclear(res);
	}
	return ok;
}

/* Once per turn, one buffer of libpq's: a flood neither piles up here nor keeps others waiting. */
static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct pg_listen *l = arg;
	bool alive;

	(void)fd;
	(void)what;
	loop_note(l->loop, "postgres notices");
	hold(l);
	alive = PQconsumeInput(l->pq) == 1;
	alive = take_results(l) && alive;
	take_notices(l);
	if (l->pq != NULL && (!alive || PQstatus(l->pq) == CONNECTION_BAD))
		cut_broken(l);
	if (l->pq != NULL)
		flush(l);
	if (l->pq != NULL)
		end_question(l);
	let_go(l);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct pg_listen *l = arg;

	(void)fd;
	(void)what;
	hold(l);
	flush(l);
	let_go(l);
}

/* --- connecting */

/* The server's own limit on the wait for NOTIFY's lock: it does not see that we have left, and backends would pile up.
 */
static void greet(struct pg_listen *l)
{
	char *channel = PQescapeIdentifier(l->pq, l->opts.channel, strlen(l->opts.channel));
	char random[33], before[256];
	int len;

	if (channel == NULL) {
		cut_broken(l);
		return;
	}
	random_hex(random, 16);
	snprintf(l->echo, sizeof(l->echo), "shoal_echo_%s", random);
	len = snprintf(before, sizeof(before), "SET lock_timeout = %u; LISTEN %s; LISTEN %s; ", l->opts.timeout_ms,
	               channel, l->echo);
	ENSURE(len > 0 && (size_t)len < sizeof(before));
	PQfreemem(channel);
	ask(l, before);
}

static void on_dialed(void *arg, PGconn *pq, const char *why)
{
	struct pg_listen *l = arg;

	l->dial = NULL;
	if (pq == NULL) {
		cut(l, "connect", why);
		return;
	}
	l->pq = pq;
	PQsetNoticeReceiver(pq, on_server_notice, l);
	l->readable = event_new(loop_base(l->loop), PQsocket(pq), EV_READ | EV_PERSIST, on_readable, l);
	l->writable = event_new(loop_base(l->loop), PQsocket(pq), EV_WRITE, on_writable, l);
	ENSURE(l->readable != NULL && l->writable != NULL);
	event_add(l->readable, NULL);
	l->state = LISTEN_GREETING;
	if (PQsetnonblocking(pq, 1) != 0)
		cut_broken(l);
	else
		greet(l);
}

static void dial(struct pg_listen *l)
{
	l->state = LISTEN_DIALING;
	l->dial = pg_dial(l->loop, l->target, l->first_host, on_dialed, l);
}

static void on_timer(void *arg)
{
	struct pg_listen *l = arg;
	char reason[64];

	hold(l);
	if (l->state == LISTEN_WAITING) {
		dial(l);
	} else if (l->question == QUESTION_NONE) {
		ask_by_the_clock(l);
	} else {
		snprintf(reason, sizeof(reason), "no answer within %u ms", l->opts.timeout_ms);
		cut(l, "timeout", reason);
	}
	let_go(l);
}

/* --- birth and end */

struct pg_listen *pg_listen_open(struct loop *loop, const struct pg_listen_opts *opts)
{
	struct pg_listen *l = mem_zalloc(sizeof(*l));
	size_t len = strlen(opts->channel);
	const char *why;

	ENSURE(len > 0 && len <= CHANNEL_MAX && opts->ping_ms > 0 && opts->timeout_ms > 0);
	l->loop = loop;
	l->opts = *opts;
	arena_init(&l->arena);
	l->opts.channel = arena_strdup(&l->arena, opts->channel);
	l->opts.url = l->opts.application_name = NULL; /* the target has them */
	l->backoff_ms = BACKOFF_MIN_MS;
	l->soon = (struct task){.fn = on_soon, .arg = l};
	timer_init(&l->timer, loop, on_timer, l);
	snprintf(l->trouble, sizeof(l->trouble), "not connected yet");
	l->target = pg_target_parse(&l->arena, opts->url, opts->application_name, 0, &why);
	if (l->target == NULL) {
		log_error("postgres cannot be used", LOG_STR("why", why));
		snprintf(l->trouble, sizeof(l->trouble), "the connection string cannot be used");
		return l;
	}
	dial(l);
	return l;
}

void pg_listen_close(struct pg_listen *l)
{
	if (l == NULL || l->state == LISTEN_CLOSED)
		return;
	hold(l);
	disconnect(l);
	timer_release(&l->timer);
	l->state = LISTEN_CLOSED;
	let_go(l);
}

void pg_listen_drop(struct pg_listen *l, const char *reason)
{
	if (l->state == LISTEN_UP)
		lose(l, "dropped", reason);
}

bool pg_listen_up(const struct pg_listen *l)
{
	return l->state == LISTEN_UP;
}

const char *pg_listen_trouble(const struct pg_listen *l)
{
	return l->state == LISTEN_UP ? NULL : l->trouble;
}
