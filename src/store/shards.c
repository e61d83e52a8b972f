#include "shoal/store/shards.h"

#include <string.h>

#include "shoal/base/conf.h"
#include "shoal/base/redact.h"
#include "shoal/io/redis.h"
#include "shoal/io/redis_url.h"

#define BLANKS " \t\n"

static enum err refuse(const char *name, const char *text, const char *reason, struct arena *a, const char **why)
{
	*why = arena_printf(a, "%s is \"%s\": %s", name, redact(a, text), reason);
	return ERR_INVALID;
}

/* A cluster is one URL, and finds the server of each shard itself. */
static enum err cluster(const char *url, unsigned shards, const char **urls, unsigned *n)
{
	for (*n = 0; *n < shards; ++*n)
		urls[*n] = url;
	return ERR_OK;
}

static char *stripped(char *s)
{
	s += strspn(s, BLANKS);
	for (size_t len = strlen(s); len > 0 && strchr(BLANKS, s[len - 1]); len--)
		s[len - 1] = '\0';
	return s;
}

enum err shards_parse(const char *redis_url, struct arena *a, const char ***urls, unsigned *n, const char **why)
{
	char *list = arena_strdup(a, redis_url), *url;
	struct redis_url parsed = {0};
	const char *reason;

	*urls = arena_array(a, const char *, SHARDS_LIMIT);
	*n = 0;
	while ((url = strsep(&list, ","))) {
		if (*n == SHARDS_LIMIT) {
			*why = arena_printf(a, "SHOAL_REDIS_URL names more than %d servers", SHARDS_LIMIT);
			return ERR_INVALID;
		}
		url = stripped(url);
		reason = NULL;
		if (strpbrk(url, BLANKS))
			reason = "commas stand between servers, and a blank within a URL is written %20";
		else if (redis_url_parse(url, &parsed, a, &reason) == ERR_OK && parsed.shards && (*n > 0 || list))
			reason = "a Redis Cluster (?shards=N) is one URL, and no part of a list";
		if (reason) /* all of it is shown: a password with a comma is hidden only as a whole */
			return refuse("SHOAL_REDIS_URL", redis_url,
			              *n > 0 || list ? arena_printf(a, "server %u: %s", *n + 1, reason) : reason, a,
			              why);
		(*urls)[(*n)++] = url;
	}
	return parsed.shards ? cluster((*urls)[0], (unsigned)parsed.shards, *urls, n) : ERR_OK;
}

enum err shards_check_cache(const char *url, struct arena *a, const char **why)
{
	const char *reason;

	return redis_url_check(url, a, &reason) == ERR_OK ? ERR_OK
	                                                  : refuse("SHOAL_CACHE_REDIS_URL", url, reason, a, why);
}
