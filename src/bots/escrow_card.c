/* A trade as its two people see it. */
#include <string.h>

#include "shoal/base/clock.h"
#include "shoal/bots/escrow_parts.h"

bool trade_is(const struct fact_trade *trade, const char *status)
{
	return strcmp(trade->status, status) == 0;
}

static enum escrow_text status_text(const char *status)
{
	static const struct {
		const char *status;
		enum escrow_text text;
	} texts[] = {{"pending", ESCROW_PENDING},   {"active", ESCROW_ACTIVE},     {"disputed", ESCROW_DISPUTED},
	             {"released", ESCROW_RELEASED}, {"refunded", ESCROW_REFUNDED}, {"cancelled", ESCROW_CANCELLED},
	             {"expired", ESCROW_EXPIRED}};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (strcmp(texts[i].status, status) == 0)
			return texts[i].text;
	}
	BUG("no text for a trade that is %s", status);
}

/* --- the text: lines that are added one below the other */

static void add_line(const struct talk *t, const char **html, const char *line)
{
	*html = arena_printf(talk_arena(t), "%s\n%s", *html, line);
}

static const char *who(const struct talk *t, const struct fact_party *party, bool me)
{
	return me ? say(t, ESCROW_CARD_YOU) : name_html(t, t->lang, party->first_name);
}

/* "2026-01-31 12:00 UTC" */
static const char *minute(const struct talk *t, int64_t wall_ms)
{
	char time[32];

	clock_rfc3339(wall_ms, time, sizeof(time));
	return arena_printf(talk_arena(t), "%.10s %.5s UTC", time, time + 11);
}

static const char *invitation_link(const struct talk *t, const struct fact_trade *trade)
{
	return arena_printf(talk_arena(t), "https://t.me/%s?start=inv_%s", t->f->bot_username, trade->invitation_token);
}

static const char *invitation_line(const struct talk *t, const struct fact_trade *trade)
{
	struct arena *a = talk_arena(t);

	if (t->f->bot_username)
		return FILL(a, say(t, ESCROW_CARD_LINK), WORDS("link", invitation_link(t, trade)));
	return FILL(a, say(t, ESCROW_CARD_CODE),
	            WORDS("code", arena_printf(a, "/start inv_%s", trade->invitation_token)));
}

static bool is_to_be_opened(const struct fact_trade *trade)
{
	return trade_is(trade, "pending") && trade->invitation_token && !trade->invited;
}

static const char *card_html(const struct talk *t, const struct fact_trade *trade, enum role role)
{
	struct arena *a = talk_arena(t);
	const char *html = FILL(a, say(t, ESCROW_CARD), WORDS("id", trade->public_id),
	                        WORDS("status", say(t, status_text(trade->status))));

	add_line(t, &html,
	         FILL(a, say(t, ESCROW_CARD_AMOUNT),
	              WORDS("amount", money(t, trade->amount, trade->scale, trade->currency))));
	add_line(t, &html,
	         FILL(a, say(t, ESCROW_CARD_BUYER), MARKUP("name", who(t, &trade->buyer, role == ROLE_BUYER))));
	if (trade->seller.known)
		add_line(
		    t, &html,
		    FILL(a, say(t, ESCROW_CARD_SELLER), MARKUP("name", who(t, &trade->seller, role != ROLE_BUYER))));
	if (trade_is(trade, "pending") && trade->expires_ms)
		add_line(t, &html, FILL(a, say(t, ESCROW_CARD_UNTIL), WORDS("time", minute(t, trade->expires_ms))));
	if (!text_blank(trade->terms))
		add_line(t, &html,
		         FILL(a, say(t, ESCROW_CARD_TERMS), WORDS("terms", text_tame(a, trade->terms, true))));
	if (role == ROLE_BUYER && is_to_be_opened(trade))
		add_line(t, &html, invitation_line(t, trade));
	return html;
}

/* --- the buttons */

static void deed_button(const struct talk *t, struct reply *r, enum escrow_text label, const char *verb,
                        const struct fact_trade *trade)
{
	const char *amount = money(t, trade->amount, trade->scale, trade->currency);

	reply_button(t->d, r, FILL(talk_arena(t), say(t, label), WORDS("amount", amount)), t->f->mark, verb,
	             trade->public_id, NULL);
}

/* Telegram's own dialogue by which one chooses a chat to send a link to. */
static void pass_on_button(const struct talk *t, struct reply *r, const struct fact_trade *trade)
{
	if (!is_to_be_opened(trade) || !t->f->bot_username)
		return;
	reply_link(t->d, r, say(t, ESCROW_B_PASS_ON),
	           arena_printf(talk_arena(t),
	                        "https://t.me/share/url?url=https%%3A%%2F%%2Ft.me%%2F%s%%3Fstart%%3Dinv_%s",
	                        t->f->bot_username, trade->invitation_token));
	reply_row(t->d, r);
}

static void card_buttons(const struct talk *t, struct reply *r, const struct fact_trade *trade, enum role role)
{
	bool pending = trade_is(trade, "pending"), active = trade_is(trade, "active");

	reply_row(t->d, r);
	if (pending && role == ROLE_BUYER) {
		pass_on_button(t, r, trade);
		deed_button(t, r, ESCROW_B_CANCEL_TRADE, "drop", trade);
		reply_row(t->d, r);
	} else if (pending && role == ROLE_INVITED) {
		deed_button(t, r, ESCROW_B_ACCEPT, "accept", trade);
		deed_button(t, r, ESCROW_B_DECLINE, "decline", trade);
		reply_row(t->d, r);
	} else if (active && role != ROLE_NONE) {
		if (role == ROLE_BUYER)
			deed_button(t, r, ESCROW_B_RELEASE, "release", trade);
		else
			deed_button(t, r, ESCROW_B_REFUND, "refund", trade);
		reply_row(t->d, r);
		deed_button(t, r, ESCROW_B_DISPUTE, "dispute", trade);
		reply_row(t->d, r);
	}
	button(t, r, ESCROW_B_TRADES, "trades", NULL);
	button(t, r, ESCROW_B_MENU, "menu", NULL);
}

void card_screen(const struct talk *t, const char *note, const struct fact_trade *trade, enum role role)
{
	card_buttons(t, screen(t, note, card_html(t, trade, role)), trade, role);
}

/* Who opened an invitation is named in the note. */
static const char *note_html(const struct talk *t, enum escrow_text note, const struct fact_trade *trade)
{
	return FILL(talk_arena(t), say(t, note),
	            WORDS("amount", money(t, trade->amount, trade->scale, trade->currency)),
	            MARKUP("name", name_html(t, t->lang, trade->seller.first_name)));
}

void card_notice(const struct talk *t, enum escrow_text note, const struct fact_trade *trade, enum role role)
{
	const struct fact_party *party = role == ROLE_BUYER ? &trade->buyer : &trade->seller;
	struct talk theirs = *t;
	const char *html;

	if (role == ROLE_NONE || !party->known || party->telegram_id == 0 || party->blocked)
		return;
	theirs.lang = escrow_lang_of(party->language_code);
	html =
	    arena_printf(talk_arena(t), "%s\n\n%s", note_html(&theirs, note, trade), card_html(&theirs, trade, role));
	card_buttons(&theirs, decision_send(t->d, party->telegram_id, html), trade, role);
}
