/* links: gateway bots wire io model base */
/* An interaction of Discord: its signature's headers, where it belongs, what it says; and what Discord answers to
 * calls. */
#include "fuzz.h"

#include "shoal/bots/registry.h"
#include "shoal/gateway/signature.h"
#include "shoal/wire/discord.h"
#include "shoal/wire/stream.h"

static const struct bot *ladder(void)
{
	return bots_find(SPAN("ladder"));
}

static void as_interaction(struct span body, struct arena *a)
{
	struct discord_place place;
	const char *why = NULL;
	struct update u;
	struct entry e;

	if (discord_locate(body, a, &place, &why) != ERR_OK) {
		MUST(why && *why);
		MUST(discord_decode(ladder(), body, "k", 1, a, &u, &why) != ERR_OK);
		return;
	}
	if (place.type == DISCORD_PING)
		return;
	entry_from_discord(ladder(), &place, body, 1700000000000, a, &e);
	MUST(strlen(e.lane) > 0 && strlen(e.lane) <= 255 && strlen(e.key) > 0 && strlen(e.key) <= 255);
	MUST(discord_decode(ladder(), body, e.key, 1, a, &u, &why) == ERR_OK); /* the gateway relies on it */
	MUST(u.text && u.payload && u.nargs <= UPDATE_ARGS_MAX);
	for (size_t i = 0; i < u.noptions; i++)
		MUST(u.options[i].name && u.options[i].value);
	discord_disable(place.root, a);
	const struct command *c = bot_command(ladder(), &u);
	if (c && c->board)
		c->board(&u, a);
}

static void as_answer(struct span body, int status, struct arena *a)
{
	const char *headers[] = {"5", "2.5", "bucket", "1", "user", "true", "1", "1", NULL};
	const struct response res = {.status = status, .body = body, .retry_after_ms = -1, .headers = headers};
	struct ruling r;
	struct hook hook;
	size_t n;

	platform_discord.judge(&res, a, &r);
	MUST(r.why && r.wait_ms >= -1);
	discord_hook_read(ladder(), body, a, &hook);
	discord_menu_same(SPAN("[]"), body, a, &n);
}

static void fuzz(const uint8_t *data, size_t size)
{
	static const int statuses[] = {200, 400, 401, 403, 404, 429, 500};
	static struct signer *signer;
	struct food food = food_of(data, size);
	struct arena a;

	if (!signer)
		signer = signer_new("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
	arena_init(&a);
	struct span body = exact(&a, (struct span){(const char *)data, size});
	as_interaction(body, &a);
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		as_answer(body, statuses[i], &a);
	struct span first = food_line(&food), second = food_line(&food);
	const char *signature = arena_strndup(&a, first.ptr, first.len),
	           *at = arena_strndup(&a, second.ptr, second.len);
	if (signature_formed(signature, at))
		signature_good(signer, signature, at, food_rest(&food), &a);
	arena_release(&a);
}
