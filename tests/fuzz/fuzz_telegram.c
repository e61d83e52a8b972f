/* links: bots wire model base */
/* An update of Telegram as the gateway takes it and the worker reads it again; and what Telegram answers to calls. */
#include "fuzz.h"

#include "shoal/bots/registry.h"
#include "shoal/wire/stream.h"
#include "shoal/wire/telegram.h"

static void as_update(const struct bot *bot, struct span body, struct arena *a)
{
	const char *why = NULL;
	struct update u;
	struct entry e;
	struct span *argv;

	if (entry_from_telegram(bot, body, 1700000000000, a, &e, &why) != ERR_OK) {
		MUST(why && *why);
		return;
	}
	MUST(strlen(e.lane) > 0 && strlen(e.lane) <= 255 && strlen(e.key) > 0 && strlen(e.key) <= 255);
	MUST(e.body.len == body.len && entry_xadd(&e, "k", a, &argv) > 0);
	if (telegram_decode(bot, body, e.key, e.at_ms, a, &u, &why) != ERR_OK) {
		MUST(why && *why);
		return;
	}
	MUST(u.text && u.payload && u.kind_name && utf8_valid(span_of(u.text)) && u.nargs <= UPDATE_ARGS_MAX);
	update_line(&u, a);
	const struct command *c = bot_command(bot, &u);
	if (c && c->code)
		c->code(&u, a);
}

static void as_answer(const struct bot *bot, struct span body, int status, struct arena *a)
{
	const struct response res = {.status = status, .body = body, .retry_after_ms = -1};
	struct ruling r;
	struct hook hook;
	struct span *updates;
	const char *why = NULL;
	size_t n;

	platform_telegram.judge(&res, a, &r);
	MUST(r.why && r.wait_ms >= -1);
	telegram_name_in(body, a);
	telegram_menu_same(SPAN("{\"commands\":[]}"), body, a, &n);
	telegram_hook_read(bot, body, a, &hook);
	if (telegram_updates(body, a, &updates, &n, &why) != ERR_OK)
		MUST(why);
}

static void fuzz(const uint8_t *data, size_t size)
{
	static const int statuses[] = {200, 400, 401, 403, 429, 500};
	struct arena a;

	arena_init(&a);
	struct span body = exact(&a, (struct span){(const char *)data, size});
	for (const struct bot *const *b = bots_all; *b; b++) {
		if ((*b)->platform == PLATFORM_TELEGRAM)
			as_update(*b, body, &a);
	}
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		as_answer(bots_all[0], body, statuses[i], &a);
	arena_release(&a);
}
