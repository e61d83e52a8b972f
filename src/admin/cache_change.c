/* /api/cache/{name}/invalidate and reload: the whole fleet forgets. */
#include <stdio.h>
#include <string.h>

#include "shoal/admin/note.h"
#include "shoal/admin/routes.h"
#include "shoal/admin/walk.h"
#include "shoal/store/cache_fence.h"
#include "shoal/store/cache_gen.h"
#include "shoal/store/cache_key.h"
#include "shoal/store/cache_load.h"
#include "shoal/store/cache_void.h"
#include "shoal/store/rules.h"

enum { KEYS_MAX = 1000, COUNT_MS = 500, LOADS = 3 };

struct change {
	enum cache_kind kind;
	struct span *keys; /* and what goes with them */
	size_t nkeys, ngiven, done;
	bool counted;   /* values is of all that there were */
	int64_t values; /* that were believed */
	struct cache_heard heard;
	void (*then)(struct visitor *v); /* when all have heard */
	unsigned loads;
	size_t loaded_keys;
	const char *action, *details; /* of the note */
	enum err err;                 /* of the fence */
};

/* False: it was refused. */
static bool named(struct visitor *v)
{
	struct change *c = arena_new(v->a, struct change);

	v->state = c;
	if (cache_named_find(v->param, &c->kind))
		return true;
	visitor_refuse(v, 404, "not_found", "there is no such cache, only startcode, persona, player, static");
	return false;
}

static const char *target_of(struct visitor *v)
{
	return arena_printf(v->a, "cache:%s", v->param);
}

/* --- the answer */

/* Of an object that is still open. */
static void put_forgotten(struct visitor *v)
{
	const struct change *c = v->state;

	json_begin_obj(&v->json);
	json_kv_str(&v->json, "cache", cache_defs[c->kind].name);
	json_key(&v->json, "values");
	if (c->counted)
		json_put_i64(&v->json, c->values);
	else
		json_put_null(&v->json);
	json_kv_i64(&v->json, "heard", c->heard.heard);
	json_kv_i64(&v->json, "silent", c->heard.silent);
}

static void tell_forgotten(struct visitor *v)
{
	const struct change *c = v->state;

	put_forgotten(v);
	note(v, c->action, target_of(v), c->details, note_end);
}

/* Forgotten in Redis it is, whatever the workers have heard. */
static void fail_fence(struct visitor *v, bool noted)
{
	const struct change *c = v->state;

	(void)noted;
	if (c->err == ERR_TIMEOUT)
		visitor_later(
		    v, 503, "not_heard",
		    arena_printf(v->a,
		                 "it is forgotten in Redis, but %u of %u workers have not heard of it yet: call "
		                 "it again to be sure",
		                 c->heard.silent, c->heard.silent + c->heard.heard),
		    1000);
	else
		visitor_failed(v, c->err, "Redis");
}

static void on_fence(void *arg, enum err err, struct cache_heard heard)
{
	struct visitor *v = arg;
	struct change *c = v->state;

	c->heard = heard;
	c->err = err;
	if (err == ERR_OK)
		c->then(v);
	else
		note(v, c->action, target_of(v), c->details, fail_fence);
}

/* --- keys: counted, then voided in pieces, then the fence */

static void void_on(struct visitor *v);

static void on_void(void *arg, enum err err, const redisReply *reply)
{
	struct visitor *v = arg;

	(void)reply;
	if (err == ERR_OK)
		void_on(v);
	else
		note_failed(v, err, "Redis", ((struct change *)v->state)->action, target_of(v));
}

static void void_on(struct visitor *v)
{
	struct change *c = v->state;
	size_t left = c->nkeys - c->done, some = left < CACHE_VOID_KEYS ? left : CACHE_VOID_KEYS;

	if (some == 0) {
		cache_fence(v->api->fences, on_fence, v);
		return;
	}
	c->done += some;
	cache_void(v->api->cache, c->kind, c->keys + c->done - some, some, NULL, on_void, v);
}

