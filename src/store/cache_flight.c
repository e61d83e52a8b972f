#include "shoal/store/cache_flight.h"

#include <stdlib.h>
#include <string.h>

#include "shoal/base/arena.h"
#include "shoal/base/clock.h"
#include "shoal/base/log.h"
#include "shoal/store/cache_flight_parts.h"
#include "shoal/store/cache_key.h"

enum {
	PATIENCE_MS = CACHE_LEASE_MS + 500, /* with somebody else's fill */
	POLL_MS = 50,
	ROUNDS_MAX = 4, /* voided again each time: then Postgres is asked past Redis */
};

static void lease(struct flight *f);

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
	flight_fetch(f, false);
}

void flight_redis_failed(struct flight *f, enum err err, const redisReply *reply)
{
	flight_count(f, CACHE_REDIS, CACHE_ERROR);
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
		flight_count(f, CACHE_REDIS, CACHE_NEGATIVE);
		flight_answer(f, ERR_OK, cache_value_read(f->kind, f->key, SPAN(""), false));
	} else {
		lease(f); /* it was filled meanwhile, or is to be */
	}
}

static void on_whole(void *arg, enum err err, struct cache_value *list)
{
	struct flight *f = arg;

	if (!flight_landed(f))
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
	flight_count(f, CACHE_REDIS, CACHE_MISS);
	if (f->rounds > ROUNDS_MAX || (f->patience && clock_ms() >= f->patience))
		pass_by(f, "it is not filled, or voided again each time");
	else if (cache_defs[f->kind].all && !flight_whole(f) && !f->whole_asked)
		ask_whole(f);
	else
		lease(f);
}

static void on_renewed(void *arg, enum err err)
{
	struct flight *f = arg;

	if (!flight_landed(f))
		return;
	if (err == ERR_OK && f->rounds <= ROUNDS_MAX)
		flight_ask(f);
	else
		flight_redis_failed(f, err == ERR_OK ? ERR_CONFLICT : err, NULL);
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

	if (!flight_landed(f))
		return;
	if (err != ERR_OK || reply->type != REDIS_REPLY_ARRAY || reply->elements != 2) {
		flight_redis_failed(f, err == ERR_OK ? ERR_PROTOCOL : err, reply);
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
		flight_count_found(f, CACHE_REDIS, v);
		flight_found(f, v);
		return;
	}
	flight_count(f, CACHE_REDIS, CACHE_ERROR);
	pass_by(f, "a value makes no sense");
}

void flight_ask(struct flight *f)
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
		flight_ask(f);
}

static void be_patient(struct flight *f)
{
	if (!f->patience)
		f->patience = clock_ms() + PATIENCE_MS;
	f->state = BUSY;
	f->rounds = 0;
	if (!f->poll.fn)
		timer_init(&f->poll, f->all->opts.loop, poll_again, f);
	/* what ended it is told on another connection than that it was under way, and may have come first */
	timer_set(&f->poll, f->changed ? 0 : jitter_ms(POLL_MS));
}

static void on_lease(void *arg, enum err err, const redisReply *reply)
{
	struct flight *f = arg;

	if (!flight_landed(f))
		return;
	if (err != ERR_OK)
		flight_redis_failed(f, err, reply);
	else if (says(reply, "yours"))
		flight_fetch(f, true);
	else if (says(reply, "busy"))
		be_patient(f);
	else
		flight_ask(f);
}

static void lease(struct flight *f)
{
	f->state = LEASE;
	f->changed = false;
	f->called = true;
	cache_lease_ask(&f->lease, f->all->opts.redis, cache_gen_known(f->all->opts.gen, f->kind), on_lease, f);
}

/* --- */

void cache_flights_get(struct cache_flights *all, enum cache_kind kind, struct span key, cache_fn *fn, void *arg)
{
	struct flight *f;
	bool under_way;

	ENSURE(!all->closed && cache_key_valid(key));
	f = flight_find(all, kind, key);
	under_way = f != NULL;
	if (!f)
		f = flight_new(all, kind, key);
	cache_wants_add(&f->waiting, fn, arg);
	if (!under_way)
		flight_ask(f);
}

static void touch(struct flight *f)
{
	f->changed = true;
	if (f->state == BUSY)
		timer_set(&f->poll, 0);
}

void cache_flights_changed(struct cache_flights *all, enum cache_kind kind, struct span key)
{
	struct flight *f = flight_find(all, kind, key);

	if (f)
		touch(f);
}

void cache_flights_changed_kind(struct cache_flights *all, enum cache_kind kind)
{
	for (int i = 0; i < CACHE_FLIGHT_BUCKETS; i++)
		for (struct flight *f = all->buckets[i]; f; f = f->next)
			if (f->kind == kind)
				touch(f);
}

struct cache_flights *cache_flights_open(const struct cache_flight_opts *opts)
{
	struct cache_flights *all = mem_zalloc(sizeof(*all));

	all->opts = *opts;
	cache_wants_init(&all->told);
	all->tell = (struct task){.fn = flight_tell, .arg = all};
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
	for (int i = 0; i < CACHE_FLIGHT_BUCKETS; i++) {
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
