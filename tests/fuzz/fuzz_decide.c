/* links: bots wire model base */
/* Decisions by chance: any command of any bot, an update that triggers it, facts as they may be in the tables. A
 * decision is the same each time, fails only with a reason, and what it says can be sent. */
#include "fuzz.h"

#include <strings.h>

#include "facts_fields.h"
#include "shoal/base/embed.h"
#include "shoal/bots/registry.h"
#include "shoal/model/amount.h"
#include "shoal/wire/platform.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

enum { FACTS_BYTES = 4096 };

static const char *const texts[] = {"",
                                    "a",
                                    "12.50",
                                    "0",
                                    "-1",
                                    "1",
                                    "2",
                                    "draw",
                                    "EUR",
                                    "BTC",
                                    "terms",
                                    "waiting",
                                    "paired",
                                    "left",
                                    "over",
                                    "conflict",
                                    "open",
                                    "pending",
                                    "accepted",
                                    "funded",
                                    "cancelled",
                                    "completed",
                                    "disputed",
                                    "amount",
                                    "currency",
                                    "active",
                                    "used_up",
                                    "de",
                                    "en-US",
                                    "<b>&\"",
                                    "\xf0\x9f\x98\x80",
                                    ("\xe2\x80\xae"
                                     "x"),
                                    "a b",
                                    "#12",
                                    "mark0001",
                                    "yes",
                                    "next",
                                    "race",
                                    "region",
                                    "map",
                                    "\n",
                                    "x_",
                                    "999999999999999999999",
                                    "00000000-0000-4000-8000-000000000000",
                                    "https://t.me/x"};

/* NULL: as the facts' header allows it. */
static const char *const may_be_nothing[] = {"conflict",
                                             "user.source",
                                             "code.code",
                                             "chat.",
                                             "draft.",
                                             "trade.terms",
                                             "trade.invitation_token",
                                             "player.name",
                                             "player.country",
                                             "player.region",
                                             "match.report",
                                             "match.result",
                                             "line.state",
                                             "board.",
                                             "answer",
                                             "bot_username"};

/* As the table's CHECK has it. */
static const char *const statuses[] = {"pending", "active", "disputed", "released", "refunded", "cancelled", "expired"};

/* What a text of that name mostly is, so that facts fit each other and the update. A name without a point is a field of
 * a list. */
static const struct {
	const char *name, *words[8];
} vocabulary[] = {
    {"draft.step", {"amount", "currency", "terms", "review"}},
    {"draft.amount", {"12.50", "1", "0.001", "1000000000", "7"}},
    {"draft.mark", {"m", "n"}},
    {"mark", {"m", "n"}},
    {"draft.currency", {"EUR", "BTC", "JPY"}},
    {"trade.currency", {"EUR", "BTC", "JPY"}},
    {"currency", {"EUR", "BTC", "JPY"}},
    {"conflict", {"full", "funds", "due", "step", "moved"}},
    {"kind", {"race", "map"}},
    {"code", {"a", "b", "c", "a1"}},
    {"value", {"a", "a b", "b,c", "none", "won", "lost", "draw", "euw"}},
    {"name", {"race", "map", "veto", "result", "page", "country", "region"}},
    {"line.state", {"waiting", "paired", "left", "over"}},
    {"player.region", {"euw", "kor", "naw"}},
    {"match.report_1", {"1", "2", "draw"}},
    {"match.report_2", {"1", "2", "draw"}},
    {"match.result", {"1", "2", "draw", "conflict"}},
    {"text", {"12.50 EUR", "1 BTC", "5 eur", "0.000000001", "1e9", "yes", "10 USD", "99999999999999999"}},
    {"arg", {"EUR", "BTC", "n", "1", "-", "a", "euw"}},
};

static const char *usual(const char *name, uint8_t pick)
{
	for (size_t i = 0; i < COUNT(vocabulary); i++) {
		size_t n = 0;
		if (strcmp(vocabulary[i].name, name) != 0)
			continue;
		while (n < COUNT(vocabulary[i].words) && vocabulary[i].words[n])
			n++;
		ENSURE(n > 0);
		return vocabulary[i].words[pick % n];
	}
	return NULL;
}