static void on_looked(void *arg, enum err err, const redisReply *reply)
{
	struct visitor *v = arg;
	struct change *c = v->state;
	struct cache_seen *seen = arena_array(v->a, struct cache_seen, c->ngiven);
	struct cache_tally tally = {.bytes = 0};

	if (err == ERR_OK)
		err = cache_look_read(reply, seen, c->ngiven);
	if (err != ERR_OK) {
		visitor_failed(v, err, "Redis");
		return;
	}
	cache_tally_add(&tally, c->keys, seen, c->ngiven);
	c->values = cache_tally_believed(&tally);
	c->counted = true;
	void_on(v);
}

static void forget_keys(struct visitor *v)
{
	struct change *c = v->state;
	const char *ident = cache_gen_server(v->api->gen);
	struct cache_call *call;

	if (!*ident) {
		visitor_failed(v, ERR_UNREACHABLE, "Redis");
		return;
	}
	c->then = tell_forgotten;
	call = cache_look_call(v->a, ident, c->kind, c->keys, c->ngiven, false);
	redis_eval(v->api->cache, call->script, on_looked, v, call->nkeys, call->argc, call->argv);
}

/* --- all: counted, the generation ends, the fence; what is void goes by and by */

static void swept(void *arg, const struct walked *w)
{
	(void)arg;
	(void)w;
}

static void on_ended(void *arg, enum err err)
{
	struct visitor *v = arg;
	const struct change *c = v->state;

	if (err != ERR_OK) {
		note_failed(v, err, "Redis", c->action, target_of(v));
		return;
	}
	cache_fence(v->api->fences, on_fence, v);
	walk_begin(v->api, &(struct walk_opts){.kind = c->kind, .sweep = true}, swept, NULL);
}

static void on_counted(void *arg, const struct walked *w)
{
	struct visitor *v = arg;
	struct change *c = v->state;

	if (w->err != ERR_OK) {
		visitor_failed(v, w->err, "Redis");
		return;
	}
	c->values = cache_tally_believed(&w->tally[c->kind]);
	c->counted = w->whole;
	cache_gen_renew(v->api->gen, c->kind, true, NULL, on_ended, v);
}

static void forget_all(struct visitor *v, void (*then)(struct visitor *v))
{
	struct change *c = v->state;

	c->then = then;
	walk_begin(v->api, &(struct walk_opts){.kind = c->kind, .budget_ms = COUNT_MS}, on_counted, v);
}

static void begin(struct visitor *v, const char *action, const char *details)
{
	struct change *c = v->state;

	c->action = action;
	c->details = details;
}

/* --- invalidate */

static bool comes_before(const struct change *c, const char *key)
{
	for (size_t i = 0; i < c->ngiven; i++)
		if (span_is(c->keys[i], key))
			return true;
	return false;
}

/* False: it was refused. */
static bool add_key(struct visitor *v, const cJSON *key)
{
	struct change *c = v->state;
	const char *why = NULL;

	if (!cJSON_IsString(key))
		why = "a key must be a text";
	else if (!cache_key_valid(span_of(key->valuestring)) || !cache_named_fits(v->a, c->kind, key->valuestring))
		why = arena_printf(v->a, "%s is no key of the cache %s: its keys are %s", shown(v->a, key->valuestring),
		                   cache_defs[c->kind].name, cache_defs[c->kind].keys);
	if (why) {
		visitor_invalid(v, "keys", why);
		return false;
	}
	if (!comes_before(c, key->valuestring))
		c->keys[c->ngiven++] = span_of(key->valuestring);
	return true;
}

/* False: it was refused. */
static bool read_keys(struct visitor *v, const cJSON *keys)
{
	struct change *c = v->state;
	struct span with[2];
	const cJSON *key;
	size_t n;

	c->keys = arena_array(v->a, struct span, KEYS_MAX + 2);
	if (cJSON_GetArraySize(keys) < 1 || cJSON_GetArraySize(keys) > KEYS_MAX) {
		visitor_invalid(v, "keys", arena_printf(v->a, "keys must be 1 to %d", KEYS_MAX));
		return false;
	}
	cJSON_ArrayForEach(key, keys) if (!add_key(v, key)) return false;
	c->nkeys = c->ngiven;
	n = cache_named_companions(c->kind, with);
	for (size_t i = 0; i < n; i++)
		c->keys[c->nkeys++] = with[i];
	return true;
}

