/* The table of what runs in the stack: how each is started and how it is seen to be ready. */
#include <libpq-fe.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shoal/base/conf.h"
#include "shoal/base/embed.h"
#include "shoal/io/pg.h"
#include "shoal/up/say.h"
#include "shoal/up/stack.h"

#define PROBE_MS 50

static const char *const *args(struct unit *u, size_t n, const char *const *list)
{
	const char **argv = arena_array(&u->a, const char *, n + 1);
	memcpy(argv, list, n * sizeof(*list));
	return argv;
}
#define ARGS(u, ...)                                                                                                   \
	args((u), sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *), (const char *const[]){__VA_ARGS__})

static const char *where_port(struct stack *s, struct unit *u)
{
	(void)s;
	return arena_printf(&u->a, "on 127.0.0.1:%u", u->port);
}

/* --- Redis */

static bool prepare_redis(struct stack *s, struct unit *u, struct launch *l, const char **why)
{
	l->argv = ARGS(u, s->servers.redis, home_path(s->home, "secrets/redis.conf"));
	return redis_write_conf(s->home, u->port, s->redis_password, why) && stack_write_urls(s, why);
}

static void ready_now(void *arg)
{
	unit_ready(arg);
}

/* The connection is not closed from inside its own callback. */
static void redis_answers(void *arg)
{
	struct unit *u = arg;
	u->timer.fn = ready_now;
	timer_set(&u->timer, 0);
}

static void probe_redis(struct stack *s, struct unit *u)
{
	struct redis_opts o = {.label = "up", .timeout_ms = 5000, .on_up = redis_answers, .arg = u};
	o.url = arena_printf(&u->a, "redis://default:%s@127.0.0.1:%u/0", s->redis_password, u->port);
	u->redis = redis_open(s->loop, &o);
}

/* --- PostgreSQL */

static bool skip_initdb(struct stack *s)
{
	return postgres_is_made(s->home);
}

static bool prepare_initdb(struct stack *s, struct unit *u, struct launch *l, const char **why)
{
	l->argv = ARGS(u, arena_printf(&u->a, "%s/initdb", s->servers.pg_bin), "-D", home_path(s->home, "postgres.new"),
	               "-U", "shoal", "-A", "scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--data-checksums",
	               "--no-instructions", arena_printf(&u->a, "--pwfile=%s/password", s->home->run));
	l->uid = s->servers.pg_uid;
	l->gid = s->servers.pg_gid;
	l->enter = home_path(s->home, "postgres.new");
	return postgres_prepare_init(&s->servers, s->home, s->postgres_password, why);
}

static bool finish_initdb(struct stack *s, struct unit *u, const char **why)
{
	(void)u;
	return postgres_finish_init(s->home, why);
}

/* A name in a list of settings: in double quotes, each of its own doubled. */
static const char *setting_quote(struct arena *a, const char *s)
{
	char *out = arena_alloc(a, 2 * strlen(s) + 3), *p = out;
	*p++ = '"';
	for (; *s; s++) {
		if (*s == '"')
			*p++ = '"';
		*p++ = *s;
	}
	*p = '"';
	return out;
}

static bool prepare_postgres(struct stack *s, struct unit *u, struct launch *l, const char **why)
{
	const char *dir = home_path(s->home, "postgres");
	l->argv = ARGS(u, arena_printf(&u->a, "%s/postgres", s->servers.pg_bin), "-D", dir, "-c",
	               "listen_addresses=127.0.0.1", "-c", arena_printf(&u->a, "port=%u", u->port), "-c",
	               arena_printf(&u->a, "unix_socket_directories=%s", setting_quote(&u->a, s->home->run)), "-c",
	               "unix_socket_permissions=0700", "-c", "max_connections=300", "-c", "logging_collector=off", "-c",
	               "log_destination=stderr", "-c", "timezone=UTC", "-c", "log_timezone=UTC");
	l->uid = s->servers.pg_uid;
	l->gid = s->servers.pg_gid;
	l->enter = dir;
	return postgres_clear_stale(s->home, why) && stack_write_urls(s, why);
}

