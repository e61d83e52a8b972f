/* What happens to a trade after it was made: its invitation is opened, one of the two does something, its time is over.
 */
#include <string.h>

#include "shoal/bots/escrow.h"
#include "shoal/bots/escrow_parts.h"

/* Everything that one of the two can do, and what then is said. The statement makes sure of it once more. */
static const struct deed {
	const char *word;
	unsigned roles; /* who may */
	const char *from, *to;
	const char *statement;
	enum escrow_text did, told;
	bool names_invited; /* nobody may have opened the invitation meanwhile: they would not be told */
} deeds[] = {
    {"accept", ROLE_INVITED, "pending", "active", "escrow_accept", ESCROW_DID_ACCEPT, ESCROW_TOLD_ACCEPT, false},
    {"decline", ROLE_INVITED, "pending", "cancelled", "escrow_decline", ESCROW_DID_DECLINE, ESCROW_TOLD_DECLINE, false},
    {"drop", ROLE_BUYER, "pending", "cancelled", "escrow_cancel", ESCROW_DID_CANCEL, ESCROW_TOLD_CANCEL, true},
    {"release", ROLE_BUYER, "active", "released", "escrow_release", ESCROW_DID_RELEASE, ESCROW_TOLD_RELEASE, false},
    {"refund", ROLE_SELLER, "active", "refunded", "escrow_refund", ESCROW_DID_REFUND, ESCROW_TOLD_REFUND, false},
    {"dispute", ROLE_BUYER | ROLE_SELLER, "active", "disputed", "escrow_dispute", ESCROW_DID_DISPUTE,
     ESCROW_TOLD_DISPUTE, false},
};

/* Who is invited to a trade is not its seller yet, and never was where it ended before. */
static bool was_accepted(const struct fact_trade *trade)
{
	return !trade_is(trade, "pending") && !trade_is(trade, "cancelled") && !trade_is(trade, "expired");
}

enum role role_of(const struct fact_trade *trade, int64_t telegram_id)
{
	if (!trade->found || telegram_id == 0)
		return ROLE_NONE;
	if (trade->buyer.telegram_id == telegram_id)
		return ROLE_BUYER;
	if (!was_accepted(trade))
		return trade->invited == telegram_id ? ROLE_INVITED : ROLE_NONE;
	return trade->seller.telegram_id == telegram_id ? ROLE_SELLER : ROLE_NONE;
}

static const char *with_amount(const struct talk *t, enum escrow_text text, const struct fact_trade *trade)
{
	return FILL(talk_arena(t), say(t, text),
	            WORDS("amount", money(t, trade->amount, trade->scale, trade->currency)));
}

static bool is_late(const struct talk *t, const struct fact_trade *trade)
{
	return trade_is(trade, "pending") && trade->expires_ms && trade->expires_ms <= t->f->now_ms;
}

static struct fact_trade expire(const struct talk *t, const struct fact_trade *trade)
{
	struct fact_trade after = *trade;

	params_i64(decision_commit(t->d, "escrow_expire"), trade->id);
	after.status = "expired";
	return after;
}

/* --- invitations */

const char *invitation_token(const char *payload)
{
	return strncmp(payload, "inv_", 4) == 0 && payload[4] ? payload + 4 : NULL;
}

static void open_it(const struct talk *t)
{
	struct fact_trade after = t->f->trade;

	params_i64(talk_commit(t, "escrow_open"), t->f->trade.invitation_id);
	if (!t->f->user.known)
		screen_welcome(t);
	after.invited = t->u->from.id;
	after.seller =
	    (struct fact_party){.known = true, .telegram_id = t->u->from.id, .first_name = t->u->from.first_name};
	card_screen(t, dialogue_left(t, say(t, ESCROW_DID_OPEN)), &after, ROLE_INVITED);
	card_notice(t, ESCROW_TOLD_OPEN, &after, ROLE_BUYER);
}

/* A link that opens nothing. */
static void refuse_link(const struct talk *t, enum escrow_text why)
{
	if (!t->f->user.known) {
		talk_commit(t, "escrow_hello");
		screen_welcome(t);
	} else {
		talk_seen(t);
	}
	screen_menu(t, dialogue_left(t, say(t, why)));
}