static const char *details_of(struct visitor *v, const cJSON *body)
{
	struct json_writer out;
	struct buf b;
	const char *text;

	buf_init(&b, 1 << 20);
	json_writer_init(&out, &b);
	json_put(&out, body);
	text = arena_span(v->a, buf_span(&b)).ptr;
	buf_release(&b);
	return text;
}

void caches_invalidate_it(struct visitor *v)
{
	const cJSON *body = visitor_body(v, "keys all"), *keys;
	bool all = false;

	if (!body || !named(v))
		return;
	keys = json_get(body, "keys");
	if (json_get(body, "all") && !json_bool(body, "all", &all)) {
		visitor_invalid(v, "all", "all must be true or false");
	} else if (all == (keys != NULL) || (keys && !cJSON_IsArray(keys))) {
		visitor_invalid(v, "keys", "say which: {\"keys\": [...]}, or {\"all\": true}");
	} else {
		begin(v, "cache.invalidate", details_of(v, body));
		if (all)
			forget_all(v, tell_forgotten);
		else if (read_keys(v, keys))
			forget_keys(v);
	}
}

/* --- reload */

/* how NULL: it could not be loaded, which is no reason not to note that it is forgotten. */
static void end_reload(struct visitor *v, const char *how, note_fn *then)
{
	const struct change *c = v->state;

	if (how) {
		put_forgotten(v);
		json_kv_str(&v->json, "loaded", how);
		json_kv_i64(&v->json, "keys", (int64_t)c->loaded_keys);
	}
	note(v, c->action, target_of(v),
	     arena_printf(v->a, "{\"values\":%lld,\"keys\":%zu}", (long long)c->values, c->loaded_keys), then);
}

static void fail_held(struct visitor *v, bool noted)
{
	(void)noted;
	visitor_later(
	    v, 503, "not_held",
	    "it is forgotten, but Redis does not hold what was read: it has no room, or it changes all the time", 1000);
}

static void fail_load(struct visitor *v, bool noted)
{
	(void)noted;
	visitor_later(v, 503, "not_loaded",
	              "it is forgotten, but could not be loaded: the workers load it with the next question", 1000);
}

static void load(struct visitor *v);

/* Again where it was changed while it was read. */
static void on_list(void *arg, enum err err, const redisReply *reply)
{
	struct visitor *v = arg;
	const struct change *c = v->state;
	struct cache_shown list;
	struct cache_loaded loaded = {.how = "no"};

	if (err == ERR_OK)
		err = cache_show_read(reply, cache_gen_server(v->api->gen), v->a, &list);
	if (err == ERR_OK)
		loaded = cache_loaded_of(c->kind, &list, 0);
	if (err != ERR_OK)
		end_reload(v, NULL, fail_load);
	else if (strcmp(loaded.how, "no") != 0)
		end_reload(v, loaded.how, note_end);
	else if (c->loads < LOADS)
		load(v);
	else
		end_reload(v, NULL, fail_held);
}

static void on_loaded(void *arg, enum err err, size_t keys, bool many)
{
	struct visitor *v = arg;
	struct change *c = v->state;
	struct cache_call *call;

	(void)many;
	if (err != ERR_OK) {
		end_reload(v, NULL, fail_load);
		return;
	}
	c->loaded_keys = keys;
	call = cache_show_call(v->a, c->kind, SPAN(CACHE_WHOLE));
	redis_eval(v->api->cache, call->script, on_list, v, call->nkeys, call->argc, call->argv);
}

static void load(struct visitor *v)
{
	struct change *c = v->state;

	if (!cache_defs[c->kind].all) {
		end_reload(v, "one by one", note_end);
		return;
	}
	c->loads++;
	cache_load_whole(v->api->load, c->kind, on_loaded, v);
}

void caches_reload_it(struct visitor *v)
{
	const cJSON *body = visitor_body(v, "");

	if (!body || !named(v))
		return;
	begin(v, "cache.reload", "{}");
	if (cache_defs[((struct change *)v->state)->kind].all && !pg_up(v->api->changes))
		visitor_failed(v, ERR_UNREACHABLE, "PostgreSQL"); /* then nothing is to be forgotten */
	else
		forget_all(v, load);
}
