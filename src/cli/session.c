#include "shoal/cli/session.h"

#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "shoal/base/log.h"
#include "shoal/io/redis.h"
#include "shoal/store/cache_fence.h"
#include "shoal/store/cache_gen.h"
#include "shoal/store/cache_key.h"
#include "shoal/store/cache_void.h"
#include "shoal/store/sql.h"

/* What is done is done: its note is not waited for as long as for what somebody wants to know. */
enum { NOTE_S = 3 };

void session_open(struct session *s, struct arena *a, const struct args *args)
{
	*s = (struct session){.a = a, .args = args, .verb = args->verb, .json = args_has(args, "json")};
}

void session_close(struct session *s)
{
	PQfinish(s->pg);
	s->pg = NULL;
}

/* Servers' words and others' are in it: nothing that a terminal would obey. */
static void complain(struct session *s, const char *fmt, va_list ap)
{
	va_list again;
	char *text;
	int len;

	va_copy(again, ap);
	len = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	ENSURE(len >= 0);
	text = arena_alloc(s->a, (size_t)len + 1);
	vsnprintf(text, (size_t)len + 1, fmt, ap);
	fprintf(stderr, "shoal %s: ", s->verb);
	do {
		len = (int)strcspn(text, "\n");
		fprintf(stderr, "%s\n", out_plain(s->a, arena_strndup(s->a, text, (size_t)len)));
		text += len + (text[len] == '\n');
	} while (*text);
}

void session_say(struct session *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	complain(s, fmt, ap);
	va_end(ap);
}

int session_fail(struct session *s, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	complain(s, fmt, ap);
	va_end(ap);
	return s->code = code;
}

int session_usage(struct session *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	complain(s, fmt, ap);
	va_end(ap);
	fprintf(stderr, "Try `shoal help %s`.\n", s->verb);
	return s->code = EXIT_USAGE;
}

bool session_conf(struct session *s)
{
	const char *why;

	if (conf_load(&s->conf, s->a, NULL, &why) != ERR_OK) {
		session_fail(s, EXIT_FAILED, "%s", why);
		return false;
	}
	/* What goes well is said by the verb itself. */
	log_init(s->conf.log == LOG_INFO ? LOG_WARN : (enum log_level)s->conf.log, (enum log_format)s->conf.log_format,
	         "cli", "");
	return true;
}

static bool connect_to(struct session *s, const char *name, const char *url)
{
	const char *why = NULL;

	if (pg_check_url(url, s->a, &why) != ERR_OK) {
		session_fail(s, EXIT_FAILED, "%s: %s", name, why);
		return false;
	}
	s->pg = pg_connect_now(url, "shoal cli", 0, s->a, &why);
	if (s->pg)
		return true;
	session_fail(s, EXIT_NO_SERVER, "cannot reach PostgreSQL (%s): %s", name, why);
	return false;
}

bool session_pg(struct session *s)
{
	return session_conf(s) && connect_to(s, "SHOAL_POSTGRES_URL", s->conf.postgres_url);
}

bool session_pg_direct(struct session *s)
{
	return session_conf(s) &&
	       connect_to(s,
	                  strcmp(s->conf.postgres_direct_url, s->conf.postgres_url) == 0 ? "SHOAL_POSTGRES_URL"
	                                                                                 : "SHOAL_POSTGRES_DIRECT_URL",
	                  s->conf.postgres_direct_url);
}

/* --- statements */

/* Tables, columns or functions that are not there: this binary is newer than the schema. */
static bool is_schema_old(const char *sqlstate)
{
	static const char *const states[] = {"42P01", "42703", "42883", "3F000"};

	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		if (strcmp(sqlstate, states[i]) == 0)
			return true;
	return false;
}

