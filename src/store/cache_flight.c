#include "shoal/store/cache_flight.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shoal/base/arena.h"
#include "shoal/base/clock.h"
#include "shoal/base/log.h"
#include "shoal/store/cache_key.h"
#include "shoal/store/cache_lease.h"
#include "shoal/store/cache_want.h"
#include "shoal/store/sql.h"

enum {
	PATIENCE_MS = CACHE_LEASE_MS + 500, /* with somebody else's fill */
	POLL_MS = 50,
	ROUNDS_MAX = 4, /* voided again each time: then Postgres is asked past Redis */
	BUCKETS = 512,
};

enum state { ASK, RENEW, WHOLE, LEASE, BUSY, FETCH, FILL };

struct flight {
	struct cache_flights *all; /* NULL: closed; the answer that is to come frees it */
	struct flight *next;       /* in its bucket */
	enum cache_kind kind;
	enum state state;
	struct cache_wants serving; /* began before what is under way was sent */
	struct cache_wants waiting; /* came later */
	struct timer poll;
	unsigned rounds;
	bool called;  /* an answer is to come */
	bool changed; /* the key was written since ASK was sent, or is: not to be remembered */
	bool leased, whole_asked;
	uint64_t belief;  /* when ASK was sent */
	int64_t patience; /* clock_ms(); 0: nobody else has been waited for */
	struct cache_lease lease;
	struct cache_value *value; /* fetched, to be filled */
	struct span key;
	char text[];
};

struct cache_flights {
	struct cache_flight_opts opts;
	struct flight *buckets[BUCKETS];
	struct cache_wants told;
	struct task tell;
	bool telling, closed;
};

static void ask(struct flight *f);
static void fetch(struct flight *f, bool leased);
static void lease(struct flight *f);

/* --- the table */

static struct flight **bucket_of(struct cache_flights *all, enum cache_kind kind, struct span key)
{
	uint32_t h = 2166136261u ^ (uint32_t)kind;

	for (size_t i = 0; i < key.len; i++)
		h = (h ^ (unsigned char)key.ptr[i]) * 16777619u;
	return &all->buckets[(h ^ h >> 16) % BUCKETS];
}

static struct flight *find(struct cache_flights *all, enum cache_kind kind, struct span key)
{
	struct flight *f = *bucket_of(all, kind, key);

	while (f && (f->kind != kind || !span_eq(f->key, key)))
		f = f->next;
	return f;
}

static struct flight *flight_new(struct cache_flights *all, enum cache_kind kind, struct span key)
{
	struct flight *f = mem_zalloc(sizeof(*f) + key.len + 1), **at = bucket_of(all, kind, key);

	f->all = all;
	f->kind = kind;
	memcpy(f->text, key.ptr, key.len);
	f->key = (struct span){f->text, key.len};
	f->lease.kind = kind;
	f->lease.key = f->key;
	cache_wants_init(&f->serving);
	cache_wants_init(&f->waiting);
	f->next = *at;
	*at = f;
	return f;
}

static void flight_free(struct flight *f)
{
	cache_value_unref(f->value);
	free(f);
}

static void flight_end(struct flight *f)
{
	struct flight **at = bucket_of(f->all, f->kind, f->key);

	while (*at != f)
		at = &(*at)->next;
	*at = f->next;
	timer_release(&f->poll);
	flight_free(f);
}

/* --- telling */

static void tell(void *arg)
{
	struct cache_flights *all = arg;

	all->telling = true;
	cache_wants_tell(&all->told);
	all->telling = false;
	if (all->closed)
		free(all);
}

static void serve(struct flight *f, struct cache_wants *whom, enum err err, struct cache_value *v)
{
	cache_wants_answer(whom, &f->all->told, err, v);
	loop_defer(f->all->opts.loop, &f->all->tell);
}

/* Who came too late for what was read: memory knows, or it is read anew. */
static void go_on_or_end(struct flight *f)
{
	struct cache_value *v = f->waiting.head ? f->all->opts.remembered(f->all->opts.arg, f->kind, f->key) : NULL;

	if (v)
		serve(f, &f->waiting, ERR_OK, v);
	if (!f->waiting.head) {
		flight_end(f);
		return;
	}
	f->rounds = 0;
	f->patience = 0;
	f->whole_asked = false;
	ask(f);
}

