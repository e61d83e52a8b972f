/* links: bots wire model base */
/* An entry of the stream, its fields ended by NUL: lane, key, body. Whoever writes to the stream may write anything.
 * Then the effects that a guard row keeps. */
#include "fuzz.h"

#include "shoal/bots/registry.h"
#include "shoal/wire/own.h"
#include "shoal/wire/platform.h"
#include "shoal/wire/stream.h"

static void effects(struct span text, struct arena *a)
{
	struct effects e, again;

	if (effects_decode(text, a, &e) != ERR_OK)
		return;
	struct span stored = effects_encode(&e, a);
	MUST(effects_decode(stored, a, &again) == ERR_OK && again.ncalls == e.ncalls);
	MUST(span_eq(stored, effects_encode(&again, a)));
}

static void fuzz(const uint8_t *data, size_t size)
{
	struct food food = food_of(data, size);
	struct arena a;
	size_t n = 0;

	while (bots_all[n])
		n++;
	ENSURE(n > 0);
	arena_init(&a);
	const struct bot *bot = bots_all[food_byte(&food) % n];
	struct span lane = exact(&a, food_line(&food)), key = food_line(&food), body = exact(&a, food_rest(&food));
	for (unsigned shards = 1; shards <= 64; shards *= 4)
		MUST(lane_shard(lane, shards) < shards);
	const char *why = NULL, *name = arena_strndup(&a, key.ptr, key.len);
	struct update u;
	if (platform_of(bot->platform)->decode(bot, body, name, 1, &a, &u, &why) == ERR_OK) {
		MUST(u.key == name && u.text && u.payload && u.kind_name);
		bot_command(bot, &u);
	} else {
		MUST(why && *why);
	}
	own_begins(body);
	effects(body, &a);
	arena_release(&a);
}