void session_pg_fault(struct session *s, const PGresult *res, const char *prefix)
{
	const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE), *text;

	text = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
	if (!text)
		text = arena_strndup(s->a, PQerrorMessage(s->pg), strcspn(PQerrorMessage(s->pg), "\n"));
	if (!state || PQstatus(s->pg) == CONNECTION_BAD)
		session_fail(s, EXIT_NO_SERVER,
		             "%sthe connection to PostgreSQL was lost (%s): it may have been done, or not", prefix,
		             text);
	else if (is_schema_old(state))
		session_fail(s, EXIT_FAILED, "%sthe database's schema is not up to date (%s): run `shoal migrate`",
		             prefix, text);
	else if (strcmp(state, "SH001") == 0 && strcmp(text, "full") == 0) /* wallets_bound */
		session_fail(
		    s, EXIT_FAILED,
		    "%srefused: the wallet that it would go to would hold more than 9000000000000000000 of the "
		    "currency's smallest unit, which is the most",
		    prefix);
	else if (pg_classify(state) == ERR_CONFLICT)
		session_fail(s, EXIT_FAILED, "%ssomething else changed it at the same moment (%s): try again", prefix,
		             text);
	else
		session_fail(s, (int)exit_code_of(pg_classify(state)), "%sPostgreSQL says: %s (%s)", prefix, text,
		             state);
}

static void clear(void *res)
{
	PQclear(res);
}

static bool is_sound(struct session *s, PGresult *res)
{
	arena_defer(s->a, clear, res);
	if (PQresultStatus(res) == PGRES_TUPLES_OK || PQresultStatus(res) == PGRES_COMMAND_OK)
		return true;
	session_pg_fault(s, res, "");
	return false;
}

PGresult *session_run(struct session *s, const char *name, const struct pg_params *params)
{
	PGresult *res = sql_run(s->pg, name, params);

	return is_sound(s, res) ? res : NULL;
}

bool session_begin(struct session *s)
{
	return is_sound(s, PQexec(s->pg, "BEGIN"));
}

/* A transaction that failed before answers COMMIT with ROLLBACK. */
bool session_commit(struct session *s)
{
	PGresult *res = PQexec(s->pg, "COMMIT");

	if (!is_sound(s, res))
		return false;
	ENSURE(strcmp(PQcmdStatus(res), "COMMIT") == 0);
	return true;
}

int64_t cell_i64(const PGresult *res, const char *column)
{
	int col = PQfnumber(res, column);
	int64_t v;

	ENSURE(PQntuples(res) > 0 && col >= 0 && span_i64(span_of(PQgetvalue(res, 0, col)), &v));
	return v;
}

struct span span_i64_text(struct arena *a, int64_t v)
{
	return span_of(arena_i64(a, v));
}

struct span span_bool(bool v)
{
	return v ? SPAN("t") : SPAN("f");
}

/* --- listings */

static void put_number(struct out *o, struct span text, bool time)
{
	int64_t v;

	ENSURE(span_i64(text, &v));
	if (time)
		out_time(o, v);
	else
		out_int(o, v);
}

static void put_cell(struct out *o, const PGresult *res, int row, const struct out_col *c)
{
	int col = PQfnumber(res, c->name);
	struct span text;

	ENSURE(col >= 0);
	if (PQgetisnull(res, row, col)) {
		out_null(o);
		return;
	}
	text = (struct span){PQgetvalue(res, row, col), (size_t)PQgetlength(res, row, col)};
	switch (c->type) {
	case OUT_TEXT:
	case OUT_KEY:
	case OUT_JSON: out_span(o, text); break;
	case OUT_INT:
	case OUT_ID:
	case OUT_TIME: put_number(o, text, c->type == OUT_TIME); break;
	case OUT_BOOL: out_bool(o, span_is(text, "t")); break;
	case OUT_NUM: BUG("no column of this kind comes from the database");
	}
}

