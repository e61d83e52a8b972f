/* shoal cache reload: the whole fleet forgets a cache, and it is read anew from Postgres. */
#include "shoal/base/json.h"
#include "shoal/cli/caches.h"
#include "shoal/cli/caches_forget.h"
#include "shoal/cli/caches_loaded.h"
#include "shoal/cli/long_work.h"
#include "shoal/io/loop.h"
#include "shoal/store/cache_load.h"

enum { SERVERS_MS = 10000, LOAD_MS = 30000, STATEMENT_MS = 20000, LOOK_MS = 50, TRIES = 3 };

static const struct out_col columns[] = {{"cache", OUT_TEXT},
                                         {"values", OUT_INT},
                                         {"heard", OUT_INT},
                                         {"silent", OUT_INT},
                                         {"loaded", OUT_TEXT},
                                         {"keys", OUT_INT},
                                         {0}};

/* --- loading */

struct loading {
	struct session *s;
	enum cache_kind kind;
	struct loop *loop;
	struct redis *redis;
	struct pg *pg;
	struct cache_load *load;
	struct timer patience, look;
	bool redis_came, begun, over;
	enum err err;
	size_t keys;
};

static void end(struct loading *l, enum err err)
{
	if (l->over)
		return;
	l->over = true;
	l->err = err;
	loop_stop(l->loop);
}

static void on_loaded(void *arg, enum err err, size_t keys, bool many)
{
	struct loading *l = arg;

	(void)many;
	l->keys = keys;
	end(l, err);
}

static void begin(struct loading *l)
{
	if (l->begun || l->over || !l->redis_came || !pg_up(l->pg))
		return;
	l->begun = true;
	timer_set(&l->patience, LOAD_MS);
	cache_load_whole(l->load, l->kind, on_loaded, l);
}

static void on_redis(void *arg)
{
	struct loading *l = arg;

	l->redis_came = true;
	cache_load_redis_came(l->load);
	begin(l);
}

static void on_pg(void *arg, bool up)
{
	(void)up;
	begin(arg);
}

static void out_of_patience(void *arg)
{
	struct loading *l = arg;

	end(l, l->begun ? ERR_TIMEOUT : ERR_UNREACHABLE);
}

/* Ctrl-C interrupts a loop's wait, and does not end it. */
static void look(void *arg)
{
	struct loading *l = arg;

	if (long_work_stopping())
		end(l, ERR_UNKNOWN);
	else
		timer_set(&l->look, LOOK_MS);
}

static void open_servers(struct loading *l)
{
	const struct conf *conf = &l->s->conf;

	timer_init(&l->look, l->loop, look, l);
	timer_set(&l->look, LOOK_MS);
	timer_init(&l->patience, l->loop, out_of_patience, l);
	timer_set(&l->patience, SERVERS_MS);
	l->pg = pg_open(l->loop, &(struct pg_opts){.url = conf->postgres_url,
	                                           .application_name = "shoal cli",
	                                           .connections = 1,
	                                           .statement_timeout_ms = STATEMENT_MS,
	                                           .slow_ms = STATEMENT_MS,
	                                           .on_change = on_pg,
	                                           .arg = l});
	l->redis = redis_open(
	    l->loop,
	    &(struct redis_opts){
	        .url = conf->cache_redis_url, .label = "cache", .timeout_ms = 5000, .on_up = on_redis, .arg = l});
	l->load = cache_load_open(&(struct cache_load_opts){.loop = l->loop,
	                                                    .redis = l->redis,
	                                                    .pg = l->pg,
	                                                    .player_ttl_s = conf->player_ttl_s,
	                                                    .code_ttl_s = conf->code_ttl_s});
}

/* False after saying why Postgres was not read, unless it was stopped. */
static bool load(struct session *s, enum cache_kind kind, size_t *keys)
{
	struct loading l = {.s = s, .kind = kind, .loop = loop_new()};

	open_servers(&l);
	loop_run(l.loop);
	l.over = true;
	cache_load_close(l.load);
	redis_close(l.redis);
	pg_close(l.pg);
	timer_release(&l.patience);
	timer_release(&l.look);
	loop_free(l.loop);
	*keys = l.keys;
	if (l.err == ERR_OK || long_work_stopping())
		return l.err == ERR_OK;
	session_fail(s, (int)exit_code_of(l.err),
	             "%s is forgotten, but could not be loaded: %s; the workers load it with the next question",
	             cache_defs[kind].name, err_text(l.err));
	return false;
}

