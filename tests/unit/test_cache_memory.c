/* links: base model io store */
#include "check.h"

#include <malloc.h>

#include "shoal/base/clock.h"
#include "shoal/store/cache_memory.h"

enum { MIB = 1024 * 1024 };

#ifdef __SANITIZE_ADDRESS__
#define MALLOC_IS_GLIBCS false
#else
#define MALLOC_IS_GLIBCS true
#endif

static struct span text_key(char out[24], int64_t id)
{
	return (struct span){out, (size_t)snprintf(out, 24, "%lld", (long long)id)};
}

/* A player whose uid tells it from others. */
static struct cache_value *player(int64_t uid)
{
	char key[24], json[128];
	struct span text = {json, 0};

	text.len = (size_t)snprintf(json, sizeof(json),
	                            "{\"name\":\"name %lld\",\"country\":\"PL\",\"region\":\"NAW\",\"tos_ms\":1,"
	                            "\"setup_ms\":2}",
	                            (long long)uid);
	return cache_value_read(CACHE_PLAYER, text_key(key, uid), text, true);
}

static bool put_player(struct cache_memory *m, int64_t uid, int64_t until_ms)
{
	char key[24];
	struct cache_value *v = player(uid);
	bool kept = cache_memory_put(m, CACHE_PLAYER, text_key(key, uid), v, until_ms);

	cache_value_unref(v);
	return kept;
}

static struct cache_value *get_player(struct cache_memory *m, int64_t uid)
{
	char key[24];

	return cache_memory_get(m, CACHE_PLAYER, text_key(key, uid));
}

static void what_is_put_is_found(void)
{
	struct cache_memory *m = cache_memory_new(MIB);

	CHECK(!get_player(m, 7));
	CHECK(put_player(m, 7, 0));
	CHECK(get_player(m, 7) && get_player(m, 7)->player.uid == 7);
	CHECK(!cache_memory_get(m, CACHE_PERSONA, SPAN("7")));
	CHECK(!get_player(m, 77));
	CHECK_INT(cache_memory_stats(m, CACHE_PLAYER).entries, 1);
	CHECK(cache_memory_drop(m, CACHE_PLAYER, SPAN("7")));
	CHECK(!cache_memory_drop(m, CACHE_PLAYER, SPAN("7")));
	CHECK(!get_player(m, 7));
	CHECK_INT(cache_memory_stats(m, CACHE_PLAYER).entries, 0);
	CHECK_INT(cache_memory_stats(m, CACHE_PLAYER).bytes, 0);
	cache_memory_free(m);
}

static void bytes_are_what_malloc_took(void)
{
	struct mallinfo2 before = mallinfo2(), after;
	struct cache_memory *m = cache_memory_new(16 * MIB);
	size_t grown;

	for (int64_t uid = 100000000000000000; uid < 100000000000000000 + 200000; uid++)
		put_player(m, uid, 0);
	after = mallinfo2();
	grown = after.uordblks + after.hblkhd - before.uordblks - before.hblkhd;
	CHECK(cache_memory_bytes(m) <= 16 * MIB);
	if (MALLOC_IS_GLIBCS)
		CHECK(grown > cache_memory_bytes(m) / 100 * 90 && grown < cache_memory_bytes(m) / 100 * 110);
	cache_memory_free(m);
}

int main(void)
{
	RUN(what_is_put_is_found);
	RUN(bytes_are_what_malloc_took);
	DONE();
}