int session_print(struct session *s, const PGresult *res, const struct out_col *cols, enum out_form form,
                  const char *empty)
{
	struct out o;

	if (form == OUT_ONE)
		out_begin_one(&o, s->json, cols);
	else
		out_begin(&o, s->json, cols);
	for (int row = 0; row < PQntuples(res); row++) {
		out_row(&o);
		for (const struct out_col *c = cols; c->name; c++)
			put_cell(&o, res, row, c);
	}
	return s->code = out_end(&o, empty);
}

/* --- changes */

struct span session_actor(struct session *s)
{
	const struct passwd *pw = getpwuid(getuid());

	if (pw && *pw->pw_name && utf8_valid(span_of(pw->pw_name)))
		return span_of(arena_printf(s->a, "cli:%s", pw->pw_name));
	return span_of(arena_printf(s->a, "cli:%u", (unsigned)getuid()));
}

bool session_confirm(struct session *s, const char *question, const char *what, const char *done)
{
	char line[16];

	if (args_has(s->args, "yes"))
		return true;
	if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO)) {
		session_fail(s, EXIT_FAILED,
		             "refused: %s cannot be undone; say --yes where there is no terminal to ask", what);
		return false;
	}
	fprintf(stderr, "%s This cannot be undone.\nType yes: ", question);
	if (fgets(line, sizeof(line), stdin) && strcmp(line, "yes\n") == 0)
		return true;
	session_fail(s, EXIT_FAILED, "nothing was %s", done);
	return false;
}

static void not_noted(struct session *s, const char *why)
{
	session_say(s, "it is done, but not noted in admin_audit: %.*s", (int)strcspn(why, "\n"), why);
}

void session_note(struct session *s, const char *action, const char *target, const char *details)
{
	const char *why = NULL;
	PGconn *pg = pg_connect_now(s->conf.postgres_url, "shoal cli", NOTE_S, s->a, &why);
	PGresult *res;

	if (!pg) {
		not_noted(s, why);
		return;
	}
	res = sql_run_within(pg, "audit", PARAMS(session_actor(s), span_of(action), span_of(target), span_of(details)),
	                     NOTE_S * 1000);
	if (!res && PQstatus(pg) == CONNECTION_OK)
		session_say(
		    s, "it is done; whether it is noted in admin_audit is not known: PostgreSQL said nothing for %d s",
		    NOTE_S);
	else if (PQresultStatus(res) != PGRES_COMMAND_OK)
		not_noted(s, PQerrorMessage(pg));
	PQclear(res);
	PQfinish(pg);
}

static enum err forget(redisContext *c, enum cache_kind kind, const struct span *keys, size_t n)
{
	struct cache_heard heard;
	int64_t values;
	enum err err;

	err = n ? cache_void_now(c, kind, keys, n, &values) : cache_gen_end_now(c, kind);
	return err == ERR_OK ? cache_fence_now(c, &heard) : err;
}

int session_tell(struct session *s, enum cache_kind kind, const struct span *keys, size_t n, int done)
{
	const char *why = NULL;
	redisContext *c = redis_connect_now(s->conf.cache_redis_url, CACHE_HOME, s->a, &why);
	enum err err = ERR_UNREACHABLE;

	if (c) {
		err = forget(c, kind, keys, n);
		why = c->err ? arena_strdup(s->a, redis_trouble_now(c)) : err_text(err);
		redisFree(c);
	}
	if (err == ERR_OK)
		return s->code = done;
	if (kind >= CACHE_NAMED)
		return session_fail(s, EXIT_NO_SERVER,
		                    "it is done, but Redis could not be told: %s\n"
		                    "Workers that listen to PostgreSQL hear of it by themselves.",
		                    why);
	return session_fail(
	    s, EXIT_NO_SERVER,
	    "the change is made and stays, but the %s cache in Redis could not be told: %s\n"
	    "Workers that listen to PostgreSQL hear of it by themselves; `shoal cache invalidate %s --all` "
	    "makes sure.",
	    cache_defs[kind].name, why, cache_defs[kind].name);
}
