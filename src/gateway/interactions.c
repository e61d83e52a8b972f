#include "shoal/gateway/interactions.h"

#include <stdlib.h>
#include <string.h>

#include "shoal/base/clock.h"
#include "shoal/base/log.h"
#include "shoal/bots/registry.h"
#include "shoal/gateway/signature.h"
#include "shoal/gateway/suggest.h"
#include "shoal/wire/discord.h"

#define SIGNATURE_HEADER "X-Signature-Ed25519"
#define TIMESTAMP_HEADER "X-Signature-Timestamp"
#define BOTS_MAX 8

static const char no_such_thing[] = "I do not know this command any more.";
static const char apology[] = "I cannot take this just now. Please try again in a moment.";
/* The entry may be in the stream. Then the worker's answer, by the same token, takes the place of this text. */
static const char doubt[] =
    "I am not sure whether this has reached me. If it has, the answer takes the place of this text "
    "in a moment; if not, please try again.";

struct interactions {
	struct intake *in;
	struct tables *tables;
	unsigned n;
	struct {
		const struct bot *bot;
		struct signer *signer;
	} bots[BOTS_MAX];
};

/* An interaction that is being answered. Lives in the request's arena. */
struct talk {
	struct interactions *x;
	struct visit visit;
	struct arena *arena;
	const struct bot *bot;
	struct discord_place place;
	struct update update;
	const struct command *command; /* NULL: nobody's */
	struct span answer;            /* once Redis has the entry */
	/* of a suggestion or a form: */
	size_t nfields, at; /* tables of the fields before `at` are there */
	const struct form_field *fields;
	struct discord_choices *choices;
};

static void answer(const struct talk *t, struct span body)
{
	visit_answer(&t->visit, body);
}

/* ---- suggestions and forms: once the tables are there */

static void put_table(struct talk *t, const struct static_table *table)
{
	const struct update *u = &t->update;

	if (!table)
		return;
	t->choices[t->at] =
	    u->focus ? suggest(table, &t->fields[t->at], u->focus->value, t->arena) : suggest_all(table, t->arena);
}

static void gather(struct talk *t);

static void on_table(void *arg, const struct static_table *table)
{
	struct talk *t = arg;

	put_table(t, table);
	t->at++;
	gather(t);
}

static void gather(struct talk *t)
{
	for (; t->at < t->nfields; t->at++) {
		const struct form_field *f = &t->fields[t->at];
		const struct static_table *table;

		if (!f->table || f->nchoices > 0)
			continue;
		table = tables_peek(t->x->tables, f->table, t->arena);
		if (!table) {
			tables_get(t->x->tables, f->table, t->arena, on_table, t);
			return;
		}
		put_table(t, table);
	}
	answer(t, t->update.focus ? discord_suggest(t->choices, t->arena)
	                          : discord_form(t->command->form, t->choices, t->arena));
}

static void fill_in(struct talk *t, const struct form_field *fields, size_t n)
{
	t->fields = fields;
	t->nfields = n;
	t->choices = arena_array(t->arena, struct discord_choices, n + 1);
	gather(t);
}

/* The option's own row; what it is, is not known to an older menu that a client still shows. */
static void answer_suggestion(struct talk *t)
{
	const struct command *c = t->command;
	size_t i = 0;

	while (c && t->update.focus && i < c->nfields && strcmp(c->fields[i].name, t->update.focus->name) != 0)
		i++;
	if (c && t->update.focus && i < c->nfields)
		fill_in(t, &c->fields[i], 1);
	else
		answer(t, discord_suggest(&(struct discord_choices){0}, t->arena));
}

/* ---- what enters the stream */

static void on_appended(void *arg, enum err err)
{
	struct talk *t = arg;

	if (err == ERR_OK)
		answer(t, t->answer);
	else
		answer(t, discord_say(intake_in_doubt(err) ? doubt : apology, t->arena));
}

static struct span first_answer(const struct talk *t)
{
	if (!t->command)
		return discord_say(no_such_thing, t->arena);
	if (t->update.kind == UPDATE_PRESS)
		return discord_disable(t->place.root, t->arena);
	return discord_defer(t->command->first == FIRST_PRIVATE, t->arena);
}

static void append(struct talk *t, struct span body)
{
	struct entry e;

	entry_from_discord(t->bot, &t->place, body, clock_wall_ms(), t->arena, &e);
	e.trace = visit_trace(&t->visit);
	t->answer = first_answer(t);
	if (!intake_append(t->x->in, &e, t->arena, on_appended, t))
		answer(t, discord_say(apology, t->arena));
}

static const struct command *command_of(const struct talk *t)
{
	struct update u = t->update;

	if (u.kind == UPDATE_SUGGEST) /* belongs to the command that is being written */
		u.kind = UPDATE_SLASH;
	return bot_command(t->bot, &u);
}

/* Whether what is filled in a form now would have a place to go to. */
static bool takes(struct talk *t, struct span body)
{
	struct entry e;

	entry_from_discord(t->bot, &t->place, body, clock_wall_ms(), t->arena, &e);
	return intake_takes(t->x->in, span_of(e.lane));
}