static bool nothing_allowed(const char *name)
{
	for (size_t i = 0; i < COUNT(may_be_nothing); i++)
		if (strncmp(name, may_be_nothing[i], strlen(may_be_nothing[i])) == 0)
			return true;
	return false;
}

static size_t longest; /* of people's words, and of what the tables let names be */

static const char *some_text(struct food *f, const char *name, struct arena *a)
{
	uint8_t pick = food_byte(f);
	size_t len = strlen(name);

	if (len >= 6 && strcmp(name + len - 6, "status") == 0)
		return statuses[pick % COUNT(statuses)];
	if (pick < 128 && usual(name, pick))
		return usual(name, pick);
	if (pick >= 250) { /* long ones */
		char *s = arena_alloc(a, longest + 1);
		memset(s, pick == 250 ? 'x' : pick == 251 ? '<' : '\'', longest);
		s[food_byte(f) * longest / 256] = '\0';
		s[longest] = '\0';
		return s;
	}
	if (pick >= 200) {
		struct span s = food_line(f);
		s.len = s.len < longest / 3 ? s.len : longest / 3; /* what is ill-formed gets three bytes for one */
		struct buf b;
		buf_init(&b, 1 << 20);
		buf_add_utf8(&b, s); /* wire/ lets nothing else through */
		const char *text = arena_strndup(a, b.len ? b.ptr : "", b.len);
		buf_release(&b);
		return text;
	}
	return pick >= 170 && nothing_allowed(name) ? NULL : texts[pick % COUNT(texts)];
}

/* Few different ones, so that they meet. */
static bool is_person(const char *last)
{
	static const char *const names[] = {"id", "uid", "telegram_id", "chat_id", "player_1", "player_2"};

	for (size_t i = 0; i < COUNT(names); i++)
		if (strcmp(last, names[i]) == 0)
			return true;
	return false;
}

static int64_t some_number(struct food *f, const char *name)
{
	const char *last = strrchr(name, '.');
	uint8_t pick;

	last = last ? last + 1 : name;
	if (is_person(last) && (pick = food_byte(f)) < 230)
		return pick % 4;
	int64_t n = (int64_t)(food_u64(f) & INT64_MAX);
	if (strcmp(last, "scale") == 0)
		return n % 9;
	if (strcmp(last, "amount") == 0 || strcmp(last, "available") == 0 || strcmp(last, "held") == 0)
		return n % 1000000000000001;
	if (strncmp(last, "mmr", 3) == 0 || strncmp(last, "if_", 3) == 0)
		return n % 100000;
	if (strcmp(last, "page") == 0 || strcmp(last, "pages") == 0 || strcmp(last, "turns") == 0)
		return n % 1000000;
	if (strcmp(last, "now_ms") == 0 || strcmp(last, "expires_ms") == 0 || strcmp(last, "received_ms") == 0)
		return n % 4000000000000;
	return n;
}

static void fill(const struct field *fields, size_t n, char *base, struct food *f, struct arena *a)
{
	for (size_t i = 0; i < n; i++) {
		void *at = base + fields[i].offset;
		switch (fields[i].type) {
		case FLAG: *(bool *)at = food_byte(f) & 1; break;
		case NUMBER: *(int64_t *)at = some_number(f, fields[i].name); break;
		case TEXT: *(const char **)at = some_text(f, fields[i].name, a); break;
		}
	}
}

static void fill_persona(struct fact_persona *p)
{
	static const char *const replies[] = {"one", "two <3", "three"};

	p->nreplies = COUNT(replies);
	p->replies = replies;
}