/* --- telling */

struct told {
	struct caches_forgotten forgotten;
	struct cache_loaded loaded;
	size_t keys;
};

static int put(enum cache_kind kind, const struct told *t)
{
	struct out o;

	out_begin_one(&o, true, columns);
	out_row(&o);
	out_text(&o, cache_defs[kind].name);
	out_int(&o, t->forgotten.values);
	out_int(&o, t->forgotten.heard.heard);
	out_int(&o, t->forgotten.heard.silent);
	out_text(&o, t->loaded.how);
	out_int(&o, (int64_t)t->keys);
	return out_end(&o, NULL);
}

static bool is_held(const struct told *t)
{
	return !span_is(span_of(t->loaded.how), "no");
}

static const char *loaded_text(struct session *s, enum cache_kind kind, const struct told *t)
{
	if (!cache_defs[kind].all)
		return "nothing is loaded: they are read one by one, as they are asked for";
	if (span_is(span_of(t->loaded.how), "whole"))
		return arena_printf(s->a, "%zu keys loaded", t->keys);
	if (!is_held(t))
		return "nothing is loaded";
	return arena_printf(s->a, "there are more than %u: they are read one by one, as they are asked for",
	                    cache_defs[kind].whole_max);
}

static int tell(struct session *s, enum cache_kind kind, const struct told *t)
{
	int code = s->json
	               ? put(kind, t)
	               : out_done(false, "%s; %s", caches_forgotten_text(s->a, &t->forgotten), loaded_text(s, kind, t));

	if (is_held(t))
		return code;
	return session_fail(s, EXIT_FAILED,
	                    "Redis does not hold what was read: it has no room, or it changes all the time");
}

static const char *details(struct session *s, const struct told *t)
{
	return arena_printf(s->a, "{\"values\":%lld,\"loaded\":\"%s\",\"keys\":%zu}", (long long)t->forgotten.values,
	                    t->loaded.how ? t->loaded.how : "no", t->keys);
}

/* Again where it was changed while it was read. */
static bool load_until_held(struct caches_link *link, enum cache_kind kind, struct told *t)
{
	struct session *s = link->s;
	int64_t ttl_s = cache_ttl_s(kind, s->conf.player_ttl_s, s->conf.code_ttl_s);

	for (int i = 0; i < TRIES; i++) {
		if (long_work_stopping())
			return false;
		if (cache_defs[kind].all && !load(s, kind, &t->keys))
			return false;
		if (!caches_loaded_ask(link, kind, ttl_s, &t->loaded))
			return false;
		if (is_held(t))
			break;
	}
	return true;
}

static int forget_and_load(struct caches_link *link, enum cache_kind kind, struct told *t)
{
	struct session *s = link->s;

	if (!caches_forget_all(link, kind, &t->forgotten))
		return s->code;
	if (load_until_held(link, kind, t))
		return tell(s, kind, t);
	if (!long_work_stopping())
		return s->code;
	return session_fail(s, EXIT_FAILED,
	                    "%s; stopped before it was loaded: the workers load it with the next question",
	                    caches_forgotten_text(s->a, &t->forgotten));
}

int caches_reload(struct session *s)
{
	struct told t = {0};
	struct caches_link link;
	enum cache_kind kind;
	int code;

	/* without Postgres nothing is to be forgotten */
	if (!caches_operand(s, &kind) || (cache_defs[kind].all && !session_pg(s)) || !caches_link_open(&link, s))
		return s->code;
	long_work_hold();
	code = forget_and_load(&link, kind, &t);
	if (t.forgotten.begun)
		session_note(s, "cache.reload", arena_printf(s->a, "cache:%s", cache_defs[kind].name), details(s, &t));
	long_work_let_go();
	return code;
}
