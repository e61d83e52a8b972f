#include "shoal/io/pg_dial.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "shoal/base/conf.h"
#include "shoal/base/log.h"
#include "shoal/base/str.h"
#include "shoal/io/dns.h"
#include "shoal/io/pg.h"

#define KEYWORDS_MAX 64
#define CONNECT_TIMEOUT_S 10

struct words {
	char **v;
	unsigned n;
};

struct pg_target {
	unsigned n;
	const char *keyword[KEYWORDS_MAX], *value[KEYWORDS_MAX]; /* all but host, hostaddr and port */
	const char *host, *hostaddr, *port;                      /* as written, NULL where unset */
	struct words hosts, ports;
	bool resolve; /* some of hosts are names or addresses, and no hostaddr is given */
	int64_t timeout_ms;
};

/* --- the connection string */

static const char *target_get(const struct pg_target *t, const char *keyword)
{
	for (unsigned i = 0; i < t->n; i++)
		if (strcmp(t->keyword[i], keyword) == 0)
			return t->value[i];
	return NULL;
}

static void target_set(struct pg_target *t, const char *keyword, const char *value)
{
	unsigned i = 0;

	while (i < t->n && strcmp(t->keyword[i], keyword) != 0)
		i++;
	ENSURE(i < KEYWORDS_MAX - 4); /* room for the hosts and the end */
	t->keyword[i] = keyword;
	t->value[i] = value;
	if (i == t->n)
		t->n++;
}

static void target_default(struct pg_target *t, const char *keyword, const char *env, const char *value)
{
	if (target_get(t, keyword) == NULL && (env == NULL || getenv(env) == NULL))
		target_set(t, keyword, value);
}

/* "a,,b" is three words, as libpq reads it. */
static struct words words_split(struct arena *a, const char *text)
{
	struct words w = {NULL, 0};
	unsigned n = 1;

	if (text == NULL)
		return w;
	for (const char *s = text; *s != '\0'; s++)
		n += *s == ',';
	w.v = arena_array(a, char *, n);
	for (const char *s = text;; s++) {
		size_t len = strcspn(s, ",");

		w.v[w.n++] = arena_strndup(a, s, len);
		s += len;
		if (*s == '\0')
			return w;
	}
}

/* Sockets in the file system or the abstract name space; the empty entry is the default socket. */
static bool host_is_name(const char *host)
{
	return host[0] != '\0' && host[0] != '/' && host[0] != '@';
}

static void target_hosts(struct pg_target *t, struct arena *a)
{
	/* a service file may hold the hosts: then libpq has to look them up itself */
	bool elsewhere = target_get(t, "service") != NULL || getenv("PGSERVICE") != NULL;

	if (t->host == NULL && t->hostaddr == NULL && !elsewhere)
		t->host = getenv("PGHOST");
	t->hosts = words_split(a, t->host);
	t->ports = words_split(a, t->port);
	if (t->hostaddr == NULL && getenv("PGHOSTADDR") == NULL)
		for (unsigned i = 0; i < t->hosts.n; i++)
			t->resolve |= host_is_name(t->hosts.v[i]);
	if (t->ports.n > 1 && t->ports.n != t->hosts.n)
		t->resolve = false; /* libpq says what is wrong with it */
	/* of several servers the one that takes writes */
	if (t->hosts.n > 1)
		target_default(t, "target_session_attrs", "PGTARGETSESSIONATTRS", "read-write");
}

void pg_target_option(struct pg_target *t, struct arena *a, const char *setting)
{
	const char *before = target_get(t, "options");

	if (before == NULL)
		before = getenv("PGOPTIONS");
	target_set(t, "options", arena_printf(a, "%s%s-c %s", before ? before : "", before ? " " : "", setting));
}

static void target_timeouts(struct pg_target *t, struct arena *a, unsigned statement_timeout_ms)
{
	const char *limit = target_get(t, "connect_timeout");
	int64_t seconds = 0;

	if (limit == NULL)
		limit = getenv("PGCONNECT_TIMEOUT");
	if (limit == NULL || !span_i64(span_of(limit), &seconds) || seconds <= 0 || seconds > 3600)
		seconds = CONNECT_TIMEOUT_S;
	t->timeout_ms = seconds * 1000;
	if (statement_timeout_ms > 0)
		pg_target_option(t, a, arena_printf(a, "statement_timeout=%u", statement_timeout_ms));
}