static void fill_facts(struct facts *facts, struct food *f, struct arena *a)
{
	longest = 60;
	fill(facts_fields, COUNT(facts_fields), (char *)facts, f, a);
	for (size_t i = 0; i < COUNT(lists); i++) {
		size_t n = food_byte(f) % 4, size = lists[i].element;
		char *v = arena_calloc(a, n + 1, size);
		for (size_t k = 0; k < n; k++)
			fill(lists[i].fields, lists[i].nfields, v + k * size, f, a);
		*(size_t *)((char *)facts + lists[i].n) = n;
		*(void **)((char *)facts + lists[i].v) = v;
	}
	fill_persona(&facts->persona);
	fill_persona(&facts->fallback);
	fill_persona(&facts->code_persona);
	for (size_t i = 0; i < FACTS_CHANCE; i++)
		facts->chance[i] = food_byte(f);
	snprintf(facts->mark, sizeof(facts->mark), "mark%04u", food_byte(f));
}

/* One that triggers the command. */
static void fill_update(struct update *u, const struct command *c, struct food *f, struct arena *a)
{
	longest = 5000;
	fill(update_fields, COUNT(update_fields), (char *)u, f, a);
	u->key = "telegram:persona:1";
	u->kind = (enum update_kind)(c->kinds & -c->kinds);
	u->chat = c->chats ? (enum chat_kind)(c->chats & -c->chats) : CHAT_PRIVATE;
	u->word = c->word ? c->word : u->word;
	u->from.is_bot = false;
	u->token = u->token ? u->token : "token";
	u->nargs = food_byte(f) % (UPDATE_ARGS_MAX + 1);
	if (u->kind == UPDATE_DUE)
		u->nargs = 1;
	for (unsigned i = 0; i < u->nargs; i++)
		u->args[i] = some_text(f, "arg", a);
	u->noptions = food_byte(f) % 5;
	struct option *options = arena_array(a, struct option, u->noptions + 1);
	for (size_t i = 0; i < u->noptions; i++) {
		options[i].name = i < c->nfields ? c->fields[i].name : some_text(f, "name", a);
		options[i].value = some_text(f, "value", a);
		if (!span_i64(span_of(options[i].value), &options[i].id))
			options[i].id = 0;
	}
	u->options = options;
}

static void sendable(const struct bot *bot, const struct decision *d, struct arena *a)
{
	const struct platform *p = platform_of(bot->platform);
	struct effects e = {.errands = d->errands}, again;

	for (const struct reply *r = d->replies; r; r = r->next)
		e.ncalls++;
	e.calls = arena_array(a, struct call, e.ncalls + 1);
	e.ncalls = 0;
	for (const struct reply *r = d->replies; r; r = r->next) {
		const char *why = NULL;
		if (p->encode(r, "once", a, &e.calls[e.ncalls++], &why) != ERR_OK) {
			dprintf(2, "cannot be sent: %s\n", why);
			MUST(!"every reply can be sent");
		}
	}
	MUST(effects_decode(effects_encode(&e, a), a, &again) == ERR_OK && again.ncalls == e.ncalls);
}

/* The most that stands behind a dollar sign. */
static size_t parameters_of(const char *statement, struct arena *a)
{
	const struct embed_file *f = embed_find(arena_printf(a, "sql/queries/%s.sql", statement));
	size_t most = 0;

	MUST(f);
	const char *sql = arena_strndup(a, (const char *)f->data, f->len);
	for (const char *at = sql; (at = strchr(at, '$')); at++) {
		size_t n = strtoul(at + 1, NULL, 10);
		most = n > most ? n : most;
	}
	return most;
}

static int64_t number_at(const struct params *p, size_t i)
{
	int64_t n = 0;

	MUST(i < p->n && span_i64(p->v[i], &n));
	return n;
}

