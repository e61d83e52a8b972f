/* shoal webhook: what the platforms know of the bots: where updates go, which commands there are. */
#include "shoal/cli/webhook.h"

#include <string.h>

#include "shoal/bots/registry.h"
#include "shoal/cli/cli.h"
#include "shoal/cli/sub.h"
#include "shoal/store/rules.h"

static const struct arg_opt options[] = {
    {"json", false, false},  {"bot", true, false},           {"commands", false, false},
    {"force", false, false}, {"drop-pending", false, false}, {0},
};

static bool can_speak(struct session *s, struct webhook_bot *b)
{
	const char *name = b->bot->name, *missing = !b->who.token ? "TOKEN" : NULL;

	if (!missing && b->platform->wants_app_id && !b->who.app_id)
		missing = "APP_ID";
	if (!missing)
		return true;
	if (args_has(s->args, "bot") || conf_expects_bot(&s->conf, name)) {
		char *upper = arena_strdup(s->a, name);

		for (char *p = upper; *p; p++)
			*p = (char)(*p >= 'a' && *p <= 'z' ? *p - 'a' + 'A' : *p);
		session_fail(s, EXIT_FAILED, "SHOAL_%s_%s is not set", upper, missing);
	}
	return false;
}

bool webhook_bots_find(struct session *s, struct webhook_bots *out)
{
	const char *only = args_get(s->args, "bot"), *why = only ? rule_bot(s->a, only) : NULL;
	size_t n = 0;

	*out = (struct webhook_bots){0};
	if (why) {
		session_usage(s, "%s", why);
		return false;
	}
	if (!session_conf(s))
		return false;
	while (bots_all[n])
		n++;
	out->v = arena_array(s->a, struct webhook_bot, n + 1);
	for (const struct bot *const *bot = bots_all; *bot; bot++) {
		struct webhook_bot *b = &out->v[out->n];

		if (!conf_has_bot(&s->conf, (*bot)->name) || (only && strcmp(only, (*bot)->name) != 0))
			continue;
		*b = (struct webhook_bot){.bot = *bot, .platform = platform_of((*bot)->platform)};
		b->who = (struct credentials){.api = conf_platform_api(&s->conf, b->platform->name),
		                              .token = conf_bot_token(&s->conf, (*bot)->name),
		                              .app_id = conf_bot_app_id(&s->conf, (*bot)->name)};
		if (can_speak(s, b))
			out->n++;
		else if (s->code != EXIT_DONE)
			return false;
	}
	if (out->n > 0)
		return true;
	if (only)
		session_fail(s, EXIT_FAILED, "the bot %s is not in SHOAL_BOTS", only);
	else
		session_fail(s, EXIT_FAILED, "no bot of SHOAL_BOTS has a token");
	return false;
}

const char *webhook_url(struct session *s, const struct webhook_bot *b)
{
	return arena_printf(s->a, "%s/%s/%s", s->conf.webhook_url, b->platform->name, b->bot->name);
}

static const struct sub subs[] = {
    {"set", "json bot commands force", 0, 0, "", webhooks_set},
    {"info", "json bot", 0, 0, "", webhooks_info},
    {"delete", "json bot drop-pending", 0, 0, "", webhooks_delete},
    {0},
};

int verb_webhook(int argc, char **argv)
{
	return sub_run(argc, argv, options, subs);
}