/* libpq quotes what it does not understand, which may be a password: where that stands must do. */
static const char *parse_complaint(struct arena *a, const char *url, const char *message)
{
	const char *word = message ? strrchr(message, '"') : NULL, *at;

	if (word && word > message && (word = memrchr(message, '"', (size_t)(word - message)))) {
		word = arena_strndup(a, word + 1, strcspn(word + 1, "\""));
		at = *word ? strstr(url, word) : NULL;
		if (at)
			return arena_printf(a, "it is no libpq connection string: character %zu is not understood",
			                    (size_t)(at - url) + 1);
	}
	return "it is no libpq connection string";
}

/* Behind a '/' or '@' that should be an escape libpq takes the rest of a password for host, port or database, and
 * says it in its errors. */
static bool password_is_cut(const char *url)
{
	const char *from = strstr(url, "://");
	size_t user;

	if (from == NULL || (strncmp(url, "postgres:", 9) != 0 && strncmp(url, "postgresql:", 11) != 0))
		return false;
	from += 3;
	user = strcspn(from, "@/");
	if (from[user] == '@')
		from += user + 1;
	return memchr(from, '@', strcspn(from, "?")) != NULL;
}

static void environment(const char *name, const char *value)
{
	const char *now = getenv(name);

	if (now == NULL || strcmp(now, value) != 0)
		setenv(name, value, 1);
}

struct pg_target *pg_target_parse(struct arena *a, const char *url, const char *application_name,
                                  unsigned statement_timeout_ms, const char **why)
{
	struct pg_target *t = arena_new(a, struct pg_target);
	char *message = NULL;
	PQconninfoOption *options = PQconninfoParse(url ? url : "", &message);

	if (options == NULL) {
		*why = parse_complaint(a, url ? url : "", message);
		PQfreemem(message);
		return NULL;
	}
	if (password_is_cut(url ? url : "")) {
		PQconninfoFree(options);
		*why = "in user and password, / is written %2F and @ is written %40";
		return NULL;
	}
	for (const PQconninfoOption *o = options; o->keyword != NULL; o++) {
		const char *value = o->val && o->val[0] != '\0' ? arena_strdup(a, o->val) : NULL;

		if (value == NULL)
			continue;
		if (strcmp(o->keyword, "host") == 0)
			t->host = value;
		else if (strcmp(o->keyword, "hostaddr") == 0)
			t->hostaddr = value;
		else if (strcmp(o->keyword, "port") == 0)
			t->port = value;
		else
			target_set(t, arena_strdup(a, o->keyword), value);
		if (strcmp(o->keyword, "password") == 0)
			log_secret(value);
	}
	PQconninfoFree(options);
	if (application_name != NULL)
		target_default(t, "application_name", "PGAPPNAME", arena_strdup(a, application_name));
	target_set(t, "client_encoding", "UTF8");
	environment("PGTZ", "UTC");
	environment("PGDATESTYLE", "ISO");
	/* asking for Kerberos tickets may block, and costs a round trip */
	target_default(t, "gssencmode", "PGGSSENCMODE", "disable");
	target_default(t, "keepalives_idle", NULL, "30");
	target_default(t, "keepalives_interval", NULL, "10");
	target_default(t, "keepalives_count", NULL, "3");
	target_timeouts(t, a, statement_timeout_ms);
	target_hosts(t, a);
	return t;
}

void pg_target_writes(struct pg_target *t)
{
	target_default(t, "target_session_attrs", "PGTARGETSESSIONATTRS", "read-write");
}

static const char *message_or(struct arena *a, const PGconn *c, const char *otherwise)
{
	char *text = arena_strdup(a, c ? PQerrorMessage(c) : "out of memory");
	size_t len = strlen(text);

	while (len > 0 && text[len - 1] == '\n')
		text[--len] = '\0';
	for (char *s = text; *s != '\0'; s++)
		if (*s == '\n' || *s == '\t')
			*s = ' ';
	return len > 0 ? text : otherwise;
}

