#include "shoal/store/cache_gen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shoal/base/arena.h"
#include "shoal/base/clock.h"
#include "shoal/base/log.h"
#include "shoal/store/cache_key.h"

#define IDENT_MS 2000
#define RANDOM_BYTES 6
#define GENERATION_SIZE 64

static struct redis_script script = {.name = "lua/cache_gen.lua"};

struct cache_gen {
	struct cache_gen_opts opts;
	struct timer again;
	char ident[CACHE_IDENT_SIZE]; /* "": not known */
	char known[CACHE_KINDS][GENERATION_SIZE];
	unsigned calls; /* answers that are to come */
	bool closed, refused;
};

static void release(struct cache_gen *g)
{
	if (g->closed && g->calls == 0)
		free(g);
}

/* --- who the server is */

static bool field(struct span info, const char *name, char *out, size_t len)
{
	const char *at = memmem(info.ptr, info.len, name, strlen(name));

	if (!at || (size_t)(info.ptr + info.len - at) < strlen(name) + len)
		return false;
	memcpy(out, at + strlen(name), len);
	out[len] = '\0';
	return strspn(out, "0123456789abcdef") == len;
}

bool cache_gen_ident(struct span info, char out[CACHE_IDENT_SIZE])
{
	char run[9], replication[9];

	if (!info.ptr || !field(info, "\nrun_id:", run, 8) || !field(info, "\nmaster_replid:", replication, 8))
		return false;
	snprintf(out, CACHE_IDENT_SIZE, "%s%s", run, replication);
	return true;
}

static void on_info(void *arg, enum err err, const redisReply *reply)
{
	struct cache_gen *g = arg;
	char ident[CACHE_IDENT_SIZE];
	bool told;

	g->calls--;
	if (g->closed || (err != ERR_OK && err != ERR_REFUSED && err != ERR_DENIED)) {
		release(g);
		return;
	}
	told = err == ERR_OK && reply->type == REDIS_REPLY_STRING &&
	       cache_gen_ident((struct span){reply->str, reply->len}, ident);
	if (!told && !g->refused)
		log_error("redis does not tell who it is (INFO): its caches are passed by",
		          LOG_STR("reason", err == ERR_OK ? "no run_id, or no master_replid" : err_text(err)));
	g->refused = !told;
	snprintf(g->ident, sizeof(g->ident), "%s", told ? ident : "");
}

static void ask_ident(void *arg)
{
	struct cache_gen *g = arg;

	timer_set(&g->again, IDENT_MS);
	if (!redis_up(g->opts.redis))
		return;
	g->calls++;
	redis_call(g->opts.redis, on_info, g, 3, (struct span[]){SPAN("INFO"), SPAN("server"), SPAN("replication")});
}

void cache_gen_redis_came(struct cache_gen *g)
{
	g->ident[0] = '\0';
	ask_ident(g);
}

const char *cache_gen_server(const struct cache_gen *g)
{
	return g->ident;
}

/* --- what is in force */

struct span cache_gen_known(const struct cache_gen *g, enum cache_kind kind)
{
	return span_of(g->known[kind]);
}

bool cache_gen_see(struct cache_gen *g, enum cache_kind kind, struct span generation)
{
	size_t ident = strlen(g->ident);

	if (!ident || generation.len <= ident || generation.len >= GENERATION_SIZE ||
	    memcmp(generation.ptr, g->ident, ident) != 0 || generation.ptr[ident] != '-')
		return false;
	if (span_eq(generation, span_of(g->known[kind])))
		return true;
	memcpy(g->known[kind], generation.ptr, generation.len);
	g->known[kind][generation.len] = '\0';
	g->opts.changed(g->opts.arg, kind);
	return true;
}

bool cache_gen_strip(const struct cache_gen *g, enum cache_kind kind, struct span value, struct span *text)
{
	size_t len = strlen(g->known[kind]);

	if (!len || value.len <= len || memcmp(value.ptr, g->known[kind], len) != 0 || value.ptr[len] != '|')
		return false;
	*text = (struct span){value.ptr + len + 1, value.len - len - 1};
	return true;
}