static void look_at_postgres(void *arg)
{
	struct unit *u = arg;
	if (postgres_ready(u->stack->home, u->pid))
		unit_ready(u);
	else
		timer_set(&u->timer, PROBE_MS);
}

static void probe_postgres(struct stack *s, struct unit *u)
{
	(void)s;
	u->timer.fn = look_at_postgres;
	timer_set(&u->timer, PROBE_MS);
}

/* --- steps in the database: run in a child of their own, what they print is in its log */

struct sql_step {
	const char *url, *note; /* note: file for the start code */
};

static PGconn *step_connect(const struct sql_step *step, struct arena *a)
{
	const char *why = NULL;
	PGconn *c;
	/* libpq reads these; they are meant for some other server */
	static const char *const foreign[] = {"PGOPTIONS", "PGSSLMODE",  "PGSERVICE",     "PGHOSTADDR",
	                                      "PGTZ",      "PGPASSFILE", "PGREQUIREPEER", "PGCHANNELBINDING"};
	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++)
		unsetenv(foreign[i]);
	c = pg_connect_now(step->url, "shoal up", 0, a, &why);
	if (!c)
		fprintf(stderr, "%s\n", why);
	return c;
}

/* The first value, NULL with a message when it fails; "" when there is no row. */
static const char *step_query(PGconn *c, const char *sql, struct arena *a)
{
	PGresult *r = PQexec(c, sql);
	ExecStatusType st = PQresultStatus(r);
	const char *value = NULL;

	if (st == PGRES_TUPLES_OK)
		value = PQntuples(r) > 0 && PQnfields(r) > 0 ? arena_strdup(a, PQgetvalue(r, 0, 0)) : "";
	else if (st == PGRES_COMMAND_OK)
		value = "";
	else
		fprintf(stderr, "%s", PQerrorMessage(c));
	PQclear(r);
	return value;
}

static int make_database(void *arg)
{
	struct arena a;
	const char *there;
	PGconn *c;

	arena_init(&a);
	c = step_connect(arg, &a);
	if (!c)
		return 3;
	there = step_query(c, "SELECT 1 FROM pg_database WHERE datname = 'shoal'", &a);
	if (there && !*there)
		there = step_query(c, "CREATE DATABASE shoal TEMPLATE template0 ENCODING 'UTF8'", &a);
	PQfinish(c);
	return there ? 0 : 1;
}

static int load_demo(void *arg)
{
	const struct sql_step *step = arg;
	const struct embed_file *demo = embed_find("sql/seed/demo.sql");
	struct arena a;
	const char *count, *code, *why = NULL;
	PGconn *c;

	arena_init(&a);
	c = step_connect(step, &a);
	if (!c)
		return 3;
	count = step_query(c, "SELECT count(*) FROM personas", &a);
	if (!count)
		return 1;
	if (strcmp(count, "0") == 0) {
		if (!demo)
			fprintf(stderr, "this build has no demo data\n");
		else if (!step_query(c, demo->data, &a))
			return 1;
	}
	code = step_query(c,
	                  "SELECT code FROM start_codes WHERE active AND max_uses IS NULL AND (expires_at IS NULL OR "
	                  "expires_at > now()) ORDER BY id LIMIT 1",
	                  &a);
	PQfinish(c);
	if (!code)
		return 1;
	if (!file_write(&a, step->note, code, &why)) {
		fprintf(stderr, "%s\n", why);
		return 1;
	}
	return 0;
}

static bool prepare_sql(struct stack *s, struct unit *u, struct launch *l, const char *database)
{
	struct sql_step *step = arena_new(&u->a, struct sql_step);
	step->url = arena_printf(&u->a, "postgresql://shoal:%s@127.0.0.1:%u/%s", s->postgres_password,
	                         stack_unit(s, U_POSTGRES)->port, database);
	step->note = home_path(s->home, "start_code");
	l->arg = step;
	return true;
}

static bool prepare_database(struct stack *s, struct unit *u, struct launch *l, const char **why)
{
	(void)why;
	l->fn = make_database;
	return prepare_sql(s, u, l, "postgres");
}

