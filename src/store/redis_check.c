#include "shoal/store/redis_check.h"

#include <stdio.h>
#include <string.h>

#include "shoal/base/log.h"

#define MAJOR_LEAST 7

/* "name:value\r\n" of INFO into out. */
static void info_get(const char *info, const char *name, char *out, size_t size)
{
	size_t len = strlen(name);

	out[0] = 0;
	for (const char *line = info; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, name, len) == 0 && line[len] == ':') {
			snprintf(out, size, "%.*s", (int)strcspn(line + len + 1, "\r\n"), line + len + 1);
			return;
		}
	}
}

static bool too_old(const struct redis_setup *s)
{
	struct span major = {s->version, strcspn(s->version, ".")};
	int64_t n;

	return span_i64(major, &n) && n < MAJOR_LEAST;
}

static void say_persistence(const struct redis_check *c)
{
	const struct redis_setup *s = &c->setup;
	const char *fsync = s->appendfsync[0] ? s->appendfsync : "not told (CONFIG GET is refused)";

	if (!s->appendonly)
		log_warn("redis keeps no log of its writes: a restart can lose accepted updates; set appendonly yes",
		         LOG_INT("shard", c->shard), LOG_STR("appendonly", "no"));
	else if (strcmp(s->appendfsync, "always") == 0)
		log_info("redis has every accepted update on disk", LOG_INT("shard", c->shard),
		         LOG_STR("appendonly", "yes"), LOG_STR("appendfsync", fsync));
	else
		log_warn("redis persists, but the last second can be lost with its machine; for the full promise set "
		         "appendfsync always",
		         LOG_INT("shard", c->shard), LOG_STR("appendonly", "yes"), LOG_STR("appendfsync", fsync));
}

static void say_eviction(const struct redis_check *c)
{
	const struct redis_setup *s = &c->setup;

	if (!s->policy[0])
		log_warn("redis does not tell its maxmemory-policy; it must be noeviction", LOG_INT("shard", c->shard));
	else if (strcmp(s->policy, "noeviction") != 0)
		log_error("redis may evict what is queued when it is full; set maxmemory-policy noeviction",
		          LOG_INT("shard", c->shard), LOG_STR("maxmemory_policy", s->policy),
		          LOG_INT("maxmemory", s->maxmemory));
	else
		log_info("redis does not evict", LOG_INT("shard", c->shard), LOG_STR("maxmemory_policy", s->policy),
		         LOG_INT("maxmemory", s->maxmemory));
}

static void say(const struct redis_check *c)
{
	if (too_old(&c->setup))
		log_error("redis is too old: 7.0 or later is needed", LOG_INT("shard", c->shard),
		          LOG_STR("version", c->setup.version));
	else
		log_info("redis found", LOG_INT("shard", c->shard), LOG_STR("version", c->setup.version));
	say_persistence(c);
	say_eviction(c);
}

static bool same(const struct redis_setup *a, const struct redis_setup *b)
{
	return strcmp(a->version, b->version) == 0 && a->appendonly == b->appendonly &&
	       strcmp(a->appendfsync, b->appendfsync) == 0 && strcmp(a->policy, b->policy) == 0 &&
	       a->maxmemory == b->maxmemory;
}

/* [name, value] of CONFIG GET; a refusal leaves the field empty. */
static void on_fsync(void *arg, enum err err, const redisReply *reply)
{
	struct redis_check *c = arg;

	if (err != ERR_OK && err != ERR_REFUSED && err != ERR_DENIED)
		return; /* the connection went: asked again when it is back */
	if (err == ERR_OK && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 && reply->element[1]->str)
		snprintf(c->fresh.appendfsync, sizeof(c->fresh.appendfsync), "%s", reply->element[1]->str);
	if (c->known && same(&c->setup, &c->fresh))
		return;
	c->setup = c->fresh;
	c->known = true;
	say(c);
}

static void on_info(void *arg, enum err err, const redisReply *reply)
{
	static const struct span ask[] = {SPAN("CONFIG"), SPAN("GET"), SPAN("appendfsync")};
	struct redis_check *c = arg;
	char value[32];

	c->run_id[0] = '\0';
	if (err == ERR_REFUSED || err == ERR_DENIED)
		log_warn("redis refuses INFO: whether it persists and evicts cannot be checked",
		         LOG_INT("shard", c->shard), LOG_STR("answer", reply ? reply->str : NULL));
	if (err != ERR_OK || !reply || !reply->str)
		return;
	memset(&c->fresh, 0, sizeof(c->fresh));
	info_get(reply->str, "run_id", c->run_id, sizeof(c->run_id));
	info_get(reply->str, "redis_version", c->fresh.version, sizeof(c->fresh.version));
	info_get(reply->str, "maxmemory_policy", c->fresh.policy, sizeof(c->fresh.policy));
	info_get(reply->str, "aof_enabled", value, sizeof(value));
	c->fresh.appendonly = strcmp(value, "1") == 0;
	info_get(reply->str, "maxmemory", value, sizeof(value));
	if (!span_i64(span_of(value), &c->fresh.maxmemory))
		c->fresh.maxmemory = 0;
	redis_call(c->redis, on_fsync, c, sizeof(ask) / sizeof(ask[0]), ask);
}

void redis_check_start(struct redis_check *c)
{
	static const struct span ask[] = {SPAN("INFO")};

	redis_call(c->redis, on_info, c, 1, ask);
}

const char *redis_check_trouble(const struct redis_check *c)
{
	return c->known && too_old(&c->setup) ? "older than Redis 7.0" : NULL;
}
