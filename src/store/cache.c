#include "shoal/store/cache.h"

#include <stdlib.h>
#include <string.h>

#include "shoal/base/embed.h"
#include "shoal/base/log.h"
#include "shoal/base/metrics.h"
#include "shoal/store/cache_json.h"
#include "shoal/store/cache_load.h"

enum {
	REWARM_MS = 1000, /* between attempts to load where nobody asks yet */
	ROUNDS_MAX = 3    /* through Redis, before a lookup goes to Postgres */
};

enum { STARTCODE, PERSONA, NCACHES };

static const struct cache_def {
	const char *name, *hash, *lease, *statement;
} defs[NCACHES] = {
    [STARTCODE] = {"startcode", "shoal:{cache}:startcode", "shoal:{cache}:startcode:lease", "cache_startcodes"},
    [PERSONA] = {"persona", "shoal:{cache}:persona", "shoal:{cache}:persona:lease", "cache_personas"},
};

static struct redis_script script_lookup = {.name = "lua/cache_lookup.lua"};
static struct redis_script script_void = {.name = "lua/cache_void.lua"};

/* One asker: for a code, the default persona, the persona with an id. What was answered is taken off. */
struct lookup {
	struct cache *cache;
	struct lookup *next, **prev; /* on the cache's list */
	struct cache_wait wait;      /* for a table to be loaded */
	int table;                   /* which one */
	unsigned rounds;
	bool direct;        /* Redis could not tell */
	bool in_redis;      /* its callback is still to come and frees it */
	char *code;         /* NULL: none, or answered */
	int64_t persona_id; /* 0: none */
	struct fact_persona *persona;
	struct facts *facts; /* NULL: only `persona` is asked for */
	struct arena *arena;
	cache_fn *fn; /* NULL: told */
	void *arg;
};

struct table {
	struct cache *cache;
	struct cache_load *load;
	struct cache_wait warm;
	bool warming, seen;
};

struct cache {
	struct loop *loop;
	struct redis *redis;
	struct table tables[NCACHES];
	struct timer rewarm;
	struct lookup *lookups;
	bool closed;
};

static void count(int table, const char *layer, const char *result)
{
	static struct metric *m;

	if (!m)
		m = metric_counter("shoal_cache_requests_total", "cache,layer,result",
		                   "Lookups in the caches, by layer and what came of them");
	series_add(SERIES(m, defs[table].name, layer, result), 1);
}

/* --- lookups */

static struct lookup *lookup_new(struct cache *c, struct arena *a, cache_fn *fn, void *arg)
{
	struct lookup *k = mem_zalloc(sizeof(*k));

	ENSURE(!c->closed);
	*k = (struct lookup){.cache = c, .arena = a, .fn = fn, .arg = arg, .next = c->lookups, .prev = &c->lookups};
	if (k->next)
		k->next->prev = &k->next;
	c->lookups = k;
	return k;
}

static void lookup_free(struct lookup *k)
{
	*k->prev = k->next;
	if (k->next)
		k->next->prev = k->prev;
	free(k->code);
	free(k);
}

static void lookup_end(struct lookup *k, enum err err)
{
	cache_fn *fn = k->fn;
	void *arg = k->arg;

	lookup_free(k);
	fn(arg, err);
}

/* A value of the cache; ptr NULL: the cache is loaded and has none. */
static bool put_code(struct lookup *k, struct span json, const char *layer)
{
	struct fact_code *c = &k->facts->code;

	if (json.ptr && !cache_json_code(json, k->arena, c))
		return false;
	count(STARTCODE, layer, json.ptr ? "hit" : "negative");
	free(k->code);
	k->code = NULL;
	k->persona_id = c->persona_id;
	k->persona = &k->facts->code_persona;
	return true;
}

static bool put_persona(struct lookup *k, struct span json, const char *layer, struct fact_persona *p)
{
	if (json.ptr && !cache_json_persona(json, k->arena, p))
		return false;
	count(PERSONA, layer, json.ptr ? "hit" : "negative");
	return true;
}

/* The last two answers of a lookup. */
static bool put_personas(struct lookup *k, struct span fallback, struct span other, const char *layer)
{
	return (!k->facts || put_persona(k, fallback, layer, &k->facts->fallback)) &&
	       (!k->persona_id || put_persona(k, other, layer, k->persona));
}

/* --- from Postgres */

static struct span cell(const PGresult *rows, int row, int column)
{
	return (struct span){PQgetvalue(rows, row, column), (size_t)PQgetlength(rows, row, column)};
}

static struct span find_row(const PGresult *rows, struct span field)
{
	for (int i = 0; i < PQntuples(rows); i++) {
		if (span_eq(cell(rows, i, 0), field))
			return cell(rows, i, 1);
	}
	return (struct span){0};
}

static struct span find_code(const PGresult *rows, const char *code)
{
	struct span value = find_row(rows, span_of(code));

	return value.ptr && code[0] == '#' ? find_row(rows, value) : value;
}

static struct span find_default(const PGresult *rows)
{
	struct span id = find_row(rows, SPAN("default"));

