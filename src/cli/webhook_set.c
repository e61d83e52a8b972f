/* shoal webhook set: webhooks where updates come by them, and the bots' menus. */
#include <stdio.h>
#include <string.h>

#include "shoal/cli/webhook.h"

/* Telegram delivers so many updates at a time; the gateway answers each within milliseconds. 100 is the most. */
#define CONNECTIONS 100

static const struct out_col columns[] = {{"bot", OUT_TEXT},    {"platform", OUT_TEXT}, {"what", OUT_TEXT},
                                         {"result", OUT_TEXT}, {"detail", OUT_TEXT},   {0}};

struct setting {
	struct session *s;
	struct webhook_desk *desk;
	struct out out;
};

static void put(struct setting *set, const struct webhook_bot *b, const char *what, const char *result,
                const char *detail)
{
	out_row(&set->out);
	out_text(&set->out, b->bot->name);
	out_text(&set->out, b->platform->name);
	out_text(&set->out, what);
	out_text(&set->out, result);
	out_text(&set->out, detail);
}

/* Once in the fleet: who comes after the first, and means the same, leaves it. */
static void apply(struct setting *set, const struct webhook_bot *b, const char *what, const struct call *c,
                  const char *detail)
{
	enum webhook_seen seen = args_has(set->s->args, "force") ? WEBHOOK_NEW : webhook_known(set->desk, b, what, c);

	if (seen == WEBHOOK_SAME) {
		put(set, b, what, "unchanged", detail);
	} else if (seen == WEBHOOK_NEW && webhook_call(set->desk, b, c, NULL)) {
		webhook_note(set->desk, b, what, c);
		put(set, b, what, "set", detail);
	} else {
		put(set, b, what, "failed", detail);
	}
}

static void set_hook(struct setting *set, const struct webhook_bot *b)
{
	struct session *s = set->s;
	const char *url;
	struct call c;

	if (b->bot->platform == PLATFORM_TELEGRAM && s->conf.telegram_mode == TELEGRAM_POLL) {
		session_fail(s, EXIT_FAILED,
		             "%s: no webhook is set, as SHOAL_TELEGRAM_MODE is poll, and Telegram allows only one of "
		             "the two (--commands sets the commands alone)",
		             b->bot->name);
		put(set, b, "webhook", "refused", NULL);
		return;
	}
	url = webhook_url(s, b);
	b->platform->hook_set(
	    b->bot, &(struct hook){.url = url, .secret = s->conf.webhook_secret, .connections = CONNECTIONS}, s->a, &c);
	apply(set, b, "webhook", &c, url);
}

static void set_menu(struct setting *set, const struct webhook_bot *b)
{
	struct call c;
	const char *why, *detail = "";

	if (b->platform->menu(b->bot, set->s->a, &c, &why) != ERR_OK) {
		session_fail(set->s, EXIT_FAILED, "%s: %s", b->bot->name, why);
		return;
	}
	for (size_t i = 0; i < b->bot->ncommands; i++)
		if (b->bot->commands[i].about)
			detail =
			    arena_printf(set->s->a, "%s%s/%s", detail, *detail ? " " : "", b->bot->commands[i].word);
	apply(set, b, "commands", &c, detail);
}

/* Whether there is a webhook to be set, at this platform. */
static bool wants_hook(struct session *s, const struct webhook_bots *bots, enum platform_id platform)
{
	if (args_has(s->args, "commands") || (platform == PLATFORM_TELEGRAM && s->conf.telegram_mode == TELEGRAM_POLL))
		return false;
	for (size_t i = 0; i < bots->n; i++)
		if (bots->v[i].bot->platform == platform)
			return true;
	return false;
}

int webhooks_set(struct session *s)
{
	struct setting set = {.s = s};
	struct webhook_bots bots;
	int code;

	if (!webhook_bots_find(s, &bots))
		return s->code;
	if (!s->conf.webhook_url && (wants_hook(s, &bots, PLATFORM_TELEGRAM) || wants_hook(s, &bots, PLATFORM_DISCORD)))
		return session_fail(s, EXIT_FAILED, "SHOAL_WEBHOOK_URL is not set: where is the gateway to be found?");
	if (!s->conf.webhook_secret && wants_hook(s, &bots, PLATFORM_TELEGRAM))
		return session_fail(s, EXIT_FAILED,
		                    "SHOAL_WEBHOOK_SECRET is not set: without it the gateway takes nothing");
	set.desk = webhook_desk_open(s, true);
	if (!set.desk)
		return s->code;
	out_begin(&set.out, s->json, columns);
	for (size_t i = 0; i < bots.n; i++) {
		if (!args_has(s->args, "commands"))
			set_hook(&set, &bots.v[i]);
		set_menu(&set, &bots.v[i]);
	}
	webhook_desk_close(set.desk);
	code = out_end(&set.out, NULL);
	return s->code != EXIT_DONE ? s->code : code;
}