static bool whole(const struct flight *f)
{
	return span_is(f->key, CACHE_WHOLE);
}

/* Takes v. */
static void answer(struct flight *f, enum err err, struct cache_value *v)
{
	if (err == ERR_OK && whole(f) && f->all->opts.listed)
		f->all->opts.listed(f->all->opts.arg, f->kind);
	serve(f, &f->serving, err, v);
	cache_value_unref(v);
	go_on_or_end(f);
}

static void count(const struct flight *f, enum cache_layer layer, enum cache_result result)
{
	cache_count(f->all->opts.counts, f->kind, layer, result);
}

static void count_found(const struct flight *f, enum cache_layer layer, const struct cache_value *v)
{
	count(f, layer, v->found ? CACHE_HIT : CACHE_NEGATIVE);
}

/* An answer has come: false when nobody is there for it any more. */
static bool landed(struct flight *f)
{
	bool wanted = f->all != NULL;

	f->called = false;
	if (!wanted)
		flight_free(f);
	return wanted;
}

/* Takes v: what was read since this state was entered. */
static void found(struct flight *f, struct cache_value *v)
{
	const struct cache_flight_opts *o = &f->all->opts;
	uint64_t belief = o->belief(o->arg);

	if (!f->changed && belief && belief == f->belief)
		o->remember(o->arg, f->kind, f->key, v);
	answer(f, ERR_OK, v);
}

/* --- past Redis */

/* It cannot be asked, or has what makes no sense. */
static void pass_by(struct flight *f, const char *why)
{
	static int64_t last;
	static unsigned held_back;

	if (log_due(&last, &held_back)) {
		log_warn("cache lookup passes Redis by", LOG_STR("cache", cache_defs[f->kind].name),
		         LOG_STR("reason", why), LOG_INT("suppressed", held_back));
		held_back = 0;
	}
	fetch(f, false);
}

static void redis_failed(struct flight *f, enum err err, const redisReply *reply)
{
	count(f, CACHE_REDIS, CACHE_ERROR);
	pass_by(f, err == ERR_REFUSED && reply ? reply->str : err_text(err));
}

/* --- ASK */

static struct span text_of(const redisReply *r)
{
	return r->type == REDIS_REPLY_STRING ? (struct span){r->str, r->len} : (struct span){0};
}

bool cache_is_unlisted(const struct cache_value *list, struct span key)
{
	return list->found && !list->directory.many && key.ptr[0] != '#' && !span_is(key, CACHE_WHOLE) &&
	       !directory_has(&list->directory, key);
}

static void judge(struct flight *f, const struct cache_value *list)
{
	if (cache_is_unlisted(list, f->key)) {
		count(f, CACHE_REDIS, CACHE_NEGATIVE);
		answer(f, ERR_OK, cache_value_read(f->kind, f->key, SPAN(""), false));
	} else {
		lease(f); /* it was filled meanwhile, or is to be */
	}
}

static void on_whole(void *arg, enum err err, struct cache_value *list)
{
	struct flight *f = arg;

	if (!landed(f))
		return;
	if (err == ERR_OK)
		judge(f, list);
	else
		pass_by(f, err_text(err));
}

/* What is on no list is not there; where there is no list yet, the cache is loaded whole first. */
static void ask_whole(struct flight *f)
{
	const struct cache_flight_opts *o = &f->all->opts;
	struct cache_value *list = o->remembered(o->arg, f->kind, SPAN(CACHE_WHOLE));

	f->whole_asked = true;
	if (list) {
		judge(f, list);
		return;
	}
	f->state = WHOLE;
	f->called = true;
	cache_flights_get(f->all, f->kind, SPAN(CACHE_WHOLE), on_whole, f);
}

static void missed(struct flight *f)
{
	count(f, CACHE_REDIS, CACHE_MISS);
	if (f->rounds > ROUNDS_MAX || (f->patience && clock_ms() >= f->patience))
		pass_by(f, "it is not filled, or voided again each time");
	else if (cache_defs[f->kind].all && !whole(f) && !f->whole_asked)
		ask_whole(f);
	else
		lease(f);
}

