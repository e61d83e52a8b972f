/* shoal migrate: the files of sql/migrations, in order, each in a transaction with its own row in schema_migrations. */
#include <openssl/evp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "shoal/base/clock.h"
#include "shoal/base/embed.h"
#include "shoal/cli/cli.h"
#include "shoal/cli/session.h"

#define FOLDER "sql/migrations/"
enum { CHECKSUM_BYTES = 32, POLL_MS = 200, MIGRATIONS_MAX = 1000 };

struct migration {
	int64_t version;
	const char *name; /* "base" of "001_base.sql"; for people, the checksum is what counts */
	const char *text; /* NULL: only the database knows it */
	char checksum[2 * CHECKSUM_BYTES + 1];
	bool applied, changed;
	int64_t applied_ms;
};

struct migrations {
	struct session *s;
	struct migration v[MIGRATIONS_MAX]; /* by version */
	size_t n;
};

/* --- what there is */

static void checksum(const struct embed_file *f, char *out)
{
	unsigned char sum[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	ENSURE(EVP_Digest(f->data, f->len, sum, &len, EVP_sha256(), NULL) == 1 && len == CHECKSUM_BYTES);
	for (unsigned i = 0; i < len; i++)
		snprintf(out + 2 * i, 3, "%02x", sum[i]);
}

/* "sql/migrations/001_base.sql" */
static void read_file(struct migrations *m, const struct embed_file *f)
{
	const char *name = f->name + strlen(FOLDER), *mark = strchr(name, '_'), *end = strrchr(name, '.');
	struct migration *v = &m->v[m->n];

	ENSURE(m->n < MIGRATIONS_MAX && mark && end > mark);
	ENSURE(span_i64((struct span){name, (size_t)(mark - name)}, &v->version));
	ENSURE(m->n == 0 || m->v[m->n - 1].version < v->version);
	v->name = arena_strndup(m->s->a, mark + 1, (size_t)(end - mark - 1));
	v->text = f->data;
	checksum(f, v->checksum);
	m->n++;
}

static void read_files(struct migrations *m)
{
	for (const struct embed_file *f = embed_files; f->name; f++)
		if (strncmp(f->name, FOLDER, strlen(FOLDER)) == 0)
			read_file(m, f);
}

/* The one with this version, or room made for it in its place. */
static struct migration *place_of(struct migrations *m, int64_t version)
{
	size_t i = 0;

	while (i < m->n && m->v[i].version < version)
		i++;
	if (i < m->n && m->v[i].version == version)
		return &m->v[i];
	ENSURE(m->n < MIGRATIONS_MAX);
	memmove(&m->v[i + 1], &m->v[i], (m->n - i) * sizeof(m->v[0]));
	m->n++;
	m->v[i] = (struct migration){.version = version};
	return &m->v[i];
}

static void read_row(struct migrations *m, const PGresult *res, int row)
{
	struct migration *v;
	int64_t version;

	ENSURE(span_i64(span_of(PQgetvalue(res, row, 0)), &version));
	v = place_of(m, version);
	v->applied = true;
	v->changed = v->text && strcmp(v->checksum, PQgetvalue(res, row, 2)) != 0;
	if (!v->name)
		v->name = PQgetvalue(res, row, 1);
	ENSURE(span_i64(span_of(PQgetvalue(res, row, 3)), &v->applied_ms));
}

/* A database that was never migrated has no table to ask. */
static bool read_applied(struct migrations *m)
{
	PGresult *res = session_run(m->s, "cli_migrate_known", NULL);

	if (!res)
		return false;
	if (*PQgetvalue(res, 0, 0) != 't')
		return true;
	if (!(res = session_run(m->s, "cli_migrate_list", NULL)))
		return false;
	for (int row = 0; row < PQntuples(res); row++)
		read_row(m, res, row);
	return true;
}

/* --- status */

static const struct out_col columns[] = {
    {"version", OUT_INT}, {"name", OUT_TEXT}, {"state", OUT_TEXT}, {"applied_at", OUT_TIME}, {0}};

static const char *state_of(const struct migration *v)
{
	return !v->applied ? "pending" : !v->text ? "unknown" : v->changed ? "changed" : "applied";
}

static int print(struct migrations *m)
{
	struct out o;

	out_begin(&o, m->s->json, columns);
	for (size_t i = 0; i < m->n; i++) {
		const struct migration *v = &m->v[i];

		out_row(&o);
		out_int(&o, v->version);
		out_text(&o, v->name);
		out_text(&o, state_of(v));
		if (v->applied)
			out_time(&o, v->applied_ms);
		else
			out_null(&o);
	}
	return m->s->code = out_end(&o, "this binary has no migrations");
}

/* A changed one is an error: nobody knows then what the schema is. One that only the database knows is not: an older
 * binary runs beside newer ones during a rollout. */
static bool judge(struct migrations *m)
{
	for (size_t i = 0; i < m->n; i++) {
		const struct migration *v = &m->v[i];

		if (v->applied && !v->text)
			fprintf(
			    stderr,
			    "shoal migrate: note: the database has %03lld_%s, which this binary does not know; a newer "
			    "one applied it\n",
			    (long long)v->version, v->name);
		if (v->changed)
			session_fail(
			    m->s, EXIT_FAILED,
			    "%03lld_%s.sql was changed after it was applied: its SHA-256 is now %s; restore it "
			    "and put the change into a new file",
			    (long long)v->version, v->name, v->checksum);
	}
	return m->s->code == EXIT_DONE;
}

static int status(struct migrations *m)
{
	if (read_applied(m) && print(m) == EXIT_DONE)
		judge(m);
	return m->s->code;
}

/* --- applying */

/* Begins a transaction that only one at a time has. Asks again and again rather than waiting inside the server, where
 * it would hold a snapshot meanwhile. */
static bool take_turn(struct session *s)
{
	bool said = false;

	for (;;) {
		PGresult *res = session_begin(s) ? session_run(s, "cli_migrate_lock", NULL) : NULL;

		if (!res)
			return false;
		if (*PQgetvalue(res, 0, 0) == 't')
			return true;
		if (!session_commit(s))
			return false;
		if (!said)
			fprintf(stderr, "shoal migrate: another one is migrating this database; waiting for it\n");
		said = true;
		poll(NULL, 0, POLL_MS);
	}
}

static bool run_text(struct session *s, const struct migration *v)
{
	PGresult *res = PQexec(s->pg, v->text);
	bool good = PQresultStatus(res) == PGRES_COMMAND_OK || PQresultStatus(res) == PGRES_TUPLES_OK;

	if (!good)
		session_pg_fault(s, res,
		                 arena_printf(s->a, "%03lld_%s.sql was not applied: ", (long long)v->version, v->name));
	PQclear(res);
	return good;
}

/* Its row comes first: should another one have been faster, or run in spite of the lock, this one finds it done. */
static bool apply(struct session *s, struct migration *v)
{
	int64_t began = clock_ms();
	PGresult *res;

	if (!take_turn(s) || !session_run(s, "cli_migrate_path", NULL) ||
	    !(res = session_run(s, "cli_migrate_mark",
	                        PARAMS(span_i64_text(s->a, v->version), span_of(v->name), span_of(v->checksum)))))
		return false;
	if (PQntuples(res) == 1 && !run_text(s, v))
		return false;
	if (!session_commit(s))
		return false;
	v->applied = true;
	v->applied_ms = clock_wall_ms();
	if (!s->json && PQntuples(res) == 0) {
		printf("%03lld_%s was applied by another one\n", (long long)v->version, v->name);
	} else if (!s->json) {
		printf("%03lld_%s applied in %lld ms\n", (long long)v->version, v->name,
		       (long long)(clock_ms() - began));
		fflush(stdout);
	}
	return true;
}

static int migrate(struct migrations *m)
{
	struct session *s = m->s;
	unsigned n = 0;

	if (!take_turn(s) || !session_run(s, "cli_migrate_table", NULL) || !session_commit(s) || !read_applied(m) ||
	    !judge(m))
		return s->code;
	for (size_t i = 0; i < m->n; i++) {
		if (m->v[i].applied)
			continue;
		if (!apply(s, &m->v[i]))
			return s->code;
		n++;
	}
	if (s->json)
		return print(m);
	if (n == 0)
		return out_done(false, "the schema is up to date (%zu migrations)", m->n);
	return EXIT_DONE;
}

static int run(struct session *s)
{
	struct migrations *m = arena_new(s->a, struct migrations);

	m->s = s;
	read_files(m);
	if (!session_pg_direct(s))
		return s->code;
	return args_has(s->args, "status") ? status(m) : migrate(m);
}

/* --- waiting, for the programs that need what another one is to apply */

enum { LOOK_AGAIN_MS = 1000 };

/* Says only what was not said last. */
static void say_waiting(struct session *s, char *last, size_t size, const char *reason)
{
	if (strncmp(last, reason, size - 1) == 0)
		return;
	snprintf(last, size, "%s", reason);
	session_say(s, "waiting: %s", reason);
}

/* NULL: nothing is missing, or s->code says what will not get better. */
static const char *awaited(struct session *s)
{
	struct migrations *m = arena_new(s->a, struct migrations);
	const char *why = NULL;
	size_t missing = 0;

	s->pg = pg_connect_now(s->conf.postgres_direct_url, "shoal cli", 0, s->a, &why);
	if (!s->pg)
		return arena_printf(s->a, "cannot reach PostgreSQL: %.*s", (int)strcspn(why, "\n"), why);
	m->s = s;
	read_files(m);
	if (!read_applied(m))
		return "PostgreSQL did not say what is applied";
	judge(m);
	for (size_t i = 0; i < m->n; i++)
		missing += !m->v[i].applied;
	return missing && s->code == EXIT_DONE ? arena_printf(s->a, "%zu migrations are not applied yet", missing)
	                                       : NULL;
}

static void stop_waiting(int signum)
{
	_exit(128 + signum);
}

/* As the first process of a container it would not hear of a SIGTERM without a handler. */
static int wait_until_applied(const struct session *asked)
{
	char last[256] = "";
	const char *reason;
	int code;

	signal(SIGTERM, stop_waiting);
	signal(SIGINT, stop_waiting);
	for (;;) {
		struct session s = *asked;
		struct arena a;

		arena_init(&a);
		s.a = &a;
		reason = awaited(&s);
		code = s.code;
		session_close(&s);
		if (reason)
			say_waiting(&s, last, sizeof(last), reason);
		arena_release(&a);
		if (!reason)
			return code;
		poll(NULL, 0, LOOK_AGAIN_MS);
	}
}

static int await(struct session *s)
{
	const char *why;
	int code;

	if (!session_conf(s))
		return s->code;
	if (pg_check_url(s->conf.postgres_direct_url, s->a, &why) != ERR_OK)
		return session_fail(s, EXIT_FAILED, "SHOAL_POSTGRES_DIRECT_URL: %s", why);
	if ((code = wait_until_applied(s)) != EXIT_DONE)
		return code;
	return out_done(s->json, "the schema is what this version needs");
}

int verb_migrate(int argc, char **argv)
{
	static const struct arg_opt options[] = {
	    {"status", false, false}, {"wait", false, false}, {"json", false, false}, {0}};
	struct session s;
	struct arena a;
	struct args args;
	int code = EXIT_USAGE;

	arena_init(&a);
	if (args_parse(&args, &a, argc, argv, options) && args_count(&args, 0, 0, "")) {
		session_open(&s, &a, &args);
		code = args_has(&args, "wait") ? await(&s) : run(&s);
		session_close(&s);
	}
	arena_release(&a);
	return code;
}
