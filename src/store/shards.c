#include "shoal/store/shards.h"

#include <string.h>

#include "shoal/base/conf.h"
#include "shoal/base/redact.h"
#include "shoal/io/redis.h"

/* Several shards in one server are a matter of Redis Cluster; taking the parameter for one shard would hide the
 * others' entries from part of the fleet. */
static bool asks_for_more(const char *url)
{
	const char *p = strstr(url, "shards=");

	return p && p > url && (p[-1] == '?' || p[-1] == '&') && strcmp(p + 7, "1") != 0 &&
	       strncmp(p + 7, "1&", 2) != 0;
}

static enum err check(const char *url, struct arena *a, const char **why)
{
	const char *reason;

	if (redis_url_check(url, a, &reason) == ERR_OK) {
		if (!asks_for_more(url))
			return ERR_OK;
		reason = "Redis Cluster (?shards=N) is not supported; name the servers, with commas";
	}
	*why = arena_printf(a, "SHOAL_REDIS_URL is \"%s\": %s", redact(a, url), reason);
	return ERR_INVALID;
}

enum err shards_parse(const char *redis_url, struct arena *a, const char ***urls, unsigned *n, const char **why)
{
	char *list = arena_strdup(a, redis_url), *url;

	*urls = arena_array(a, const char *, SHARDS_LIMIT);
	*n = 0;
	while ((url = strsep(&list, ","))) {
		if (*n == SHARDS_LIMIT) {
			*why = arena_printf(a, "SHOAL_REDIS_URL names more than %d servers", SHARDS_LIMIT);
			return ERR_INVALID;
		}
		url += strspn(url, " ");
		url[strcspn(url, " ")] = 0;
		if (check(url, a, why) != ERR_OK)
			return ERR_INVALID;
		(*urls)[(*n)++] = url;
	}
	return ERR_OK;
}