static void on_renewed(void *arg, enum err err)
{
	struct flight *f = arg;

	if (!landed(f))
		return;
	if (err == ERR_OK && f->rounds <= ROUNDS_MAX)
		ask(f);
	else
		redis_failed(f, err == ERR_OK ? ERR_CONFLICT : err, NULL);
}

static void renew(struct flight *f)
{
	f->state = RENEW;
	f->called = true;
	cache_gen_renew(f->all->opts.gen, f->kind, false, NULL, on_renewed, f);
}

static void on_asked(void *arg, enum err err, const redisReply *reply)
{
	struct flight *f = arg;
	struct cache_value *v;
	struct span text;

	if (!landed(f))
		return;
	if (err != ERR_OK || reply->type != REDIS_REPLY_ARRAY || reply->elements != 2) {
		redis_failed(f, err == ERR_OK ? ERR_PROTOCOL : err, reply);
		return;
	}
	if (f->all->opts.doubtful(f->all->opts.arg)) {
		pass_by(f, "it came into doubt");
		return;
	}
	if (!cache_gen_see(f->all->opts.gen, f->kind, text_of(reply->element[0]))) {
		renew(f);
		return;
	}
	if (!cache_gen_strip(f->all->opts.gen, f->kind, text_of(reply->element[1]), &text)) {
		missed(f);
		return;
	}
	v = cache_value_read(f->kind, f->key, text, text.len > 0);
	if (v) {
		count_found(f, CACHE_REDIS, v);
		found(f, v);
		return;
	}
	count(f, CACHE_REDIS, CACHE_ERROR);
	pass_by(f, "a value makes no sense");
}

static void ask(struct flight *f)
{
	char generation[CACHE_NAME_BYTES], name[CACHE_NAME_BYTES];

	if (f->all->opts.doubtful(f->all->opts.arg)) {
		pass_by(f, "it may hold what has changed while it was away, or while nobody listened");
		return;
	}
	f->state = ASK;
	f->rounds++;
	f->changed = false;
	f->belief = f->all->opts.belief(f->all->opts.arg);
	f->called = true;
	cache_wants_move(&f->waiting, &f->serving);
	redis_call(f->all->opts.redis, on_asked, f, 3,
	           (struct span[]){SPAN("MGET"), cache_key_generation(generation, f->kind),
	                           cache_key_value(name, f->kind, f->key)});
}

/* --- LEASE and BUSY */

static bool says(const redisReply *reply, const char *word)
{
	return reply->str && strcmp(reply->str, word) == 0;
}

static void poll_again(void *arg)
{
	struct flight *f = arg;

	if (f->state == BUSY)
		ask(f);
}

static void be_patient(struct flight *f)
{
	if (!f->patience)
		f->patience = clock_ms() + PATIENCE_MS;
	f->state = BUSY;
	f->rounds = 0;
	if (!f->poll.fn)
		timer_init(&f->poll, f->all->opts.loop, poll_again, f);
	timer_set(&f->poll, jitter_ms(POLL_MS));
}

static void on_lease(void *arg, enum err err, const redisReply *reply)
{
	struct flight *f = arg;

	if (!landed(f))
		return;
	if (err != ERR_OK)
		redis_failed(f, err, reply);
	else if (says(reply, "yours"))
		fetch(f, true);
	else if (says(reply, "busy"))
		be_patient(f);
	else
		ask(f);
}

static void lease(struct flight *f)
{
	f->state = LEASE;
	f->called = true;
	cache_lease_ask(&f->lease, f->all->opts.redis, cache_gen_known(f->all->opts.gen, f->kind), on_lease, f);
}

/* --- FILL */

