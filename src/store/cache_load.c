#include "shoal/store/cache_load.h"

#include <stdlib.h>
#include <string.h>

#include "shoal/base/clock.h"
#include "shoal/base/log.h"
#include "shoal/store/sql.h"

enum {
	LEASE_MS = 5000,
	PATIENCE_MS = 2000, /* with somebody else's load */
	POLL_MS = 40,       /* how often we look whether it is there */
	FILL_MS = 60000,    /* a fill that was left behind goes by itself */
	FILL_ROWS = 256,    /* of one HSET */
	TOKEN_BYTES = 12,
};

static struct redis_script script_begin = {.name = "lua/cache_begin.lua"};
static struct redis_script script_store = {.name = "lua/cache_store.lua"};

/* What is under way. Storing what was fetched goes on beside it. */
enum load_state {
	LOAD_IDLE,
	LOAD_BEGIN, /* asking for the lease */
	LOAD_POLL,  /* somebody else has it; the timer runs */
	LOAD_FETCH  /* the table is on its way from Postgres */
};

struct waits {
	struct cache_wait *first, **last;
};

struct cache_load {
	struct cache_load_opts opts;
	enum load_state state;
	bool leased;       /* what is being fetched may be stored */
	int64_t patience;  /* clock_ms() until which we wait for somebody else */
	struct timer poll; /* of LOAD_POLL */
	char token[2 * TOKEN_BYTES + 1];
	struct waits waiting; /* for the next fetch, or for somebody else's load */
	struct waits serving; /* began before the fetch under way was sent */
	unsigned under_way;   /* callbacks that are still to come: they keep a closed load in memory */
	bool closed;
};

static void waits_init(struct waits *w)
{
	w->first = NULL;
	w->last = &w->first;
}

static void waits_add(struct waits *w, struct cache_wait *one)
{
	one->next = NULL;
	*w->last = one;
	w->last = &one->next;
}

/* Appends all of from, which is empty then. */
static void waits_move(struct waits *from, struct waits *to)
{
	if (!from->first)
		return;
	*to->last = from->first;
	to->last = from->last;
	waits_init(from);
}

/* One by one, taken off before it is called: it may wait again, or close the load. */
static void waits_call(const struct cache_load *l, struct waits *w, enum err err, const PGresult *rows)
{
	struct cache_wait *one;

	while (!l->closed && (one = w->first)) {
		w->first = one->next;
		if (!w->first)
			waits_init(w);
		one->fn(one->arg, err, rows);
	}
}

static void release(struct cache_load *l)
{
	l->under_way--;
	if (l->closed && l->under_way == 0)
		free(l);
}

static void begin(struct cache_load *l);
static void fetch(struct cache_load *l, bool leased);

/* --- storing */

static void stored(void *arg, enum err err, const redisReply *reply)
{
	struct cache_load *l = arg;

	if (err != ERR_OK)
		log_warn("cache not stored", LOG_STR("cache", l->opts.name), LOG_STR("error", err_text(err)));
	else if (reply->type != REDIS_REPLY_INTEGER || reply->integer != 1)
		log_info("cache not stored, it changed meanwhile", LOG_STR("cache", l->opts.name));
	release(l);
}

static void returned(void *arg, enum err err, const redisReply *reply)
{
	(void)err;
	(void)reply;
	release(arg);
}

/* Puts what was filled aside in its place if it has so many fields. */
static void put_in_place(struct cache_load *l, struct arena *a, struct span fill, int fields, redis_fn *fn)
{
	struct span argv[] = {span_of(l->opts.hash), span_of(l->opts.lease), fill, span_of(l->token),
	                      span_of(arena_printf(a, "%d", fields))};

	l->under_way++;
	redis_eval(l->opts.redis, &script_store, fn, l, 3, 5, argv);
}

/* One HSET, the first with the mark of a whole load. Returns the row to go on with. */
static int fill_rows(struct cache_load *l, struct span fill, struct span mark, const PGresult *rows, int from)
{
	struct span argv[4 + 2 * FILL_ROWS] = {SPAN("HSET"), fill};
	int n = 2, i;

	if (from == 0) {
		argv[n++] = SPAN("");
		argv[n++] = mark;
	}
	for (i = from; i < PQntuples(rows) && i < from + FILL_ROWS; i++) {
		for (int column = 0; column < 2; column++)
			argv[n++] = (struct span){PQgetvalue(rows, i, column), (size_t)PQgetlength(rows, i, column)};
	}
	redis_call(l->opts.redis, NULL, NULL, (size_t)n, argv);
	return i;
}

static struct span fill_key(const struct cache_load *l, struct arena *a)
{
	return span_of(arena_printf(a, "%s:fill:%s", l->opts.hash, l->token));
}

