/* links: store io base */
/* Configuration: lines of NAME=value, ended by NUL. Whatever they say, no secret is shown. */
#include "fuzz.h"

#include "shoal/base/conf.h"
#include "shoal/base/redact.h"
#include "shoal/io/pg.h"
#include "shoal/io/redis.h"
#include "shoal/store/shards.h"

enum { VALUES_MAX = 16 };

static struct {
	size_t n;
	const char *name[VALUES_MAX], *value[VALUES_MAX];
} environment;

static const char *get(const char *name)
{
	for (size_t i = 0; i < environment.n; i++)
		if (strcmp(environment.name[i], name) == 0)
			return environment.value[i];
	return NULL;
}

static void read_environment(struct food *food, struct arena *a)
{
	environment.n = 0;
	while (food->p < food->end && environment.n < VALUES_MAX) {
		struct span line = food_line(food);
		const char *is = line.len ? memchr(line.ptr, '=', line.len) : NULL;
		if (!is || (is - line.ptr > 5 && memcmp(is - 5, "_FILE", 5) == 0)) /* no strangers' files */
			continue;
		environment.name[environment.n] = arena_strndup(a, line.ptr, (size_t)(is - line.ptr));
		environment.value[environment.n++] = arena_strndup(a, is + 1, line.len - (size_t)(is + 1 - line.ptr));
	}
}

/* Given to an option that hides nothing, too: then it is no secret. */
static bool open_elsewhere(const char *secret)
{
	for (const struct opt *o = conf_options; o->name; o++) {
		const char *value = o->secret ? NULL : get(o->name);
		if (value && strstr(value, secret))
			return true;
	}
	return false;
}

/* A secret that is no part of the line's own words. */
static bool shows(const char *line, const struct opt *o, const char *secret)
{
	return o->secret && strlen(secret) >= 12 && !strstr("what it is (not shown), but must be", secret) &&
	       !strstr(o->name, secret) && !(o->chars && strstr(o->chars, secret)) && strstr(line, secret) &&
	       !open_elsewhere(secret);
}

static void check_urls(const struct conf *c, struct arena *a)
{
	const char **urls, *why = NULL;
	unsigned n;

	if (shards_parse(c->redis_url, a, &urls, &n, &why) != ERR_OK)
		MUST(why);
	if (redis_url_check(c->cache_redis_url, a, &why) != ERR_OK)
		MUST(why);
	if (pg_check_url(c->postgres_url, a, &why) != ERR_OK)
		MUST(why);
}

static void fuzz(const uint8_t *data, size_t size)
{
	struct food food = food_of(data, size);
	const char *why = NULL;
	struct arena a;
	struct conf c;

	arena_init(&a);
	read_environment(&food, &a);
	enum err err = conf_load(&c, &a, get, &why);
	MUST(err == ERR_OK || (err == ERR_INVALID && why && *why));
	for (const struct opt *o = conf_options; o->name; o++) {
		const char *value = get(o->name);
		if (err != ERR_OK && value)
			MUST(!shows(why, o, value));
		if (err == ERR_OK && value)
			MUST(!shows(conf_show(&c, o, &a), o, value));
	}
	if (err == ERR_OK)
		check_urls(&c, &a);
	for (size_t i = 0; i < environment.n; i++) /* shown once, it hides nothing more */
		redact(&a, redact(&a, environment.value[i]));
	arena_release(&a);
}