/* Only what somebody has is held, only what is held moves, and only by those of the trade, while it is open. */
static void money_is_safe(const struct decision *d, const struct update *u, const struct facts *f)
{
	static const char *const moves[] = {"escrow_accept",  "escrow_cancel",  "escrow_decline",
	                                    "escrow_dispute", "escrow_release", "escrow_refund"};
	const struct fact_trade *t = &f->trade;
	const struct fact_wallet *w = NULL;
	int64_t units;

	for (size_t i = 0; i < COUNT(moves); i++) {
		if (strcmp(d->commit, moves[i]) != 0)
			continue;
		size_t behind = strcmp(d->commit, "escrow_cancel") == 0; /* who is invited */
		MUST(t->found && number_at(&d->params, d->params.n - 1 - behind) == t->id);
		MUST(u->from.id == t->buyer.telegram_id || u->from.id == t->seller.telegram_id ||
		     (t->invited && u->from.id == t->invited));
		MUST(strcmp(t->status, "pending") == 0 || strcmp(t->status, "active") == 0);
	}
	if (strcmp(d->commit, "escrow_hold") != 0)
		return;
	for (size_t i = 0; i < f->wallets.n && !w; i++)
		if (f->draft.currency && strcasecmp(f->wallets.v[i].currency, f->draft.currency) == 0)
			w = &f->wallets.v[i];
	MUST(w && amount_parse(f->draft.amount, w->scale, &units) == AMOUNT_GOOD);
	MUST(units <= w->available && number_at(&d->params, d->params.n - 3) == units);
}

static bool same_params(const struct params *x, const struct params *y)
{
	bool same = x->n == y->n;

	for (size_t i = 0; same && i < x->n; i++)
		same = (x->v[i].ptr == NULL) == (y->v[i].ptr == NULL) && span_eq(x->v[i], y->v[i]);
	return same;
}

/* What is not said is by chance, or all facts behind a short input would be empty: two bytes begin the chance, and what
 * the others say is added to it, so that a change of one byte is a change of one fact. */
static struct food by_chance(const uint8_t *data, size_t size, uint8_t out[FACTS_BYTES])
{
	struct food food = food_of(data, size);
	uint64_t state = 0;

	for (int i = 0; i < 2; i++)
		state = state << 8 | food_byte(&food);
	for (size_t i = 0; i < FACTS_BYTES; i++) {
		uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */

		z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
		z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
		out[i] = (uint8_t)(z >> 32) ^ food_byte(&food);
	}
	return food_of(out, FACTS_BYTES);
}

static void fuzz(const uint8_t *data, size_t size)
{
	uint8_t bytes[FACTS_BYTES];
	struct food food = by_chance(data, size, bytes);
	struct decision d, again;
	struct facts facts = {0};
	struct update u = {0};
	struct arena a;
	size_t n = 0;

	while (bots_all[n])
		n++;
	ENSURE(n > 0);
	arena_init(&a);
	const struct bot *bot = bots_all[food_byte(&food) % n];
	const struct command *c = &bot->commands[food_byte(&food) % bot->ncommands];
	fill_update(&u, c, &food, &a);
	fill_facts(&facts, &food, &a);
	c = bot_command(bot, &u);
	if (!c || c->first == FIRST_FORM) {
		arena_release(&a);
		return;
	}
	struct params asked = {.arena = &a};
	if (c->load && c->ask)
		c->ask(&u, &facts, &asked);
	if (c->code)
		c->code(&u, &a);
	if (c->wants_answer)
		c->wants_answer(&u, &facts);
	if (!c->presume || !c->presume(&u, &facts))
		facts.presumed = false;
	decision_init(&d, &a);
	decision_init(&again, &a);
	c->decide(&u, &facts, &d);
	c->decide(&u, &facts, &again);
	MUST(d.failed == again.failed &&
	     (d.failed || (!d.commit == !again.commit && same_params(&d.params, &again.params))));
	if (d.failed)
		MUST(d.why && *d.why);
	else
		sendable(bot, &d, &a);
	if (facts.presumed)
		MUST(d.commit || d.failed);
	if (d.commit) {
		MUST(d.params.n + 2 == parameters_of(d.commit, &a)); /* the first are the key and the effects */
		money_is_safe(&d, &u, &facts);
	}
	arena_release(&a);
}