	return id.ptr ? find_row(rows, id) : id;
}

static const char *id_text(struct lookup *k)
{
	return arena_printf(k->arena, "%lld", (long long)k->persona_id);
}

static void ask_redis(struct lookup *k);
static void wait_for(struct lookup *k, int table);

/* The code is answered, the personas are next. */
static void go_on(struct lookup *k)
{
	if (k->direct)
		wait_for(k, PERSONA);
	else
		ask_redis(k);
}

static void loaded(void *arg, enum err err, const PGresult *rows)
{
	struct lookup *k = arg;
	bool sound;

	if (err == ERR_OK)
		k->cache->tables[k->table].seen = true;
	if (err != ERR_OK) {
		lookup_end(k, err);
		return;
	}
	if (!rows) {
		ask_redis(k);
		return;
	}
	if (k->table == STARTCODE)
		sound = put_code(k, find_code(rows, k->code), "postgres");
	else
		sound = put_personas(k, find_default(rows), find_row(rows, span_of(id_text(k))), "postgres");
	if (sound && k->table == STARTCODE)
		go_on(k);
	else
		lookup_end(k, sound ? ERR_OK : ERR_PROTOCOL);
}

static void wait_for(struct lookup *k, int table)
{
	k->table = table;
	k->wait = (struct cache_wait){.fn = loaded, .arg = k};
	cache_load_wait(k->cache->tables[table].load, &k->wait, k->direct);
}

/* --- from Redis */

/* Redis cannot be asked, or has what makes no sense. */
static void pass_by_redis(struct lookup *k, const char *why)
{
	static int64_t last;
	static unsigned held_back;

	if (log_due(&last, &held_back))
		log_warn("cache lookup passes Redis by", LOG_STR("reason", why));
	k->direct = true;
	if (k->code) {
		count(STARTCODE, "redis", "error");
		wait_for(k, STARTCODE);
	} else {
		count(PERSONA, "redis", "error");
		wait_for(k, PERSONA);
	}
}

static struct span text_of(const redisReply *r)
{
	return r->type == REDIS_REPLY_STRING ? (struct span){r->str, r->len} : (struct span){0};
}

static bool is_there(struct lookup *k, int table, const redisReply *mark)
{
	bool there = mark->type == REDIS_REPLY_INTEGER && mark->integer == 1;

	if (there)
		k->cache->tables[table].seen = true;
	else
		count(table, "redis", "miss");
	return there;
}

/* The parts of the answer of cache_lookup.lua */
enum { A_CODES, A_CODE, A_PERSONAS, A_OF_CODE, A_DEFAULT, A_ASKED, A_COUNT };

static void take_answer(struct lookup *k, redisReply *const *answer)
{
	struct span other = text_of(answer[A_ASKED]);

	if (k->code) {
		if (!is_there(k, STARTCODE, answer[A_CODES])) {
			wait_for(k, STARTCODE);
			return;
		}
		if (!put_code(k, text_of(answer[A_CODE]), "redis")) {
			pass_by_redis(k, "a start code makes no sense");
			return;
		}
		other = text_of(answer[A_OF_CODE]);
	}
	if (!is_there(k, PERSONA, answer[A_PERSONAS]))
		wait_for(k, PERSONA);
	else if (!put_personas(k, text_of(answer[A_DEFAULT]), other, "redis"))
		pass_by_redis(k, "a persona makes no sense");
	else
		lookup_end(k, ERR_OK);
}

static void answered(void *arg, enum err err, const redisReply *reply)
{
	struct lookup *k = arg;

	k->in_redis = false;
	if (!k->fn)
		lookup_free(k);
	else if (err != ERR_OK)
		pass_by_redis(k, err == ERR_REFUSED ? reply->str : err_text(err));
	else if (reply->type != REDIS_REPLY_ARRAY || reply->elements != A_COUNT)
		pass_by_redis(k, "the answer is no array of six");
	else
		take_answer(k, reply->element);
}

static void ask_redis(struct lookup *k)
{
	struct span argv[] = {span_of(defs[STARTCODE].hash), span_of(defs[PERSONA].hash),
	                      span_of(k->code ? k->code : ""), k->persona_id ? span_of(id_text(k)) : SPAN("")};

	/* Loaded and gone again each time we look: enough of it. */
	k->direct = k->rounds++ >= ROUNDS_MAX;
	k->in_redis = true;
	redis_eval(k->cache->redis, &script_lookup, answered, k, 2, 4, argv);
}

void cache_lookup_start(struct cache *c, const char *code, struct arena *a, struct facts *f, cache_fn *fn, void *arg)
{
	struct lookup *k = lookup_new(c, a, fn, arg);

	k->facts = f;
	k->code = code ? mem_strdup(code) : NULL;
	f->code = (struct fact_code){.asked = code != NULL};
	f->code_persona = f->fallback = (struct fact_persona){0};
	ask_redis(k);
}

void cache_lookup_persona(struct cache *c, int64_t id, struct arena *a, struct fact_persona *p, cache_fn *fn, void *arg)
{
	struct lookup *k = lookup_new(c, a, fn, arg);

	k->persona_id = id;
	k->persona = p;
	*p = (struct fact_persona){0};
	ask_redis(k);
}

