#include "shoal/store/cache_flight_parts.h"

#include <stdio.h>
#include <string.h>

#include "shoal/base/log.h"
#include "shoal/store/cache_key.h"
#include "shoal/store/sql.h"

/* --- FILL */

static void on_filled(void *arg, enum err err, const redisReply *reply)
{
	struct flight *f = arg;
	struct cache_value *v;

	if (!flight_landed(f))
		return;
	v = f->value;
	f->value = NULL;
	if (err == ERR_OK && reply->type == REDIS_REPLY_INTEGER && reply->integer == 1) {
		flight_answer(f, ERR_OK, v);
	} else {
		cache_value_unref(v); /* it may be older than what voided it, or than who waits */
		if (err == ERR_OK)
			flight_ask(f);
		else
			flight_redis_failed(f, err, reply);
	}
}

/* rows: its own value, or all of the cache. */
static void fill(struct flight *f, const PGresult *rows)
{
	const struct cache_flight_opts *o = &f->all->opts;

	f->state = FILL;
	f->called = true;
	cache_wants_move(&f->waiting, &f->serving); /* where it is stored, nothing has voided it until then */
	cache_lease_fill(&f->lease, o->redis, rows, o->life_ms[f->kind], on_filled, f);
}

static void give_back(struct flight *f)
{
	if (f->leased)
		cache_lease_give_back(&f->lease, f->all->opts.redis);
}

/* --- FETCH */

static struct span cell(const PGresult *rows, int row, int column)
{
	return (struct span){PQgetvalue(rows, row, column), (size_t)PQgetlength(rows, row, column)};
}

static struct cache_value *value_among(const struct flight *f, const PGresult *rows)
{
	for (int i = 0; i < PQntuples(rows); i++)
		if (span_eq(cell(rows, i, 0), f->key))
			return cache_value_read(f->kind, f->key, cell(rows, i, 1), true);
	return cache_value_read(f->kind, f->key, SPAN(""), false);
}

/* A server that comes back with the data of a while ago brings back leases that were voided. */
static bool lease_stands(const struct flight *f)
{
	const char *server = cache_gen_server(f->all->opts.gen);

	return server[0] && strncmp(f->lease.generation, server, strlen(server)) == 0;
}

static void fetched(struct flight *f, const PGresult *rows)
{
	struct cache_value *v = value_among(f, rows);

	if (!v) {
		log_error("a cache cannot use what Postgres holds", LOG_STR("cache", cache_defs[f->kind].name),
		          LOG_SPAN("key", f->key));
		give_back(f);
		flight_answer(f, ERR_PROTOCOL, NULL);
		return;
	}
	flight_count_found(f, CACHE_POSTGRES, v);
	if (flight_whole(f))
		log_info("cache loaded", LOG_STR("cache", cache_defs[f->kind].name), LOG_INT("rows", PQntuples(rows)));
	if (f->leased && lease_stands(f)) {
		f->value = v;
		fill(f, rows);
	} else {
		flight_found(f, v);
	}
}

static void on_fetched(void *arg, enum err err, struct pg_rows *rows, const struct pg_fault *fault)
{
	struct flight *f = arg;

	if (flight_landed(f)) {
		if (err == ERR_OK) {
			fetched(f, pg_rows_whole(rows));
		} else {
			flight_count(f, CACHE_POSTGRES, CACHE_ERROR);
			log_warn("cache not filled", LOG_STR("cache", cache_defs[f->kind].name),
			         LOG_STR("error", err_text(err)), LOG_STR("message", fault->message));
			give_back(f);
			flight_answer(f, err, NULL);
		}
	}
}

void flight_fetch(struct flight *f, bool leased)
{
	const struct cache_def *def = &cache_defs[f->kind];
	const struct pg_stmt *stmt = sql_get(flight_whole(f) ? def->all : def->one);
	struct pg_params p = {.n = stmt->nparams, .v = {f->key}};
	char most[16];

	f->state = FETCH;
	f->called = true;
	f->leased = leased;
	f->changed = false;
	f->belief = f->all->opts.belief(f->all->opts.arg);
	cache_wants_move(&f->waiting, &f->serving);
	if (flight_whole(f)) {
		snprintf(most, sizeof(most), "%u", def->whole_max);
		p.v[0] = span_of(most);
	}
	pg_exec(f->all->opts.pg, stmt, &p, on_fetched, f);
}