const char *pg_message(struct arena *a, const PGconn *c)
{
	return message_or(a, c, "no reason given");
}

/* Why the call just made, before which errno was 0, did not connect: libpq 17 says nothing where it may open no socket.
 */
static const char *why_not(struct arena *a, const PGconn *c)
{
	return message_or(a, c, errno ? strerror(errno) : "no reason given");
}

static void on_notice(void *arg, const char *message)
{
	(void)arg;
	log_debug("postgres notice", LOG_SPAN("text", ((struct span){message, strcspn(message, "\n")})));
}

/* --- one attempt */

struct lookup {
	struct pg_dial *dial;
	struct dns_query *query; /* NULL once answered */
	const char *addr;        /* "" for a socket; NULL: not found */
};

struct pg_dial {
	struct loop *loop;
	const struct pg_target *target;
	unsigned first;
	pg_dial_fn *fn;
	void *arg;
	struct arena arena;
	struct lookup *lookup; /* one for each of target->hosts, when they are resolved */
	unsigned pending;      /* lookups not answered */
	struct task start;
	struct timer limit;
	PGconn *conn;
	struct event *ready;
};

static void dial_free(struct pg_dial *d)
{
	for (unsigned i = 0; d->lookup != NULL && i < d->target->hosts.n; i++)
		if (d->lookup[i].query != NULL)
			dns_cancel(d->lookup[i].query);
	if (d->ready != NULL)
		event_free(d->ready);
	task_cancel(&d->start);
	timer_release(&d->limit);
	PQfinish(d->conn);
	arena_release(&d->arena);
	free(d);
}

void pg_dial_cancel(struct pg_dial *d)
{
	if (d != NULL)
		dial_free(d);
}

static void dial_done(struct pg_dial *d, const char *why)
{
	PGconn *c = why == NULL ? d->conn : NULL;

	if (why == NULL)
		d->conn = NULL;
	if (d->ready != NULL) /* before the callee may close the socket */
		event_free(d->ready);
	d->ready = NULL;
	timer_stop(&d->limit);
	d->fn(d->arg, c, why);
	dial_free(d);
}

static void dial_poll(struct pg_dial *d);

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	dial_poll(arg);
}

static void dial_wait(struct pg_dial *d, short what)
{
	/* a new event each time: libpq may have moved on to another socket */
	if (d->ready != NULL)
		event_free(d->ready);
	d->ready = event_new(loop_base(d->loop), PQsocket(d->conn), what, on_ready, d);
	ENSURE(d->ready != NULL);
	event_add(d->ready, NULL);
}

static void dial_poll(struct pg_dial *d)
{
	errno = 0;
	switch (PQconnectPoll(d->conn)) {
	case PGRES_POLLING_READING: dial_wait(d, EV_READ); break;
	case PGRES_POLLING_WRITING: dial_wait(d, EV_WRITE); break;
	case PGRES_POLLING_OK: dial_done(d, NULL); break;
	default: dial_done(d, why_not(&d->arena, d->conn));
	}
}

/* host, hostaddr and port for PQconnectStartParams, without the hosts that have no address. */
static bool dial_hosts(struct pg_dial *d, const char *list[3])
{
	const struct pg_target *t = d->target;
	struct buf b[3];
	unsigned n = 0;

	list[0] = t->host;
	list[1] = t->hostaddr;
	list[2] = t->port;
	if (d->lookup == NULL)
		return true;
	for (int i = 0; i < 3; i++)
		buf_init(&b[i], 1 << 16);
	for (unsigned k = 0; k < t->hosts.n; k++) {
		unsigned i = (d->first + k) % t->hosts.n;

		if (d->lookup[i].addr == NULL)
			continue;
		for (int j = 0; j < 3 && n > 0; j++)
			buf_addc(&b[j], ',');
		n++;
		buf_adds(&b[0], t->hosts.v[i]);
		buf_adds(&b[1], d->lookup[i].addr);
		buf_adds(&b[2], t->ports.n == 0 ? "" : t->ports.v[t->ports.n == 1 ? 0 : i]);
	}
	for (int i = 0; i < 3; i++) {
		if (i < 2 || t->ports.n > 0)
			list[i] = arena_span(&d->arena, buf_span(&b[i])).ptr;
		n = b[i].failed ? 0 : n;
		buf_release(&b[i]);
	}
	return n > 0;
}