static bool prepare_demo(struct stack *s, struct unit *u, struct launch *l, const char **why)
{
	(void)why;
	l->fn = load_demo;
	return prepare_sql(s, u, l, "shoal");
}

/* --- our own programs */

/* The binary that runs, by its name where that is still the same file: it may have been built anew meanwhile. */
static const char *self_path(struct arena *a)
{
	static const char self[] = "/proc/self/exe";
	struct stat running, named;
	char *name = arena_alloc(a, PATH_MAX);

	if (readlink(self, name, PATH_MAX - 1) > 0 && stat(name, &named) == 0 && stat(self, &running) == 0 &&
	    named.st_ino == running.st_ino && named.st_dev == running.st_dev)
		return name;
	return self;
}

static bool prepare_verb(struct stack *s, struct unit *u, struct launch *l, const char **why)
{
	(void)s, (void)why;
	l->argv = ARGS(u, self_path(&u->a), u->kind->name);
	return true;
}

/* It is no program of a fleet: what it is told are options. */
static bool prepare_sim(struct stack *s, struct unit *u, struct launch *l, const char **why)
{
	(void)why;
	l->argv = ARGS(u, self_path(&u->a), "sim", "--listen", arena_printf(&u->a, "127.0.0.1:%u", u->port),
	               "--discord-seed", home_path(s->home, "secrets/ladder_seed"));
	return true;
}

static void ask_ready(void *arg);

static void ready_answer(void *arg, enum err err, const struct http_response *res)
{
	struct unit *u = arg;
	u->call = NULL;
	if (err == ERR_OK && res->status == 200) {
		unit_ready(u);
		return;
	}
	u->timer.fn = ask_ready;
	timer_set(&u->timer, PROBE_MS);
}

static void ask_ready(void *arg)
{
	struct unit *u = arg;
	struct http_request req = {.method = "GET", .timeout_ms = 2000, .peer = "up"};
	req.url = u->metrics ? arena_printf(&u->a, "http://127.0.0.1:%u/readyz", u->metrics)
	                     : arena_printf(&u->a, "http://127.0.0.1:%u/healthz", u->port);
	u->call = http_send(u->stack->http, &req, ready_answer, u);
}

static void probe_http(struct stack *s, struct unit *u)
{
	(void)s;
	u->timer.fn = ask_ready;
	timer_set(&u->timer, PROBE_MS);
}

/* --- what the simulated platforms are told of the bots */

static bool runs_ladder(void)
{
	const char *bots = getenv("SHOAL_BOTS");

	return !bots || !*bots || conf_has_bot(&(struct conf){.bots = bots}, "ladder");
}

/* --force: a simulator that has started anew has forgotten what it was told. Where the gateway polls, Telegram's bots
 * have no webhooks, which the verb would refuse. */
static bool prepare_webhook(struct stack *s, struct unit *u, struct launch *l, const char **why)
{
	const char *self = self_path(&u->a), *mode = getenv("SHOAL_TELEGRAM_MODE");

	(void)s, (void)why;
	if (!mode || strcmp(mode, "poll") != 0)
		l->argv = ARGS(u, self, "webhook", "set", "--force");
	else if (runs_ladder())
		l->argv = ARGS(u, self, "webhook", "set", "--force", "--bot", "ladder");
	else
		l->argv = ARGS(u, self, "webhook", "set", "--force", "--commands");
	return true;
}

/* --- the table, in the order of enum unit_id */

#define OURS .stop = SIGTERM, .stop_harder = SIGKILL

