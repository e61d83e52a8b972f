#include "shoal/bots/ladder.h"

#include <string.h>

#include "shoal/base/arena.h"

#define ACCEPT "terms_yes"
#define SETUP "setup"

enum { NAME_MIN = 2, NAME_MAX = 32, PLACE_MAX = 64 };

enum text {
	TEXT_HELP,
	TEXT_TERMS,
	TEXT_ACCEPT,
	TEXT_ACCEPTED,
	TEXT_ACCEPTED_BEFORE,
	TEXT_TERMS_FIRST,
	TEXT_SETUP_FIRST,
	TEXT_SET_UP,
	TEXT_BAD_NAME,
	TEXT_NO_SUCH_PLACE,
	TEXT_COUNTRY,
	TEXT_NO_SUCH_COUNTRY,
};

/* All that this bot says by itself, as HTML. */
static const char *const texts[] = {
    [TEXT_HELP] = "<b>The ladder</b>: one against one, by rating.",
    [TEXT_TERMS] = "<b>Terms of service</b>\n\n"
                   "Play fair, report what really happened, and be kind to whoever you meet. The ladder keeps your "
                   "Discord id, the name, country and region that you tell, and the results of your matches; the name "
                   "and the results are shown to others. Who cheats or harasses may be shut out.",
    [TEXT_ACCEPT] = "I accept",
    [TEXT_ACCEPTED] = "Thank you, you have accepted the terms of service. Next, /setup tells the ladder who you are.",
    [TEXT_ACCEPTED_BEFORE] = "You have accepted the terms of service before, so nothing changes.",
    [TEXT_TERMS_FIRST] = "Before that, please read and accept the terms: /termsofservice.",
    [TEXT_SETUP_FIRST] = "Before that, please tell who you are: /setup.",
    [TEXT_SET_UP] = "You are set up, <b>%s</b>.",
    [TEXT_BAD_NAME] = "A name has 2 to 32 characters that can be seen. Please try /setup again.",
    [TEXT_NO_SUCH_PLACE] = ("I know no such country or region. A country is told by its name in English, or by its two "
                            "letters, as in <code>DE</code>. Please try /setup again."),
    [TEXT_COUNTRY] = "Your country is now <b>%s</b>.",
    [TEXT_NO_SUCH_COUNTRY] = "I know no such country. Please choose one of those that are offered while you type.",
};

static struct reply *answer(struct decision *d, const struct update *u, enum text text)
{
	return decision_answer(d, u->token, texts[text]);
}

/* With a text of somebody's in it. */
static void answer_about(struct decision *d, const struct update *u, enum text text, const char *about)
{
	decision_answer(d, u->token, arena_printf(d->arena, texts[text], text_escape(d->arena, about)));
}

/* What stands between a person and the commands of players; says so. */
static bool may_play(const struct update *u, const struct facts *f, struct decision *d)
{
	if (f->player.tos_ms && f->player.setup_ms)
		return true;
	answer(d, u, f->player.tos_ms ? TEXT_SETUP_FIRST : TEXT_TERMS_FIRST);
	return false;
}

static const char *typed(const struct update *u, const char *name)
{
	const struct option *o = update_option(u, name);

	return o ? o->value : "";
}

/* Without blanks around it. */
static const char *trimmed(struct arena *a, const char *s)
{
	size_t n;

	s += strspn(s, " \t\r\n");
	n = strlen(s);
	while (n > 0 && strchr(" \t\r\n", s[n - 1]))
		n--;
	return arena_strndup(a, s, n);
}

/* ---- /help */

static void decide_help(const struct update *u, const struct facts *f, struct decision *d)
{
	const char *out = texts[TEXT_HELP];

	(void)f;
	for (size_t i = 0; i < bot_ladder.ncommands; i++) {
		const struct command *c = &bot_ladder.commands[i];

		if (c->about)
			out = arena_printf(d->arena, "%s\n/%s – %s", out, c->word, text_escape(d->arena, c->about));
	}
	decision_answer(d, u->token, out);
}

/* ---- /termsofservice */

static void decide_terms(const struct update *u, const struct facts *f, struct decision *d)
{
	struct reply *r = answer(d, u, TEXT_TERMS);

	if (f->player.tos_ms)
		return;
	reply_button(d, r, texts[TEXT_ACCEPT], f->mark, ACCEPT, NULL);
	reply_style(d, r, BUTTON_GOOD, false);
}

