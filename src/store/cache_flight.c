#include "shoal/store/cache_flight.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shoal/base/arena.h"
#include "shoal/base/clock.h"
#include "shoal/base/log.h"
#include "shoal/store/cache_key.h"
#include "shoal/store/sql.h"

enum {
	LEASE_MS = 2000,    /* a filler that dies costs so much */
	PATIENCE_MS = 2500, /* with somebody else's fill: a little more */
	POLL_MS = 50,
	ROUNDS_MAX = 4, /* voided again each time: then Postgres is asked past Redis */
	TOKEN_BYTES = 12,
	NEGATIVE_MS = 60000,
	BUCKETS = 512,
	WHOLE_MAX = 1000, /* a cache of more values than this is filled one by one */
	FILL_ROWS = 100,  /* of one call */
};

static struct redis_script script_lease = {.name = "lua/cache_lease.lua"};
static struct redis_script script_fill = {.name = "lua/cache_fill.lua"};

/* One who asked. On one list: of a flight, or of those who are to be told. */
struct want {
	struct want *next;
	cache_fn *fn;
	void *arg;
	enum err err;
	struct cache_value *value; /* owned */
};

struct wants {
	struct want *head, **tail;
};

enum state { ASK, RENEW, WHOLE, LEASE, BUSY, FETCH, FILL };

struct flight {
	struct cache_flights *all; /* NULL: closed; the answer that is to come frees it */
	struct flight *next;       /* in its bucket */
	enum cache_kind kind;
	enum state state;
	struct wants serving; /* began before what is under way was sent */
	struct wants waiting; /* came later */
	struct timer poll;
	unsigned rounds;
	bool called;  /* an answer is to come */
	bool changed; /* the key was written since ASK was sent, or is: not to be remembered */
	bool leased, whole_asked;
	uint64_t belief;  /* when ASK was sent */
	int64_t patience; /* clock_ms(); 0: nobody else has been waited for */
	char token[2 * TOKEN_BYTES + 1];
	char generation[64];       /* under which the lease was given */
	struct cache_value *value; /* fetched, to be filled */
	struct span key;
	char text[];
};

struct cache_flights {
	struct cache_flight_opts opts;
	struct flight *buckets[BUCKETS];
	struct wants told;
	struct task tell;
	bool telling, closed;
};

static void ask(struct flight *f);
static void fetch(struct flight *f, bool leased);
static void lease(struct flight *f);

/* --- lists */

static void wants_init(struct wants *w)
{
	w->head = NULL;
	w->tail = &w->head;
}

static void wants_add(struct wants *w, struct want *one)
{
	one->next = NULL;
	*w->tail = one;
	w->tail = &one->next;
}

static struct want *wants_take(struct wants *w)
{
	struct want *one = w->head;

	if (one && !(w->head = one->next))
		w->tail = &w->head;
	return one;
}

/* Appends all of from, which is empty then. */
static void wants_move(struct wants *from, struct wants *to)
{
	if (!from->head)
		return;
	*to->tail = from->head;
	to->tail = from->tail;
	wants_init(from);
}

static void want_free(struct want *w)
{
	cache_value_unref(w->value);
	free(w);
}

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
	wants_init(&f->serving);
	wants_init(&f->waiting);
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
	struct want *w;

	all->telling = true;
	while ((w = wants_take(&all->told))) {
		w->fn(w->arg, w->err, w->value);
		want_free(w);
	}
	all->telling = false;
	if (all->closed)
		free(all);
}

