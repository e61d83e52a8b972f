/* How a new trade comes about: amount, currency and terms are asked, a review is shown, Confirm holds the money. What
 * was said so far is in the conversation; what is asked next follows from what is missing. */
#include <string.h>
#include <strings.h>

#include "shoal/bots/escrow_parts.h"

enum { AMOUNT_BYTES = 40, TERMS_CHARS = 1000, PUBLIC_ID = 10, TOKEN = 22, LIFE_MS = 24 * 3600 * 1000 };

#define BLANKS " \t\r\n"

static bool at_step(const struct talk *t, const char *step)
{
	return t->f->draft.step && strcmp(t->f->draft.step, step) == 0;
}

static const struct fact_wallet *find_wallet(const struct talk *t, const char *currency)
{
	const struct fact_wallets *w = &t->f->wallets;

	for (size_t i = 0; currency && i < w->n; i++) {
		if (strcasecmp(w->v[i].currency, currency) == 0)
			return &w->v[i];
	}
	return NULL;
}

static const char *currencies(const struct talk *t)
{
	const struct fact_wallets *w = &t->f->wallets;
	const char *list = "";

	for (size_t i = 0; i < w->n; i++)
		list = arena_printf(talk_arena(t), i ? "%s, %s" : "%s%s", list, w->v[i].currency);
	return list;
}

/* --- asking: the commit remembers what was said and what is asked, the message asks it */

static void remember(const struct talk *t, const struct fact_draft *next)
{
	struct params *p = talk_commit(t, "escrow_ask");

	params_text(p, t->f->draft.mark);
	params_text(p, next->step);
	params_text(p, next->amount);
	params_text(p, next->currency);
	params_text(p, next->terms);
	params_text(p, next->step ? t->f->mark : NULL);
}

static void ask_amount(const struct talk *t, const char *note)
{
	remember(t, &(struct fact_draft){.step = "amount"});
	button(t, screen(t, note, say(t, ESCROW_ASK_AMOUNT)), ESCROW_B_CANCEL, "stop", NULL);
}

static void ask_currency(const struct talk *t, const char *note, const char *amount)
{
	const struct fact_wallets *w = &t->f->wallets;
	struct reply *r;

	remember(t, &(struct fact_draft){.step = "currency", .amount = amount});
	r = screen(t, note, FILL(talk_arena(t), say(t, ESCROW_ASK_CURRENCY), WORDS("amount", amount)));
	for (size_t i = 0; i < w->n; i++) {
		if (i % 2 == 0)
			reply_row(t->d, r);
		reply_button(t->d, r, w->v[i].currency, t->f->mark, "cur", w->v[i].currency, NULL);
	}
	reply_row(t->d, r);
	button(t, r, ESCROW_B_CANCEL, "stop", NULL);
}

static void ask_terms(const struct talk *t, const char *note, const char *amount, const struct fact_wallet *w,
                      int64_t units)
{
	const struct fact_draft next = {.step = "terms", .amount = amount, .currency = w->currency};
	const char *html =
	    FILL(talk_arena(t), say(t, ESCROW_ASK_TERMS), WORDS("amount", money(t, units, w->scale, w->currency)));

	remember(t, &next);
	button(t, screen(t, note, html), ESCROW_B_CANCEL, "stop", NULL);
}

static void ask_review(const struct talk *t, const char *note, const char *amount, const struct fact_wallet *w,
                       int64_t units, const char *terms)
{
	struct arena *a = talk_arena(t);
	const struct fact_draft next = {.step = "review", .amount = amount, .currency = w->currency, .terms = terms};
	struct reply *r;

	remember(t, &next);
	r = screen(t, note,
	           FILL(a, say(t, ESCROW_REVIEW), WORDS("amount", money(t, units, w->scale, w->currency)),
	                WORDS("terms", text_tame(a, terms, true))));
	button(t, r, ESCROW_B_CONFIRM, "confirm", NULL);
	button(t, r, ESCROW_B_CANCEL, "stop", NULL);
}

/* --- checking an amount */