static void on_filled(void *arg, enum err err, const redisReply *reply)
{
	struct flight *f = arg;
	struct cache_value *v;

	if (!landed(f))
		return;
	v = f->value;
	f->value = NULL;
	if (err == ERR_OK && reply->type == REDIS_REPLY_INTEGER && reply->integer == 1) {
		answer(f, ERR_OK, v);
	} else {
		cache_value_unref(v); /* it may be older than what voided it, or than who waits */
		if (err == ERR_OK)
			ask(f);
		else
			redis_failed(f, err, reply);
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
		answer(f, ERR_PROTOCOL, NULL);
		return;
	}
	count_found(f, CACHE_POSTGRES, v);
	if (whole(f))
		log_info("cache loaded", LOG_STR("cache", cache_defs[f->kind].name), LOG_INT("rows", PQntuples(rows)));
	if (f->leased && lease_stands(f)) {
		f->value = v;
		fill(f, rows);
	} else {
		found(f, v);
	}
}

static void on_fetched(void *arg, enum err err, PGresult *rows, const struct pg_fault *fault)
{
	struct flight *f = arg;

	if (landed(f)) {
		if (err == ERR_OK) {
			fetched(f, rows);
		} else {
			count(f, CACHE_POSTGRES, CACHE_ERROR);
			log_warn("cache not filled", LOG_STR("cache", cache_defs[f->kind].name),
			         LOG_STR("error", err_text(err)), LOG_STR("message", fault->message));
			give_back(f);
			answer(f, err, NULL);
		}
	}
	PQclear(rows);
}

/* leased: what comes may be stored. */
static void fetch(struct flight *f, bool leased)
{
	const struct cache_def *def = &cache_defs[f->kind];
	const struct pg_stmt *stmt = sql_get(whole(f) ? def->all : def->one);
	struct pg_params p = {.n = stmt->nparams, .v = {f->key}};
	char most[16];

	f->state = FETCH;
	f->called = true;
	f->leased = leased;
	f->changed = false;
	f->belief = f->all->opts.belief(f->all->opts.arg);
	cache_wants_move(&f->waiting, &f->serving);
	if (whole(f)) {
		snprintf(most, sizeof(most), "%u", def->whole_max);
		p.v[0] = span_of(most);
	}
	pg_exec(f->all->opts.pg, stmt, &p, on_fetched, f);
}

/* --- */

void cache_flights_get(struct cache_flights *all, enum cache_kind kind, struct span key, cache_fn *fn, void *arg)
{
	struct flight *f;
	bool under_way;

	ENSURE(!all->closed && cache_key_valid(key));
	f = find(all, kind, key);
	under_way = f != NULL;
	if (!f)
		f = flight_new(all, kind, key);
	cache_wants_add(&f->waiting, fn, arg);
	if (!under_way)
		ask(f);
}

static void touch(struct flight *f)
{
	f->changed = true;
	if (f->state == BUSY)
		timer_set(&f->poll, 0);
}

void cache_flights_changed(struct cache_flights *all, enum cache_kind kind, struct span key)
{
	struct flight *f = find(all, kind, key);

	if (f)
		touch(f);
}

void cache_flights_changed_kind(struct cache_flights *all, enum cache_kind kind)
{
	for (int i = 0; i < BUCKETS; i++)
		for (struct flight *f = all->buckets[i]; f; f = f->next)
			if (f->kind == kind)
				touch(f);
}

struct cache_flights *cache_flights_open(const struct cache_flight_opts *opts)
{
	struct cache_flights *all = mem_zalloc(sizeof(*all));

	all->opts = *opts;
	cache_wants_init(&all->told);
	all->tell = (struct task){.fn = tell, .arg = all};
	return all;
}

/* Out of the table before anybody is told: who is told may be another flight. */
static void detach(struct flight *f, struct cache_wants *left)
{
	cache_wants_move(&f->serving, left);
	cache_wants_move(&f->waiting, left);
	timer_release(&f->poll);
	f->all = NULL;
	if (!f->called)
		flight_free(f);
}

void cache_flights_close(struct cache_flights *all)
{
	struct cache_wants left;

	if (!all)
		return;
	all->closed = true;
	task_cancel(&all->tell);
	cache_wants_init(&left);
	cache_wants_move(&all->told, &left);
	for (int i = 0; i < BUCKETS; i++) {
		for (struct flight *f = all->buckets[i], *next; f; f = next) {
			next = f->next;
			detach(f, &left);
		}
		all->buckets[i] = NULL;
	}
	cache_wants_tell(&left);
	if (!all->telling)
		free(all);
}
