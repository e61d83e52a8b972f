/* links: base io store */
#include "check.h"

#include "shoal/store/shards.h"

static struct arena arena;

/* How many shards a list has, as text, or what is wrong with it. */
static const char *parsed(const char *list)
{
	const char **urls, *why = NULL;
	unsigned n;

	return shards_parse(list, &arena, &urls, &n, &why) == ERR_OK ? arena_printf(&arena, "%u", n) : why;
}

static void lists(void)
{
	CHECK_STR(parsed("redis://a"), "1");
	CHECK_STR(parsed("redis://a,unix:///b"), "2");
	CHECK_STR(parsed(" redis://a , redis://b\n"), "2");
	CHECK_STR(parsed("redis://a?shards=64"), "64");
}

/* A server that is overlooked would be a shard less, and its lanes on other servers. */
static void no_server_is_overlooked(void)
{
	static const char *const bad[] = {"redis://a redis://b",
	                                  "redis://a\tredis://b",
	                                  "redis://a/0 1",
	                                  "redis://a,",
	                                  ",redis://a",
	                                  "redis://a,,redis://b",
	                                  "",
	                                  " "};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK(strstr(parsed(bad[i]), "SHOAL_REDIS_URL is \""));
	CHECK(strstr(parsed("redis://a redis://b"), "commas stand between servers"));
	CHECK(strstr(parsed("redis://a,,redis://b"), "server 2: "));
	CHECK(strstr(parsed("redis://a,redis://b?shards=2"), "server 2: a Redis Cluster"));
	CHECK(strstr(parsed("redis://a?shards=2,redis://b"), "server 1: a Redis Cluster"));
}

static void no_password_is_shown(void)
{
	static const char *const bad[] = {"redis://u:sesame@a:x",         "redis://sesame@a:x",
	                                  "redis://u:open,sesame@a",      "redis://u:x@a,u:sesame@b",
	                                  "redis+sentinel://u:sesame@a/", "redis://u:sesame@a redis://u:sesame@b"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK(strstr(parsed(bad[i]), "\": ") && !strstr(parsed(bad[i]), "sesame"));
}

int main(void)
{
	arena_init(&arena);
	RUN(lists);
	RUN(no_server_is_overlooked);
	RUN(no_password_is_shown);
	arena_release(&arena);
	DONE();
}