void invitation_open(const struct talk *t)
{
	const struct fact_trade *trade = &t->f->trade;
	enum role role = role_of(trade, t->u->from.id);

	if (t->f->user.suspended) {
		talk_admits(t);
	} else if (!trade->found) {
		refuse_link(t, ESCROW_UNKNOWN_LINK);
	} else if (role != ROLE_NONE) {
		bool own = role == ROLE_BUYER && trade_is(trade, "pending");

		talk_seen(t);
		card_screen(t, dialogue_left(t, own ? say(t, ESCROW_OWN_INVITATION) : NULL), trade, role);
	} else if (!trade_is(trade, "pending") || (!trade->invited && is_late(t, trade))) {
		refuse_link(t, ESCROW_OVER);
	} else if (trade->invited) {
		refuse_link(t, ESCROW_TAKEN);
	} else {
		open_it(t);
	}
}

/* --- what the two do */

void trade_show(const struct talk *t)
{
	const struct fact_trade *trade = &t->f->trade;
	enum role role = role_of(trade, t->u->from.id);

	talk_seen(t);
	if (role == ROLE_NONE)
		screen_menu(t, say(t, ESCROW_NOT_YOURS));
	else
		card_screen(t, NULL, trade, role);
}

static const struct deed *deed_of(const char *word)
{
	for (size_t i = 0; i < sizeof(deeds) / sizeof(deeds[0]); i++) {
		if (strcmp(deeds[i].word, word) == 0)
			return &deeds[i];
	}
	BUG("no deed is called %s", word);
}

static void accept_late(const struct talk *t, const struct fact_trade *trade)
{
	struct fact_trade after = expire(t, trade);

	card_screen(t, say(t, ESCROW_TOO_LATE), &after, ROLE_INVITED);
	card_notice(t, ESCROW_TOLD_EXPIRE_BUYER, &after, ROLE_BUYER);
}

static void do_deed(const struct talk *t, const struct deed *deed, const struct fact_trade *trade, enum role role)
{
	struct fact_trade after = *trade;

	struct params *p = talk_commit(t, deed->statement);

	params_i64(p, trade->id);
	if (deed->names_invited)
		params_id(p, trade->invited);
	after.status = deed->to;
	card_screen(t, with_amount(t, deed->did, trade), &after, role_of(&after, t->u->from.id));
	if (role == ROLE_BUYER)
		card_notice(t, deed->told, &after, role_of(&after, trade->seller.telegram_id));
	else
		card_notice(t, deed->told, &after, ROLE_BUYER);
}

void trade_deed(const struct talk *t)
{
	const struct fact_trade *trade = &t->f->trade;
	const struct deed *deed = deed_of(t->u->word);
	enum role role = role_of(trade, t->u->from.id);

	if (role == ROLE_NONE) {
		talk_seen(t);
		screen_menu(t, say(t, ESCROW_NOT_YOURS));
	} else if (!trade_is(trade, deed->from)) {
		talk_seen(t);
		card_screen(t, say(t, ESCROW_ALREADY), trade, role);
	} else if (!(deed->roles & role)) {
		talk_seen(t);
		card_screen(t, say(t, ESCROW_NOT_BY_YOU), trade, role);
	} else if (strcmp(deed->word, "accept") == 0 && is_late(t, trade)) {
		accept_late(t, trade);
	} else if (t->f->conflict && strcmp(t->f->conflict, "full") == 0) {
		talk_seen(t);
		card_screen(t, say(t, ESCROW_FULL), trade, role);
	} else {
		do_deed(t, deed, trade, role);
	}
}

/* --- what comes due. A conflict says that it is not: it was done or told a moment before. */

static void expire_now(const struct talk *t, const struct fact_trade *trade)
{
	struct fact_trade after = expire(t, trade);

	card_notice(t, ESCROW_TOLD_EXPIRE_BUYER, &after, ROLE_BUYER);
	card_notice(t, ESCROW_TOLD_EXPIRE_SELLER, &after, ROLE_INVITED);
}

static void tell_resolved(const struct talk *t, const struct fact_trade *trade, enum role role)
{
	struct params *p = decision_commit(t->d, "escrow_told");

	params_i64(p, trade->id);
	params_i64(p, t->u->chat_id);
	card_notice(t, ESCROW_TOLD_RESOLVED, trade, role);
}

void trade_due(const struct talk *t)
{
	const struct fact_trade *trade = &t->f->trade;
	enum role role = role_of(trade, t->u->chat_id);

	if (strcmp(t->u->word, ESCROW_DUE_EXPIRE) == 0 && trade->found && is_late(t, trade) && !t->f->conflict)
		expire_now(t, trade);
	else if (strcmp(t->u->word, ESCROW_DUE_RESOLVED) == 0 && (role == ROLE_BUYER || role == ROLE_SELLER) &&
	         (trade_is(trade, "released") || trade_is(trade, "refunded")) && !t->f->conflict)
		tell_resolved(t, trade, role);
	else
		decision_ignore(t->d);
}