static void serve(struct flight *f, struct wants *whom, enum err err, struct cache_value *v)
{
	struct want *w;

	while ((w = wants_take(whom))) {
		w->err = err;
		w->value = v ? cache_value_ref(v) : NULL;
		wants_add(&f->all->told, w);
	}
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

/* Takes v. */
static void answer(struct flight *f, enum err err, struct cache_value *v)
{
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

static bool whole(const struct flight *f)
{
	return span_is(f->key, CACHE_WHOLE);
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
	wants_move(&f->waiting, &f->serving);
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
	char generation[CACHE_NAME_BYTES], name[CACHE_NAME_BYTES], key[CACHE_NAME_BYTES], ms[16];
	struct span known = cache_gen_known(f->all->opts.gen, f->kind);

	f->state = LEASE;
	f->called = true;
	random_hex(f->token, TOKEN_BYTES);
	snprintf(f->generation, sizeof(f->generation), "%.*s", (int)known.len, known.ptr);
	snprintf(ms, sizeof(ms), "%d", LEASE_MS);
	redis_eval(f->all->opts.redis, &script_lease, on_lease, f, 3, 6,
	           (struct span[]){cache_key_generation(generation, f->kind), cache_key_value(name, f->kind, f->key),
	                           cache_key_lease(key, f->kind, f->key), known, span_of(f->token), span_of(ms)});
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

struct filling {
	char names[FILL_ROWS + 2][CACHE_NAME_BYTES], life[24], negative[24];
	struct span argv[2 + FILL_ROWS + 3 + 2 * FILL_ROWS], texts[2 * FILL_ROWS];
	size_t nkeys, ntexts;
};

static void filling_begin(struct filling *w, const struct flight *f)
{
	int64_t life = f->all->opts.life_ms[f->kind];

	w->argv[0] = cache_key_generation(w->names[0], f->kind);
	w->argv[1] = cache_key_lease(w->names[1], f->kind, f->key);
	w->nkeys = 2;
	w->ntexts = 0;
	snprintf(w->life, sizeof(w->life), "%lld", (long long)life);
	snprintf(w->negative, sizeof(w->negative), "%lld", (long long)(life < NEGATIVE_MS ? life : NEGATIVE_MS));
}

static void filling_add(struct filling *w, const struct flight *f, struct span key, struct span text)
{
	w->argv[w->nkeys] = cache_key_value(w->names[w->nkeys], f->kind, key);
	w->nkeys++;
	w->texts[w->ntexts++] = text;
	w->texts[w->ntexts++] = span_of(text.len ? w->life : w->negative);
}

static void filling_send(struct filling *w, struct flight *f, bool last)
{
	size_t n = w->nkeys;

	w->argv[n++] = span_of(f->generation);
	w->argv[n++] = span_of(f->token);
	w->argv[n++] = last ? SPAN("last") : SPAN("more");
	memcpy(&w->argv[n], w->texts, w->ntexts * sizeof(w->texts[0]));
	redis_eval(f->all->opts.redis, &script_fill, last ? on_filled : NULL, last ? f : NULL, w->nkeys, n + w->ntexts,
	           w->argv);
}

static struct span cell(const PGresult *rows, int row, int column)
{
	return (struct span){PQgetvalue(rows, row, column), (size_t)PQgetlength(rows, row, column)};
}

/* rows: (key, text). Its own is among them, or there is none. */
static void fill(struct flight *f, const PGresult *rows)
{
	struct filling *w = mem_alloc(sizeof(*w));

	f->state = FILL;
	f->called = true;
	wants_move(&f->waiting, &f->serving); /* where it is stored, nothing has voided it until then */
	filling_begin(w, f);
	for (int i = 0; i < PQntuples(rows); i++) {
		if (w->ntexts == 2 * FILL_ROWS) {
			filling_send(w, f, false);
			filling_begin(w, f);
		}
		if (cache_key_valid(cell(rows, i, 0)))
			filling_add(w, f, cell(rows, i, 0), cell(rows, i, 1));
	}
	if (PQntuples(rows) == 0)
		filling_add(w, f, f->key, SPAN(""));
	filling_send(w, f, true);
	free(w);
}

/* Nothing is stored, so that only the lease goes: the next one need not wait for its end. */
static void give_back(struct flight *f)
{
	char generation[CACHE_NAME_BYTES], name[CACHE_NAME_BYTES];

	if (f->leased)
		redis_eval(f->all->opts.redis, &script_fill, NULL, NULL, 2, 5,
		           (struct span[]){cache_key_generation(generation, f->kind),
		                           cache_key_lease(name, f->kind, f->key), span_of(f->generation),
		                           span_of(f->token), SPAN("last")});
}

/* --- FETCH */

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

	return server[0] && strncmp(f->generation, server, strlen(server)) == 0;
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
	wants_move(&f->waiting, &f->serving);
	if (whole(f)) {
		snprintf(most, sizeof(most), "%d", WHOLE_MAX);
		p.v[0] = span_of(most);
	}
	pg_exec(f->all->opts.pg, stmt, &p, on_fetched, f);
}

/* --- */

void cache_flights_get(struct cache_flights *all, enum cache_kind kind, struct span key, cache_fn *fn, void *arg)
{
	struct want *w = mem_zalloc(sizeof(*w));
	struct flight *f;

	ENSURE(!all->closed && cache_key_valid(key));
	w->fn = fn;
	w->arg = arg;
	f = find(all, kind, key);
	if (f) {
		wants_add(&f->waiting, w);
		return;
	}
	f = flight_new(all, kind, key);
	wants_add(&f->waiting, w);
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
	wants_init(&all->told);
	all->tell = (struct task){.fn = tell, .arg = all};
	return all;
}

/* Out of the table before anybody is told: who is told may be another flight. */
static void detach(struct flight *f, struct wants *left)
{
	wants_move(&f->serving, left);
	wants_move(&f->waiting, left);
	timer_release(&f->poll);
	f->all = NULL;
	if (!f->called)
		flight_free(f);
}

void cache_flights_close(struct cache_flights *all)
{
	struct wants left;
	struct want *w;

	if (!all)
		return;
	all->closed = true;
	task_cancel(&all->tell);
	wants_init(&left);
	wants_move(&all->told, &left);
	for (int i = 0; i < BUCKETS; i++) {
		for (struct flight *f = all->buckets[i], *next; f; f = next) {
			next = f->next;
			detach(f, &left);
		}
		all->buckets[i] = NULL;
	}
	while ((w = wants_take(&left))) {
		w->fn(w->arg, ERR_UNREACHABLE, NULL);
		want_free(w);
	}
	if (!all->telling)
		free(all);
}