static PGconn *target_connect(const struct pg_target *t, const char *const list[3],
                              PGconn *connect(const char *const *, const char *const *, int))
{
	static const char *const names[3] = {"host", "hostaddr", "port"};
	const char *keyword[KEYWORDS_MAX + 1], *value[KEYWORDS_MAX + 1];
	unsigned n = t->n;

	memcpy(keyword, t->keyword, n * sizeof(keyword[0]));
	memcpy(value, t->value, n * sizeof(value[0]));
	for (int i = 0; i < 3; i++) {
		if (list[i] == NULL)
			continue;
		keyword[n] = names[i];
		value[n++] = list[i];
	}
	keyword[n] = value[n] = NULL;
	errno = 0;
	return connect(keyword, value, 0);
}

static void dial_start(void *arg)
{
	struct pg_dial *d = arg;
	const char *list[3];

	if (!dial_hosts(d, list)) {
		dial_done(d, arena_printf(&d->arena, "host \"%s\" has no address", d->target->host));
		return;
	}
	d->conn = target_connect(d->target, list, PQconnectStartParams);
	if (d->conn == NULL || PQstatus(d->conn) == CONNECTION_BAD) {
		dial_done(d, why_not(&d->arena, d->conn));
		return;
	}
	PQsetNoticeProcessor(d->conn, on_notice, NULL);
	dial_wait(d, EV_WRITE);
}

static void on_address(void *arg, enum err err, const char *addr)
{
	struct lookup *q = arg;
	struct pg_dial *d = q->dial;

	q->query = NULL;
	if (err == ERR_OK)
		q->addr = arena_strdup(&d->arena, addr);
	if (--d->pending == 0)
		dial_start(d);
}

static void on_limit(void *arg)
{
	struct pg_dial *d = arg;

	dial_done(d, arena_printf(&d->arena, "no connection within %lld s", (long long)d->target->timeout_ms / 1000));
}

struct pg_dial *pg_dial(struct loop *l, const struct pg_target *t, unsigned first, pg_dial_fn *fn, void *arg)
{
	struct pg_dial *d = mem_zalloc(sizeof(*d));

	d->loop = l;
	d->target = t;
	d->first = first;
	d->fn = fn;
	d->arg = arg;
	d->start.fn = dial_start;
	d->start.arg = d;
	arena_init(&d->arena);
	timer_init(&d->limit, l, on_limit, d);
	timer_set(&d->limit, t->timeout_ms);
	if (!t->resolve) {
		loop_defer(l, &d->start);
		return d;
	}
	d->lookup = arena_array(&d->arena, struct lookup, t->hosts.n);
	for (unsigned i = 0; i < t->hosts.n; i++) {
		struct lookup *q = &d->lookup[i];

		q->dial = d;
		q->addr = host_is_name(t->hosts.v[i]) ? NULL : "";
		if (q->addr != NULL)
			continue;
		d->pending++;
		q->query = dns_resolve(l, t->hosts.v[i], on_address, q);
	}
	return d;
}

PGconn *pg_connect_now(const char *url, const char *application_name, unsigned most_s, struct arena *a,
                       const char **why)
{
	struct pg_target *t = pg_target_parse(a, url, application_name, 0, why);
	int64_t seconds;
	PGconn *c;

	if (t == NULL)
		return NULL;
	seconds = t->timeout_ms / 1000;
	if (most_s > 0 && seconds > most_s)
		seconds = most_s;
	target_set(t, "connect_timeout", arena_i64(a, seconds));
	c = target_connect(t, (const char *const[3]){t->host, t->hostaddr, t->port}, PQconnectdbParams);
	if (c == NULL || PQstatus(c) != CONNECTION_OK) {
		*why = why_not(a, c);
		PQfinish(c);
		return NULL;
	}
	PQsetNoticeProcessor(c, on_notice, NULL);
	return c;
}