/* What an amount's fault is to a person, in this currency; NULL: it has none. */
static const char *fault_text(const struct talk *t, enum amount_fault fault, const struct fact_wallet *w)
{
	struct arena *a = talk_arena(t);

	switch (fault) {
	case AMOUNT_GOOD: return NULL;
	case AMOUNT_UNREADABLE: return say(t, ESCROW_AMOUNT_UNREADABLE);
	case AMOUNT_ZERO: return say(t, ESCROW_AMOUNT_ZERO);
	case AMOUNT_TOO_FINE:
		return FILL(a, say(t, ESCROW_AMOUNT_TOO_FINE), WORDS("currency", w->currency),
		            WORDS("digits", arena_i64(a, w->scale)));
	case AMOUNT_TOO_LARGE:
		return FILL(a, say(t, ESCROW_AMOUNT_TOO_LARGE),
		            WORDS("most", money(t, AMOUNT_MAX, w->scale, w->currency)));
	}
	BUG("amount fault %d", (int)fault);
}

/* What is wrong with the amount in this currency, for the person who may pay it; NULL: nothing. */
static const char *amount_trouble(const struct talk *t, const char *amount, const struct fact_wallet *w, int64_t *units)
{
	const char *fault = fault_text(t, amount_parse(amount, w->scale, units), w);

	if (fault || w->available >= *units)
		return fault;
	return FILL(talk_arena(t), say(t, ESCROW_NOT_ENOUGH),
	            WORDS("available", money(t, w->available, w->scale, w->currency)),
	            WORDS("amount", money(t, *units, w->scale, w->currency)));
}

/* What is wrong with it in every currency, so that none need be asked for; NULL: nothing is. What is too fine for the
 * one with the most digits behind the point is so for all, and what is too large for the one with the fewest. */
static const char *amount_hopeless(const struct talk *t, const char *amount)
{
	const struct fact_wallets *all = &t->f->wallets;
	const struct fact_wallet *finest = all->v, *coarsest = all->v;
	int64_t units;

	if (all->n == 0)
		return NULL;
	for (size_t i = 1; i < all->n; i++) {
		finest = all->v[i].scale > finest->scale ? &all->v[i] : finest;
		coarsest = all->v[i].scale < coarsest->scale ? &all->v[i] : coarsest;
	}
	if (amount_parse(amount, finest->scale, &units) == AMOUNT_TOO_FINE)
		return fault_text(t, AMOUNT_TOO_FINE, finest);
	switch (amount_parse(amount, coarsest->scale, &units)) {
	case AMOUNT_ZERO: return fault_text(t, AMOUNT_ZERO, coarsest);
	case AMOUNT_TOO_LARGE: return fault_text(t, AMOUNT_TOO_LARGE, coarsest);
	default: return NULL;
	}
}

/* Asks for what is missing: a NULL argument, or an amount that is no good in this currency. */
static void go_on(const struct talk *t, const char *note, const char *amount, const char *currency, const char *terms)
{
	const struct fact_wallet *w = find_wallet(t, currency);
	const char *trouble;
	int64_t units;

	if (!amount) {
		ask_amount(t, note);
	} else if (!w) {
		ask_currency(t, note, amount);
	} else if ((trouble = amount_trouble(t, amount, w, &units))) {
		ask_amount(t, trouble);
	} else if (!terms) {
		ask_terms(t, note, amount, w, units);
	} else {
		ask_review(t, note, amount, w, units, terms);
	}
}

static void ask_again(const struct talk *t, const char *note)
{
	const struct fact_draft *draft = &t->f->draft;

	go_on(t, note, draft->amount, draft->currency, draft->terms);
}

/* --- answers */

