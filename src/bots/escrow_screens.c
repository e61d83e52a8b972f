/* The escrow bot's screens without a trade, and what all screens are made of. */
#include <string.h>

#include "shoal/bots/common.h"
#include "shoal/bots/escrow_parts.h"

enum { NAME_UNITS = 64, PAGE = 6 };

struct talk talk_of(const struct update *u, const struct facts *f, struct decision *d)
{
	return (struct talk){.u = u, .f = f, .d = d, .lang = escrow_lang_of(u->from.language_code)};
}

const char *say(const struct talk *t, enum escrow_text text)
{
	return escrow_text(t->lang, text);
}

struct params *talk_commit(const struct talk *t, const char *statement)
{
	return common_commit(ESCROW, t->u, t->d, statement);
}

struct arena *talk_arena(const struct talk *t)
{
	return t->d->arena;
}

const char *money(const struct talk *t, int64_t amount, int64_t scale, const char *currency)
{
	struct arena *a = talk_arena(t);

	return arena_printf(a, "%s %s", amount_format(a, amount, scale), currency);
}

const char *name_html(const struct talk *t, enum escrow_lang lang, const char *first_name)
{
	struct arena *a = talk_arena(t);
	const char *name = first_name ? text_tame(a, first_name, false) : NULL;

	if (text_blank(name))
		return escrow_text(lang, ESCROW_SOMEBODY);
	return arena_printf(a, "<code>%s</code>", text_escape(a, text_fit(a, name, NAME_UNITS)));
}

void talk_seen(const struct talk *t)
{
	if (t->d->commit)
		return;
	if (dialogue_is_left(t))
		dialogue_forget(t);
	else
		common_note_unblocked(ESCROW, t->u, t->f, t->d);
}

/* --- what all are made of */

struct reply *screen(const struct talk *t, const char *note, const char *html)
{
	if (note)
		html = arena_printf(talk_arena(t), "%s\n\n%s", note, html);
	if (t->u->kind == UPDATE_PRESS && t->u->message_id)
		return decision_edit(t->d, t->u->chat_id, t->u->message_id, html);
	return decision_send(t->d, t->u->chat_id, html);
}

void button(const struct talk *t, struct reply *r, enum escrow_text label, const char *verb, const char *arg)
{
	reply_button(t->d, r, say(t, label), t->f->mark, verb, arg, NULL);
}

void screen_welcome(const struct talk *t)
{
	const char *name = t->u->from.first_name;

	if (text_blank(name))
		decision_send(t->d, t->u->chat_id, say(t, ESCROW_WELCOME));
	else
		decision_send(
		    t->d, t->u->chat_id,
		    FILL(talk_arena(t), say(t, ESCROW_WELCOME_NAMED), MARKUP("name", name_html(t, t->lang, name))));
}

bool talk_admits(const struct talk *t)
{
	if (t->f->user.suspended) {
		decision_send(t->d, t->u->chat_id, say(t, ESCROW_SUSPENDED));
		return false;
	}
	if (t->f->user.known)
		return true;
	talk_commit(t, "escrow_hello");
	screen_welcome(t);
	screen_menu(t, NULL);
	return false;
}

/* --- the screens */

void screen_menu(const struct talk *t, const char *note)
{
	struct reply *r = screen(t, note, say(t, ESCROW_MENU));

	button(t, r, ESCROW_B_WALLET, "wallet", NULL);
	button(t, r, ESCROW_B_NEW, "new", NULL);
	reply_row(t->d, r);
	button(t, r, ESCROW_B_TRADES, "trades", NULL);
	button(t, r, ESCROW_B_HELP, "help", NULL);
}

static const char *wallet_line(const struct talk *t, const struct fact_wallet *w)
{
	struct arena *a = talk_arena(t);
	const char *line =
	    FILL(a, say(t, ESCROW_WALLET_LINE), WORDS("available", amount_format(a, w->available, w->scale)),
	         WORDS("held", amount_format(a, w->held, w->scale)));

	return arena_printf(a, "<b>%s</b>: %s", text_escape(a, w->currency), line);
}

void screen_wallet(const struct talk *t)
{
	const struct fact_wallets *w = &t->f->wallets;
	struct arena *a = talk_arena(t);
	const char *lines = "";
	struct reply *r;

	for (size_t i = 0; i < w->n; i++)
		lines = arena_printf(a, i ? "%s\n%s" : "%s%s", lines, wallet_line(t, &w->v[i]));
	talk_seen(t);
	r = screen(t, dialogue_left(t, NULL), FILL(a, say(t, ESCROW_WALLET), MARKUP("lines", lines)));
	button(t, r, ESCROW_B_NEW, "new", NULL);
	button(t, r, ESCROW_B_MENU, "menu", NULL);
}

void screen_help(const struct talk *t)
{
	talk_seen(t);
	button(t, screen(t, dialogue_left(t, NULL), say(t, ESCROW_HELP)), ESCROW_B_MENU, "menu", NULL);
}

/* --- the list of trades, in pages: the one row more than a page holds says that it goes on */

static const char *status_icon(const char *status)
{
	static const struct {
		const char *status, *icon;
	} icons[] = {{"pending", "⏳"},       {"active", "🔒"},         {"disputed", "⚖️"}, {"released", "✅"},
	             {"refunded", "↩️"}, {"cancelled", "✖️"}, {"expired", "⌛"}};

	for (size_t i = 0; i < sizeof(icons) / sizeof(icons[0]); i++) {
		if (strcmp(icons[i].status, status) == 0)
			return icons[i].icon;
	}
	return "·";
}

static void listed_button(const struct talk *t, struct reply *r, const struct fact_listed *l)
{
	const char *label = FILL(
	    talk_arena(t), say(t, l->mine ? ESCROW_B_BUYING : ESCROW_B_SELLING), WORDS("icon", status_icon(l->status)),
	    WORDS("amount", money(t, l->amount, l->scale, l->currency)), WORDS("id", l->public_id));

	reply_row(t->d, r);
	reply_button(t->d, r, label, t->f->mark, "trade", l->public_id, NULL);
}

static void page_button(const struct talk *t, struct reply *r, enum escrow_text label, const char *to, int64_t id)
{
	reply_button(t->d, r, say(t, label), t->f->mark, "trades", to, arena_i64(t->d->arena, id), NULL);
}

void screen_trades(const struct talk *t)
{
	const struct fact_listing *l = &t->f->listing;
	bool paged = t->u->kind == UPDATE_PRESS && t->u->nargs == 2, back = paged && strcmp(t->u->args[0], "n") == 0;
	size_t n = l->n > PAGE ? PAGE : l->n, first = back && l->n > PAGE ? l->n - PAGE : 0;
	struct reply *r;

	talk_seen(t);
	r = screen(t, dialogue_left(t, NULL), say(t, n ? ESCROW_TRADES : ESCROW_NO_TRADES));
	for (size_t i = first; i < first + n; i++)
		listed_button(t, r, &l->v[i]);
	reply_row(t->d, r);
	if (n && (back ? l->n > PAGE : paged))
		page_button(t, r, ESCROW_B_NEWER, "n", l->v[first].id);
	if (n && (back || l->n > PAGE))
		page_button(t, r, ESCROW_B_OLDER, "o", l->v[first + n - 1].id);
	button(t, r, ESCROW_B_MENU, "menu", NULL);
}