const struct unit_kind unit_kinds[] = {
    [U_REDIS] = {.name = "redis",
                 .title = "Redis",
                 .copies = 1,
                 .port = 6379,
                 .phase = STOP_REDIS,
                 .stop = SIGTERM,
                 .stop_harder = SIGTERM,
                 .start_s = 300,
                 .stop_s = 20,
                 .prepare = prepare_redis,
                 .probe = probe_redis,
                 .where = where_port},
    [U_INITDB] = {.name = "initdb",
                  .title = "initdb",
                  .done = "PostgreSQL's data folder made",
                  .step = true,
                  .copies = 1,
                  .start_s = 300,
                  .stop_s = 5,
                  OURS,
                  .skip = skip_initdb,
                  .prepare = prepare_initdb,
                  .finish = finish_initdb},
    /* SIGINT is its fast shutdown, SIGQUIT its immediate one */
    [U_POSTGRES] = {.name = "postgres",
                    .title = "PostgreSQL",
                    .copies = 1,
                    .needs = NEEDS(U_INITDB),
                    .port = 5432,
                    .phase = STOP_POSTGRES,
                    .stop = SIGINT,
                    .stop_harder = SIGQUIT,
                    .start_s = 300,
                    .stop_s = 30,
                    .prepare = prepare_postgres,
                    .probe = probe_postgres,
                    .where = where_port},
    [U_DATABASE] = {.name = "database",
                    .title = "database",
                    .step = true,
                    .copies = 1,
                    .needs = NEEDS(U_POSTGRES),
                    .start_s = 60,
                    .stop_s = 5,
                    OURS,
                    .prepare = prepare_database},
    [U_MIGRATE] = {.name = "migrate",
                   .title = "migration",
                   .done = "Migrations applied",
                   .step = true,
                   .copies = 1,
                   .needs = NEEDS(U_DATABASE),
                   .start_s = 600,
                   .stop_s = 10,
                   OURS,
                   .prepare = prepare_verb},
    [U_DEMO] = {.name = "demo",
                .title = "demo data",
                .done = "Demo data loaded",
                .step = true,
                .copies = 1,
                .needs = NEEDS(U_MIGRATE),
                .start_s = 60,
                .stop_s = 5,
                OURS,
                .prepare = prepare_demo},
    [U_SIM] = {.name = "sim",
               .title = "Simulator",
               .copies = 1,
               .port = 8090,
               .phase = STOP_PLATFORM,
               .start_s = 60,
               .stop_s = 10,
               OURS,
               .prepare = prepare_sim,
               .probe = probe_http,
               .where = where_port},
    [U_GATEWAY] = {.name = "gateway",
                   .title = "Gateway",
                   .copies = 1,
                   .needs = NEEDS(U_REDIS) | NEEDS(U_DEMO) | NEEDS(U_SIM),
                   .port = 8080,
                   .metrics = 9464,
                   .listen = "SHOAL_GATEWAY_LISTEN",
                   .phase = STOP_INTAKE,
                   .start_s = 60,
                   .stop_s = 10,
                   OURS,
                   .prepare = prepare_verb,
                   .probe = probe_http,
                   .where = where_port},
    [U_ADMIN] = {.name = "admin",
                 .title = "Admin",
                 .copies = 1,
                 .needs = NEEDS(U_REDIS) | NEEDS(U_DEMO),
                 .port = 8081,
                 .metrics = 9463,
                 .listen = "SHOAL_ADMIN_LISTEN",
                 .phase = STOP_INTAKE,
                 .start_s = 60,
                 .stop_s = 10,
                 OURS,
                 .prepare = prepare_verb,
                 .probe = probe_http,
                 .where = where_port},
    [U_WORKER] = {.name = "worker",
                  .title = "Worker",
                  .copies = WORKERS_MAX,
                  .needs = NEEDS(U_REDIS) | NEEDS(U_DEMO) | NEEDS(U_SIM),
                  .metrics = 9465,
                  .phase = STOP_WORKERS,
                  .start_s = 60,
                  .stop_s = 25,
                  OURS,
                  .prepare = prepare_verb,
                  .probe = probe_http},
    [U_WEBHOOK] = {.name = "webhook",
                   .title = "Webhook",
                   .done = "Webhooks and commands registered",
                   .step = true,
                   .copies = 1,
                   .needs = NEEDS(U_REDIS) | NEEDS(U_SIM) | NEEDS(U_GATEWAY),
                   .again = true,
                   .start_s = 60,
                   .stop_s = 5,
                   OURS,
                   .prepare = prepare_webhook},
};
const unsigned unit_kind_count = sizeof(unit_kinds) / sizeof(unit_kinds[0]);