static bool is_letter(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* Spaces that keyboards and other programs put into amounts, as those that are typed. */
static const char *with_plain_spaces(const struct talk *t)
{
	static const char *const spaces[] = {u8"\u00a0", u8"\u2007", u8"\u2009", u8"\u202f"};
	char *text = arena_strdup(talk_arena(t), t->u->text), *at;

	for (size_t i = 0; i < sizeof(spaces) / sizeof(spaces[0]); i++) {
		while ((at = strstr(text, spaces[i])))
			memset(at, ' ', strlen(spaces[i]));
	}
	return text;
}

/* "25.50", or at once "25.50 USDT". What else stands there may be meant as a part of the number: "1 000", "1,000",
 * "10k", "1e9", "5 M". *currency NULL: none stands there. */
static bool read_amount(const struct talk *t, const char **amount, const char **currency)
{
	const char *text = with_plain_spaces(t), *word;
	size_t digits, blanks, len;

	text += strspn(text, BLANKS);
	digits = strspn(text, "0123456789.");
	blanks = strspn(text + digits, BLANKS);
	word = text + digits + blanks;
	len = strcspn(word, BLANKS);
	*amount = arena_strndup(talk_arena(t), text, digits);
	*currency = len > 0 ? arena_strndup(talk_arena(t), word, len) : NULL;
	if (!amount_readable(*amount) || word[len + strspn(word + len, BLANKS)])
		return false;
	return len == 0 || find_wallet(t, *currency) || (is_letter(*word) && blanks > 0 && len > 1);
}

static void answer_amount(const struct talk *t)
{
	const char *amount, *currency, *trouble;
	const struct fact_wallet *w;
	int64_t units;

	if (!read_amount(t, &amount, &currency)) {
		ask_amount(t, say(t, ESCROW_AMOUNT_UNREADABLE));
		return;
	}
	w = find_wallet(t, currency);
	trouble = w ? amount_trouble(t, amount, w, &units) : amount_hopeless(t, amount);
	if (!trouble && strlen(amount) > AMOUNT_BYTES)
		trouble = say(t, ESCROW_AMOUNT_UNREADABLE);
	if (trouble)
		ask_amount(t, trouble);
	else if (currency && !w)
		ask_currency(t, FILL(talk_arena(t), say(t, ESCROW_NO_SUCH_CURRENCY), WORDS("list", currencies(t))),
		             amount);
	else
		go_on(t, NULL, amount, currency, NULL);
}

static void answer_currency(const struct talk *t, const char *currency)
{
	if (find_wallet(t, currency))
		go_on(t, NULL, t->f->draft.amount, currency, NULL);
	else
		ask_again(t, FILL(talk_arena(t), say(t, ESCROW_NO_SUCH_CURRENCY), WORDS("list", currencies(t))));
}

static void answer_terms(const struct talk *t)
{
	const struct fact_draft *draft = &t->f->draft;
	size_t chars = utf8_chars(span_of(t->u->text));
	struct arena *a = talk_arena(t);

	if (chars > TERMS_CHARS)
		ask_again(t, FILL(a, say(t, ESCROW_TERMS_TOO_LONG), WORDS("most", arena_printf(a, "%d", TERMS_CHARS)),
		                  WORDS("now", arena_printf(a, "%zu", chars))));
	else if (text_blank(text_tame(a, t->u->text, true)))
		ask_again(t, say(t, ESCROW_TERMS_TEXT_ONLY));
	else
		go_on(t, NULL, draft->amount, draft->currency, t->u->text);
}

void dialogue_begin(const struct talk *t)
{
	ask_amount(t, NULL);
}

/* Nothing is asked at the moment. */
static void dialogue_over(const struct talk *t, enum escrow_text note)
{
	talk_seen(t);
	screen_menu(t, say(t, note));
}

void dialogue_text(const struct talk *t)
{
	if (!t->f->draft.step) {
		dialogue_over(t, ESCROW_NOT_EXPECTED);
	} else if (t->u->kind == UPDATE_MEDIA) {
		ask_again(t, say(t, ESCROW_TERMS_TEXT_ONLY));
	} else if (at_step(t, "amount")) {
		answer_amount(t);
	} else if (at_step(t, "currency")) {
		const char *text = with_plain_spaces(t);

		text += strspn(text, BLANKS);
		answer_currency(t, arena_strndup(talk_arena(t), text, strcspn(text, BLANKS)));
	} else if (at_step(t, "terms")) {
		answer_terms(t);
	} else {
		ask_again(t, say(t, ESCROW_PLEASE_CONFIRM));
	}
}

void dialogue_choose(const struct talk *t)
{
	if (at_step(t, "currency") && t->u->nargs == 1)
		answer_currency(t, t->u->args[0]);
	else if (t->f->draft.step)
		ask_again(t, say(t, ESCROW_OLD_BUTTON));
	else
		dialogue_over(t, ESCROW_OLD_BUTTON);
}

void dialogue_forget(const struct talk *t)
{
	remember(t, &(struct fact_draft){0});
}

/* A screen in the place of another one hides nothing; below a question it does, and what is written next would be taken
 * for the answer to it. */
bool dialogue_is_left(const struct talk *t)
{
	return t->u->kind == UPDATE_COMMAND && t->f->draft.step;
}

const char *dialogue_left(const struct talk *t, const char *note)
{
	const char *left = say(t, ESCROW_LEFT_DIALOGUE);

	if (!dialogue_is_left(t))
		return note;
	return note ? arena_printf(talk_arena(t), "%s\n\n%s", left, note) : left;
}

void dialogue_again(const struct talk *t, const char *note)
{
	ask_again(t, note);
}

void dialogue_end(const struct talk *t)
{
	bool stopped = t->u->word && (strcmp(t->u->word, "stop") == 0 || strcmp(t->u->word, "cancel") == 0);
	bool open = t->f->draft.step;

	if (open)
		dialogue_forget(t);
	else
		talk_seen(t);
	screen_menu(t, stopped ? say(t, ESCROW_CANCELLED_DIALOGUE) : open ? say(t, ESCROW_LEFT_DIALOGUE) : NULL);
}

/* --- Confirm */

/* Of letters that nobody takes for each other. */
static const char *new_public_id(const struct talk *t)
{
	static const char letters[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
	char id[PUBLIC_ID + 1] = {0};

	for (int i = 0; i < PUBLIC_ID; i++)
		id[i] = letters[t->f->chance[i] & 31];
	return arena_strdup(talk_arena(t), id);
}

/* 132 bits of chance, in the letters that a start link takes. */
static const char *new_token(const struct talk *t)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	char token[TOKEN + 1] = {0};

	for (int i = 0; i < TOKEN; i++)
		token[i] = letters[t->f->chance[PUBLIC_ID + i] & 63];
	return arena_strdup(talk_arena(t), token);
}
_Static_assert(PUBLIC_ID + TOKEN <= FACTS_CHANCE, "a byte of chance for each letter");

static void hold(const struct talk *t, const struct fact_wallet *w, int64_t units)
{
	struct fact_trade trade = {.found = true,
	                           .amount = units,
	                           .scale = w->scale,
	                           .public_id = new_public_id(t),
	                           .status = "pending",
	                           .currency = w->currency,
	                           .terms = t->f->draft.terms,
	                           .expires_ms = t->f->now_ms + LIFE_MS,
	                           .buyer = {.known = true, .telegram_id = t->u->from.id},
	                           .invitation_token = new_token(t)};
	struct params *p = talk_commit(t, "escrow_hold");
	const char *amount = money(t, units, w->scale, w->currency);

	params_text(p, t->f->draft.mark);
	params_text(p, trade.public_id);
	params_text(p, trade.currency);
	params_i64(p, units);
	params_text(p, trade.terms);
	params_text(p, trade.invitation_token);
	card_screen(t, FILL(talk_arena(t), say(t, ESCROW_DID_HOLD), WORDS("amount", amount)), &trade, ROLE_BUYER);
}

void dialogue_confirm(const struct talk *t)
{
	const struct fact_draft *draft = &t->f->draft;
	const struct fact_wallet *w = find_wallet(t, draft->currency);
	int64_t units;

	if (!draft->step) {
		dialogue_over(t, ESCROW_NOTHING_TO_CONFIRM);
	} else if (!at_step(t, "review") || !t->u->mark || !draft->mark || strcmp(t->u->mark, draft->mark) != 0) {
		ask_again(t, say(t, ESCROW_OLD_BUTTON));
	} else if (!w || !draft->amount || !draft->terms || amount_trouble(t, draft->amount, w, &units)) {
		ask_again(t, NULL);
	} else {
		hold(t, w, units);
	}
}