/* The commands run in this order; one that fails leaves too few fields, and nothing is put in place. */
static void store(struct cache_load *l, const PGresult *rows)
{
	struct arena a;
	struct span fill, mark;
	int row = 0;

	arena_init(&a);
	fill = fill_key(l, &a);
	mark = span_of(arena_printf(&a, "%lld", (long long)clock_wall_ms()));
	row = fill_rows(l, fill, mark, rows, 0);
	/* at once: a worker that dies from here on leaves nothing behind for long */
	redis_call(l->opts.redis, NULL, NULL, 3,
	           (struct span[]){SPAN("PEXPIRE"), fill, span_of(arena_printf(&a, "%d", FILL_MS))});
	while (row < PQntuples(rows))
		row = fill_rows(l, fill, mark, rows, row);
	put_in_place(l, &a, fill, PQntuples(rows) + 1, stored);
	arena_release(&a);
	log_info("cache loaded", LOG_STR("cache", l->opts.name), LOG_INT("rows", PQntuples(rows)));
}

/* Nothing has this many fields, so only the lease goes. */
static void give_back(struct cache_load *l)
{
	struct arena a;

	arena_init(&a);
	put_in_place(l, &a, fill_key(l, &a), -1, returned);
	arena_release(&a);
}

/* --- fetching */

static void fetched(void *arg, enum err err, PGresult *rows, const struct pg_fault *fault)
{
	struct cache_load *l = arg;
	struct waits mine;

	if (l->closed) {
		PQclear(rows);
		release(l);
		return;
	}
	if (err != ERR_OK)
		log_warn("cache not loaded", LOG_STR("cache", l->opts.name), LOG_STR("error", err_text(err)),
		         LOG_STR("message", fault->message));
	if (l->leased && err == ERR_OK)
		store(l, rows);
	else if (l->leased)
		give_back(l);
	l->state = LOAD_IDLE;
	waits_init(&mine);
	waits_move(&l->serving, &mine);
	if (l->waiting.first)
		begin(l);
	waits_call(l, &mine, err, rows);
	PQclear(rows);
	release(l);
}

static void fetch(struct cache_load *l, bool leased)
{
	l->state = LOAD_FETCH;
	l->leased = leased;
	waits_move(&l->waiting, &l->serving);
	l->under_way++;
	pg_exec(l->opts.pg, sql_get(l->opts.statement), NULL, fetched, l);
}

/* --- the lease */

static bool says(const redisReply *reply, const char *word)
{
	return reply && reply->str && strcmp(reply->str, word) == 0;
}

static void in_redis(struct cache_load *l)
{
	struct waits mine;

	l->state = LOAD_IDLE;
	waits_init(&mine);
	waits_move(&l->waiting, &mine);
	waits_call(l, &mine, ERR_OK, NULL);
}

static void begun(void *arg, enum err err, const redisReply *reply)
{
	struct cache_load *l = arg;

	if (l->closed) {
		release(l);
		return;
	}
	if (err == ERR_OK && says(reply, "loaded")) {
		in_redis(l);
	} else if (err == ERR_OK && says(reply, "busy") && clock_ms() < l->patience) {
		l->state = LOAD_POLL;
		timer_set(&l->poll, jitter_ms(POLL_MS));
	} else {
		fetch(l, err == ERR_OK && says(reply, "yours"));
	}
	release(l);
}

static void ask_lease(struct cache_load *l)
{
	struct span argv[] = {span_of(l->opts.hash), span_of(l->opts.lease), span_of(l->token), SPAN("5000")};

	_Static_assert(LEASE_MS == 5000, "the lease is written in ask_lease");
	l->state = LOAD_BEGIN;
	l->under_way++;
	redis_eval(l->opts.redis, &script_begin, begun, l, 2, 4, argv);
}

static void poll_again(void *arg)
{
	ask_lease(arg);
}

static void begin(struct cache_load *l)
{
	random_hex(l->token, TOKEN_BYTES);
	l->patience = clock_ms() + PATIENCE_MS;
	ask_lease(l);
}

/* --- life */

struct cache_load *cache_load_open(const struct cache_load_opts *opts)
{
	struct cache_load *l = mem_zalloc(sizeof(*l));

	l->opts = *opts;
	waits_init(&l->waiting);
	waits_init(&l->serving);
	timer_init(&l->poll, opts->loop, poll_again, l);
	return l;
}

void cache_load_close(struct cache_load *l)
{
	if (!l)
		return;
	l->closed = true;
	timer_release(&l->poll);
	l->under_way++;
	if (l->state == LOAD_FETCH && l->leased)
		give_back(l);
	release(l);
}

void cache_load_wait(struct cache_load *l, struct cache_wait *w, bool direct)
{
	waits_add(&l->waiting, w);
	if (l->state != LOAD_IDLE)
		return;
	if (direct)
		fetch(l, false);
	else
		begin(l);
}
