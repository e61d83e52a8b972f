/* Between the files of the escrow bot: its screens, its dialogue, its trades. Texts and facts come in, never ids. */
#ifndef SHOAL_BOTS_ESCROW_PARTS_H
#define SHOAL_BOTS_ESCROW_PARTS_H

#include "shoal/bots/escrow_texts.h"
#include "shoal/model/amount.h"
#include "shoal/model/bot.h"
#include "shoal/model/fill.h"

#define ESCROW "escrow"

/* What a decision is made with. */
struct talk {
	const struct update *u;
	const struct facts *f;
	struct decision *d;
	enum escrow_lang lang; /* of the person whose update it is */
};

struct talk talk_of(const struct update *u, const struct facts *f, struct decision *d);
const char *say(const struct talk *t, enum escrow_text text);
/* The commit of something that a person did. */
struct params *talk_commit(const struct talk *t, const char *statement);
/* Where nothing else is written: somebody who writes to us has not blocked us. */
void talk_seen(const struct talk *t);
/* The arena of the decision. */
struct arena *talk_arena(const struct talk *t);

/* A person may act here: known, not suspended. Else they got an answer, and that was all. */
bool talk_admits(const struct talk *t);

/* --- screens: a press turns its message into the next screen, anything else is answered by a new message */

struct reply *screen(const struct talk *t, const char *note, const char *html); /* note: above it; NULL: none */
void button(const struct talk *t, struct reply *r, enum escrow_text label, const char *verb, const char *arg);
void screen_menu(const struct talk *t, const char *note);
void screen_wallet(const struct talk *t);
void screen_help(const struct talk *t);
void screen_trades(const struct talk *t);
/* Onboarding, as a message of its own before what follows. */
void screen_welcome(const struct talk *t);

/* "12.50 USDT", of at most AMOUNT_MAX units */
const char *money(const struct talk *t, int64_t amount, int64_t scale, const char *currency);
/* Words of others as HTML that cannot be taken for ours, and in which no client makes links. */
const char *name_html(const struct talk *t, enum escrow_lang lang, const char *first_name);

/* --- the dialogue about a new trade */

void dialogue_begin(const struct talk *t);
void dialogue_text(const struct talk *t);   /* a text, a command's word excepted, or media */
void dialogue_choose(const struct talk *t); /* a currency's button */
void dialogue_confirm(const struct talk *t);
void dialogue_end(const struct talk *t);                     /* where one is under way; to the menu */
void dialogue_again(const struct talk *t, const char *note); /* what is asked, once more; there is a draft */
/* A command for something else leaves the question that is open behind: the dialogue is over, as the note says then
 * (NULL: none else). */
bool dialogue_is_left(const struct talk *t);
void dialogue_forget(const struct talk *t);
const char *dialogue_left(const struct talk *t, const char *note);

/* --- trades */

enum role { ROLE_NONE, ROLE_BUYER = 1 << 0, ROLE_SELLER = 1 << 1, ROLE_INVITED = 1 << 2 };
enum role role_of(const struct fact_trade *trade, int64_t telegram_id);
bool trade_is(const struct fact_trade *trade, const char *status);
/* The trade as one of its two sees it, with the buttons of what they can do. */
void card_screen(const struct talk *t, const char *note, const struct fact_trade *trade, enum role role);
/* The same as a message to the other one, in their language; nothing where they cannot be told. */
void card_notice(const struct talk *t, enum escrow_text note, const struct fact_trade *trade, enum role role);

void invitation_open(const struct talk *t); /* /start inv_TOKEN */
/* The token in "inv_TOKEN"; NULL: it is none. */
const char *invitation_token(const char *payload);
void trade_show(const struct talk *t);
void trade_deed(const struct talk *t); /* accept, decline, drop, release, refund, dispute */
void trade_due(const struct talk *t);  /* UPDATE_DUE */

#endif
