/* links: base io store */
#include "check.h"

#include "shoal/base/clock.h"
#include "shoal/store/shard_marks.h"
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

/* Time passes. */
static void later(struct shard_marks *m, int64_t ms)
{
	for (unsigned i = 0; i < SHARDS_LIMIT; i++)
		if (m->v[i].bare_since_ms)
			m->v[i].bare_since_ms -= ms;
}

static void who_may_mark(void)
{
	struct shard_marks m = {0};

	CHECK(clock_ms() > 2 * SHARD_BARE_MS); /* or `later` would come to 0, which is: not told */
	CHECK(shard_marks_may_mark(&m, 0));
	shard_marks_told(&m, 0, MARK_OURS);
	shard_marks_told(&m, 1, MARK_NONE);
	CHECK(shard_marks_may_mark(&m, 0) && shard_marks_may_mark(&m, 1));

	/* another's: none of the list, and once it is bare this one when its owner has had time */
	shard_marks_told(&m, 1, MARK_ANOTHERS);
	CHECK(!shard_marks_may_mark(&m, 0) && !shard_marks_may_mark(&m, 1) && !shard_marks_may_mark(&m, 63));
	later(&m, 2 * SHARD_BARE_MS);
	CHECK(!shard_marks_may_mark(&m, 1));
	shard_marks_told(&m, 1, MARK_NONE);
	CHECK(shard_marks_may_mark(&m, 0) && !shard_marks_may_mark(&m, 1));
	later(&m, SHARD_BARE_MS / 2);
	shard_marks_told(&m, 1, MARK_NONE);
	CHECK(!shard_marks_may_mark(&m, 1));
	later(&m, SHARD_BARE_MS / 2);
	shard_marks_told(&m, 1, MARK_NONE);
	CHECK(shard_marks_may_mark(&m, 1));

	/* its owner came in between: from the beginning */
	shard_marks_told(&m, 1, MARK_ANOTHERS);
	CHECK(!shard_marks_may_mark(&m, 0) && !shard_marks_may_mark(&m, 1));
	shard_marks_told(&m, 1, MARK_NONE);
	CHECK(!shard_marks_may_mark(&m, 1));
	shard_marks_told(&m, 1, MARK_OURS);
	CHECK(shard_marks_may_mark(&m, 0) && shard_marks_may_mark(&m, 1));

	/* what nobody has watched does not count */
	shard_marks_told(&m, 1, MARK_ANOTHERS);
	shard_marks_told(&m, 1, MARK_NONE);
	later(&m, SHARD_BARE_MS);
	shard_marks_unseen(&m, 1);
	CHECK(!shard_marks_may_mark(&m, 0) && !shard_marks_may_mark(&m, 1));
	shard_marks_told(&m, 1, MARK_NONE);
	CHECK(shard_marks_may_mark(&m, 0) && !shard_marks_may_mark(&m, 1));
	shard_marks_told(&m, 1, MARK_OURS);

	/* two at once do not wait for each other */
	shard_marks_told(&m, 0, MARK_ANOTHERS);
	shard_marks_told(&m, 1, MARK_ANOTHERS);
	shard_marks_told(&m, 0, MARK_NONE);
	shard_marks_told(&m, 1, MARK_NONE);
	later(&m, SHARD_BARE_MS);
	CHECK(shard_marks_may_mark(&m, 0) && shard_marks_may_mark(&m, 1));
}

int main(void)
{
	arena_init(&arena);
	RUN(lists);
	RUN(no_server_is_overlooked);
	RUN(no_password_is_shown);
	RUN(who_may_mark);
	arena_release(&arena);
	DONE();
}
