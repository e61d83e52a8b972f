/* Who a player is: the terms they accepted, the name, country and region that they told. */
#include <string.h>

#include "shoal/base/arena.h"
#include "shoal/bots/ladder_parts.h"

enum text {
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

/* HTML. */
static const char *const texts[] = {
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

struct reply *ladder_answer_about(struct decision *d, const struct update *u, const char *html, const char *about)
{
	return decision_answer(d, u->token, arena_printf(d->arena, html, text_escape(d->arena, about)));
}

bool ladder_may_play(const struct update *u, const struct facts *f, struct decision *d)
{
	if (f->player.tos_ms && f->player.setup_ms)
		return true;
	answer(d, u, f->player.tos_ms ? TEXT_SETUP_FIRST : TEXT_TERMS_FIRST);
	return false;
}

const char *ladder_quote(struct arena *a, const char *text, size_t units)
{
	const char *tame = text_fit(a, text_tame(a, text, false), units);

	return arena_printf(a, "<code>%s</code>", text_escape(a, text_blank(tame) ? "?" : tame));
}

const char *ladder_typed(struct arena *a, const struct update *u, const char *name)
{
	const struct option *o = update_option(u, name);
	const char *s = o ? o->value : "";
	size_t n;

	s += strspn(s, " \t\r\n");
	n = strlen(s);
	while (n > 0 && strchr(" \t\r\n", s[n - 1]))
		n--;
	return arena_strndup(a, s, n);
}

/* The person goes on as soon as they are answered: the next command has to know what this one changed. */
static void forget_player(const struct update *u, struct decision *d)
{
	decision_invalidate(d, "player", ladder_number(d->arena, u->from.id));
}

/* ---- /termsofservice */

void ladder_terms(const struct update *u, const struct facts *f, struct decision *d)
{
	struct reply *r = answer(d, u, TEXT_TERMS);

	if (f->player.tos_ms)
		return;
	reply_button(d, r, texts[TEXT_ACCEPT], f->mark, LADDER_ACCEPT, NULL);
	reply_style(d, r, BUTTON_GOOD, false);
}

void ladder_accept(const struct update *u, const struct facts *f, struct decision *d)
{
	if (f->player.tos_ms || f->conflict) { /* the cache did not know yet */
		answer(d, u, TEXT_ACCEPTED_BEFORE);
		return;
	}
	params_i64(decision_commit(d, "ladder_accept"), u->from.id);
	forget_player(u, d);
	answer(d, u, TEXT_ACCEPTED);
}

/* ---- /setup */

void ladder_setup(const struct update *u, const struct facts *f, struct decision *d)
{
	const char *name = ladder_typed(d->arena, u, "name");
	size_t units = utf8_utf16_len(span_of(name));
	struct params *p;

	if (!f->player.tos_ms) {
		answer(d, u, TEXT_TERMS_FIRST);
		return;
	}
	if (text_blank(name) || units < LADDER_NAME_MIN || units > LADDER_NAME_MAX) {
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
	params_text(p, ladder_typed(d->arena, u, "country"));
	params_text(p, ladder_typed(d->arena, u, "region"));
	forget_player(u, d);
	ladder_answer_about(d, u, texts[TEXT_SET_UP], name);
}

/* ---- /setcountry */

void ladder_country(const struct update *u, const struct facts *f, struct decision *d)
{
	const char *country = ladder_typed(d->arena, u, "country");
	struct params *p;

	if (!ladder_may_play(u, f, d))
		return;
	if (f->conflict) {
		answer(d, u, TEXT_NO_SUCH_COUNTRY);
		return;
	}
	p = decision_commit(d, "ladder_country");
	params_i64(p, u->from.id);
	params_text(p, country);
	forget_player(u, d);
	ladder_answer_about(d, u, texts[TEXT_COUNTRY], text_fit(d->arena, country, LADDER_PLACE_MAX));
}