/* --- warm */

static void warmed(void *arg, enum err err, const PGresult *rows)
{
	struct table *t = arg;

	(void)rows;
	t->warming = false;
	if (err == ERR_OK)
		t->seen = true;
	else
		timer_set(&t->cache->rewarm, REWARM_MS);
}

void cache_warm(struct cache *c)
{
	for (int i = 0; i < NCACHES; i++) {
		struct table *t = &c->tables[i];

		if (t->seen || t->warming)
			continue;
		t->warming = true;
		t->warm = (struct cache_wait){.fn = warmed, .arg = t};
		cache_load_wait(t->load, &t->warm, false);
	}
}

static void warm_again(void *arg)
{
	cache_warm(arg);
}

bool cache_warmed(const struct cache *c)
{
	return c->tables[STARTCODE].seen && c->tables[PERSONA].seen;
}

/* --- invalidation: independent of the cache's life, it needs Redis alone */

struct voiding {
	struct task task; /* for what is wrong from the start */
	const struct cache_def *def;
	cache_fn *fn;
	void *arg;
};

static const struct cache_def *find_def(const char *name)
{
	for (int i = 0; i < NCACHES; i++) {
		if (strcmp(defs[i].name, name) == 0)
			return &defs[i];
	}
	return NULL;
}

static void note_voided(const struct cache_def *def)
{
	static struct metric *m;

	if (!m)
		m = metric_counter("shoal_cache_invalidations_total", "cache", "Invalidations, by cache");
	series_add(SERIES(m, def->name), 1);
	log_info("cache invalidated", LOG_STR("cache", def->name));
}

static void voided(void *arg, enum err err, const redisReply *reply)
{
	struct voiding *v = arg;

	(void)reply;
	if (err == ERR_OK)
		note_voided(v->def);
	if (v->fn)
		v->fn(v->arg, err);
	free(v);
}

static void no_such_cache(void *arg)
{
	struct voiding *v = arg;

	if (v->fn)
		v->fn(v->arg, ERR_INVALID);
	free(v);
}

void cache_invalidate(struct cache *c, const char *name, cache_fn *fn, void *arg)
{
	struct voiding *v = mem_zalloc(sizeof(*v));

	*v = (struct voiding){.def = find_def(name), .fn = fn, .arg = arg, .task = {.fn = no_such_cache, .arg = v}};
	if (v->def)
		redis_eval(c->redis, &script_void, voided, v, 2, 2,
		           (struct span[]){span_of(v->def->hash), span_of(v->def->lease)});
	else
		loop_defer(c->loop, &v->task);
}

enum err cache_invalidate_now(redisContext *conn, const char *name)
{
	const struct cache_def *def = find_def(name);
	const struct embed_file *script = embed_find(script_void.name);
	redisReply *reply;
	bool down, done;
	enum err err;

	if (!def)
		return ERR_INVALID;
	ENSURE(script);
	reply = redisCommand(conn, "EVAL %b 2 %s %s", script->data, script->len, def->hash, def->lease);
	if (!reply)
		return ERR_UNREACHABLE;
	done = reply->type == REDIS_REPLY_INTEGER;
	err = done ? ERR_OK : reply->type == REDIS_REPLY_ERROR ? redis_classify(reply->str, &down) : ERR_PROTOCOL;
	if (done)
		note_voided(def);
	freeReplyObject(reply);
	return err;
}

/* --- life */

struct cache *cache_open(const struct cache_opts *opts)
{
	struct cache *c = mem_zalloc(sizeof(*c));

	c->loop = opts->loop;
	c->redis = opts->redis;
	timer_init(&c->rewarm, c->loop, warm_again, c);
	for (int i = 0; i < NCACHES; i++) {
		c->tables[i].cache = c;
		c->tables[i].load = cache_load_open(&(struct cache_load_opts){.name = defs[i].name,
		                                                              .hash = defs[i].hash,
		                                                              .lease = defs[i].lease,
		                                                              .statement = defs[i].statement,
		                                                              .loop = opts->loop,
		                                                              .redis = opts->redis,
		                                                              .pg = opts->pg});
	}
	return c;
}

/* Lookups that are in Redis's hands are on no list any more; their callbacks free them. */
static void detach(struct lookup *k)
{
	k->fn = NULL;
	if (!k->in_redis) {
		lookup_free(k);
		return;
	}
	*k->prev = k->next;
	if (k->next)
		k->next->prev = k->prev;
	k->next = NULL;
	k->prev = &k->next;
}

void cache_close(struct cache *c)
{
	if (!c)
		return;
	c->closed = true;
	timer_release(&c->rewarm);
	for (int i = 0; i < NCACHES; i++)
		cache_load_close(c->tables[i].load);
	while (c->lookups) {
		struct lookup *k = c->lookups;
		cache_fn *fn = k->fn;
		void *arg = k->arg;

		detach(k);
		fn(arg, ERR_UNREACHABLE);
	}
	free(c);
}