static void decide_accept(const struct update *u, const struct facts *f, struct decision *d)
{
	if (f->player.tos_ms || f->conflict) { /* the cache did not know yet */
		answer(d, u, TEXT_ACCEPTED_BEFORE);
		return;
	}
	params_i64(decision_commit(d, "ladder_accept"), u->from.id);
	answer(d, u, TEXT_ACCEPTED);
}

/* ---- /setup */

static const struct form_field setup_fields[] = {
    {.name = "name", .label = "Your name on the ladder", .required = true, .min = NAME_MIN, .max = NAME_MAX},
    {.name = "country", .label = "Your country", .required = true, .min = 2, .max = PLACE_MAX},
    {.name = "region", .label = "Where you play from", .required = true, .max = PLACE_MAX, .table = "regions"},
};
static const struct form setup_form = {
    .verb = SETUP,
    .title = "Who are you?",
    .nfields = sizeof(setup_fields) / sizeof(setup_fields[0]),
    .fields = setup_fields,
};

static void decide_setup(const struct update *u, const struct facts *f, struct decision *d)
{
	const char *name = trimmed(d->arena, typed(u, "name"));
	size_t units = utf8_utf16_len(span_of(name));
	struct params *p;

	if (!f->player.tos_ms) {
		answer(d, u, TEXT_TERMS_FIRST);
		return;
	}
	if (text_blank(name) || units < NAME_MIN || units > NAME_MAX) {
		answer(d, u, TEXT_BAD_NAME);
		return;
	}
	if (f->conflict) {
		answer(d, u, TEXT_NO_SUCH_PLACE);
		return;
	}
	p = decision_commit(d, "ladder_setup");
	params_i64(p, u->from.id);
	params_text(p, name);
	params_text(p, trimmed(d->arena, typed(u, "country")));
	params_text(p, trimmed(d->arena, typed(u, "region")));
	answer_about(d, u, TEXT_SET_UP, name);
}

/* ---- /setcountry */

static const struct form_field country_fields[] = {
    {.name = "country", .label = "Your country", .required = true, .max = PLACE_MAX, .table = "countries"}};

static void decide_country(const struct update *u, const struct facts *f, struct decision *d)
{
	const char *country = trimmed(d->arena, typed(u, "country"));
	struct params *p;

	if (!may_play(u, f, d))
		return;
	if (f->conflict) {
		answer(d, u, TEXT_NO_SUCH_COUNTRY);
		return;
	}
	p = decision_commit(d, "ladder_country");
	params_i64(p, u->from.id);
	params_text(p, country);
	answer_about(d, u, TEXT_COUNTRY, country);
}

/* ---- the table */

static const struct command commands[] = {
    {.name = "help",
     .kinds = UPDATE_SLASH,
     .word = "help",
     .about = "What the ladder can do",
     .first = FIRST_PRIVATE,
     .decide = decide_help},
    {.name = "termsofservice",
     .kinds = UPDATE_SLASH,
     .word = "termsofservice",
     .about = "Read and accept the terms of service",
     .first = FIRST_PRIVATE,
     .needs = NEED_PLAYER,
     .decide = decide_terms},
    {.name = "accept", .kinds = UPDATE_PRESS, .word = ACCEPT, .needs = NEED_PLAYER, .decide = decide_accept},
    {.name = "setup",
     .kinds = UPDATE_SLASH,
     .word = "setup",
     .about = "Tell your name, country and region",
     .first = FIRST_FORM,
     .form = &setup_form},
    {.name = "setup_done",
     .kinds = UPDATE_FORM,
     .word = SETUP,
     .first = FIRST_PRIVATE,
     .needs = NEED_PLAYER,
     .decide = decide_setup},
    {.name = "setcountry",
     .kinds = UPDATE_SLASH,
     .word = "setcountry",
     .about = "Change your country",
     .nfields = sizeof(country_fields) / sizeof(country_fields[0]),
     .fields = country_fields,
     .first = FIRST_PRIVATE,
     .needs = NEED_PLAYER,
     .decide = decide_country},
};

const struct bot bot_ladder = {
    .name = "ladder",
    .platform = PLATFORM_DISCORD,
    .ncommands = sizeof(commands) / sizeof(commands[0]),
    .commands = commands,
};