struct renewal {
	struct cache_gen *g;
	enum cache_kind kind;
	cache_gen_fn *fn;
	void *arg;
};

static void end_renewal(struct renewal *r, enum err err)
{
	struct cache_gen *g = r->g;

	g->calls--;
	r->fn(r->arg, err);
	free(r);
	release(g);
}

static void on_renewed(void *arg, enum err err, const redisReply *reply)
{
	struct renewal *r = arg;

	if (err == ERR_OK && !r->g->closed &&
	    (reply->type != REDIS_REPLY_STRING || !cache_gen_see(r->g, r->kind, (struct span){reply->str, reply->len})))
		err = ERR_UNREACHABLE; /* the server became another one meanwhile */
	end_renewal(r, err);
}

static void on_nobody(void *arg, enum err err, const redisReply *reply)
{
	(void)reply;
	end_renewal(arg, err == ERR_OK ? ERR_UNREACHABLE : err);
}

/* Keys and arguments of the script. */
enum { WORDS = 7 };
struct words {
	char generation[CACHE_NAME_BYTES], lease[CACHE_NAME_BYTES], mark[CACHE_NAME_BYTES],
	    random[2 * RANDOM_BYTES + 1];
	struct span v[WORDS];
};

static void words_init(struct words *w, enum cache_kind kind, const char *ident, bool end, const char *change)
{
	random_hex(w->random, RANDOM_BYTES);
	w->v[0] = cache_key_generation(w->generation, kind);
	w->v[1] = cache_key_lease(w->lease, kind, SPAN(CACHE_WHOLE));
	w->v[2] = cache_key_other(w->mark, "told", span_of(change ? change : "-"));
	w->v[3] = span_of(ident);
	w->v[4] = span_of(w->random);
	w->v[5] = span_of(end ? "end" : "");
	w->v[6] = span_of(change ? CACHE_TOLD_MS : "");
}

void cache_gen_renew(struct cache_gen *g, enum cache_kind kind, bool end, const char *change, cache_gen_fn *fn,
                     void *arg)
{
	struct renewal *r = mem_alloc(sizeof(*r));
	struct words w;

	*r = (struct renewal){.g = g, .kind = kind, .fn = fn, .arg = arg};
	g->calls++;
	if (!g->ident[0]) { /* it has not said yet, or does not say */
		redis_call(g->opts.redis, on_nobody, r, 1, (struct span[]){SPAN("PING")});
		return;
	}
	words_init(&w, kind, g->ident, end, change);
	redis_eval(g->opts.redis, &script, on_renewed, r, 3, WORDS, w.v);
}

enum err cache_gen_ident_now(redisContext *c, char out[CACHE_IDENT_SIZE])
{
	redisReply *info = c->err ? NULL : redisCommand(c, "INFO server replication");
	bool told;

	if (!info)
		return ERR_UNREACHABLE;
	told = info->type == REDIS_REPLY_STRING && cache_gen_ident((struct span){info->str, info->len}, out);
	freeReplyObject(info);
	return told ? ERR_OK : ERR_DENIED;
}

enum err cache_gen_end_now(redisContext *c, enum cache_kind kind)
{
	char ident[CACHE_IDENT_SIZE];
	redisReply *reply;
	struct words w;
	enum err err = cache_gen_ident_now(c, ident);

	if (err != ERR_OK)
		return err;
	words_init(&w, kind, ident, true, NULL);
	err = redis_eval_now(c, &script, 3, WORDS, w.v, &reply);
	if (reply)
		freeReplyObject(reply);
	return err;
}

/* --- life */

struct cache_gen *cache_gen_open(const struct cache_gen_opts *opts)
{
	struct cache_gen *g = mem_zalloc(sizeof(*g));

	g->opts = *opts;
	timer_init(&g->again, opts->loop, ask_ident, g);
	return g;
}

void cache_gen_close(struct cache_gen *g)
{
	if (!g)
		return;
	timer_release(&g->again);
	g->closed = true;
	release(g);
}