static void take(struct talk *t, struct span body)
{
	const char *why;

	if (t->place.type == DISCORD_PING) {
		answer(t, DISCORD_PONG);
		return;
	}
	/* it was located, so it can be decoded */
	if (discord_decode(t->bot, body, "", 0, t->arena, &t->update, &why) != ERR_OK)
		BUG("an interaction that is none: %s", why);
	t->command = command_of(t);
	if (t->place.type == DISCORD_AUTOCOMPLETE)
		answer_suggestion(t);
	else if (!t->command || t->command->first != FIRST_FORM)
		append(t, body);
	else if (!takes(t, body))
		answer(t, discord_say(apology, t->arena));
	else
		fill_in(t, t->command->form->fields, t->command->form->nfields);
}

/* ---- who may send */

static const struct signer *signer_of(const struct interactions *x, const struct bot *bot)
{
	for (unsigned i = 0; i < x->n; i++) {
		if (x->bots[i].bot == bot)
			return x->bots[i].signer;
	}
	BUG("the bot \"%s\" does not run here", bot->name);
}

bool interactions_wants_body(const struct interactions *x, const struct bot *bot, const struct httpd_request *r)
{
	return signer_of(x, bot) &&
	       signature_formed(httpd_header(r, SIGNATURE_HEADER), httpd_header(r, TIMESTAMP_HEADER));
}

static bool is_stale(const char *timestamp)
{
	int64_t sent, now = clock_wall_ms() / 1000;

	return !span_i64(span_of(timestamp), &sent) || sent < now - INTERACTION_SKEW_S ||
	       sent > now + INTERACTION_SKEW_S;
}

static void complain_of_clock(const struct visit *v, const char *timestamp)
{
	static int64_t last;
	static unsigned suppressed;

	if (!log_due(&last, &suppressed))
		return;
	log_warn("an interaction with a good signature is too old or from the future: is this machine's clock right?",
	         LOG_STR("timestamp", timestamp), LOG_STR("trace_id", visit_trace(v)->id),
	         LOG_INT("suppressed", suppressed));
	suppressed = 0;
}

void interactions_handle(struct interactions *x, const struct bot *bot, const struct visit *v)
{
	const char *signature = httpd_header(v->r, SIGNATURE_HEADER), *timestamp = httpd_header(v->r, TIMESTAMP_HEADER);
	const struct signer *signer = signer_of(x, bot);
	struct span body = httpd_body(v->r);
	const char *why;
	struct talk *t;

	if (!signer || !signature_good(signer, signature, timestamp, body, httpd_arena(v->r))) {
		visit_refuse(v, 401, "unauthorized", SIGNATURE_HEADER " does not fit " TIMESTAMP_HEADER " and the body",
		             NULL);
		return;
	}
	t = arena_new(httpd_arena(v->r), struct talk);
	*t = (struct talk){.x = x, .visit = *v, .arena = httpd_arena(v->r), .bot = bot};
	if (discord_locate(body, t->arena, &t->place, &why) != ERR_OK) {
		visit_refuse(v, 400, "invalid_interaction", why, NULL);
	} else if (t->place.type != DISCORD_PING && is_stale(timestamp)) {
		complain_of_clock(v, timestamp);
		visit_refuse(v, 401, "unauthorized", TIMESTAMP_HEADER " is too old, or in the future", NULL);
	} else {
		take(t, body);
	}
}

static const char *key_of(const struct conf *conf, const struct bot *bot)
{
	return bot->platform == PLATFORM_DISCORD && conf_has_bot(conf, bot->name) ? conf_bot_public_key(conf, bot->name)
	                                                                          : NULL;
}

bool interactions_possible(const struct conf *conf)
{
	for (const struct bot *const *b = bots_all; *b; b++) {
		if (key_of(conf, *b))
			return true;
	}
	return false;
}

struct interactions *interactions_open(const struct conf *conf, struct intake *in, struct tables *tables)
{
	struct interactions *x = mem_zalloc(sizeof(*x));

	x->in = in;
	x->tables = tables;
	for (const struct bot *const *b = bots_all; *b; b++) {
		const char *key = key_of(conf, *b);

		if ((*b)->platform != PLATFORM_DISCORD || !conf_has_bot(conf, (*b)->name))
			continue;
		ENSURE(x->n < BOTS_MAX);
		x->bots[x->n].bot = *b;
		x->bots[x->n++].signer = key ? signer_new(key) : NULL;
		if (!x->bots[x->n - 1].signer && (key || conf_expects_bot(conf, (*b)->name)))
			log_error("a bot has no public key, or one that is none: its interactions are refused",
			          LOG_STR("bot", (*b)->name));
	}
	return x;
}

void interactions_close(struct interactions *x)
{
	for (unsigned i = 0; i < x->n; i++)
		signer_free(x->bots[i].signer);
	free(x);
}
