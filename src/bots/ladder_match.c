/* A match: made for two who were paired, reported by both. */
#include <string.h>

#include "shoal/base/arena.h"
#include "shoal/bots/ladder_parts.h"
#include "shoal/model/fill.h"

#define LATE_MS 30000 /* after the waiting of one of the two has ended */

enum text {
	TEXT_MATCH,
	TEXT_ON_MAP,
	TEXT_HOSTED,
	TEXT_NO_MATCH,
	TEXT_SETTLED_BEFORE,
	TEXT_IN_DISPUTE,
	TEXT_NOTED,
	TEXT_NOTED_BEFORE,
	TEXT_SETTLED,
	TEXT_DISAGREED,
	TEXT_RESOLVED,
	TEXT_RESOLVED_UNRATED,
};

/* HTML. */
static const char *const texts[] = {
    [TEXT_MATCH] = "<b>Your match</b>: against <b>{name}</b>{map}{region}.\nYou play {race} ({mmr}), they play "
                   "{other_race} ({other_mmr}).\nWhen it is over, each of you tells how it ended: /report.",
    [TEXT_ON_MAP] = ", on <b>{map}</b>",
    [TEXT_HOSTED] = ", hosted in <b>{region}</b>",
    [TEXT_NO_MATCH] = "You have no match to report. /queue finds you one.",
    [TEXT_SETTLED_BEFORE] = "Your last match is settled already; you have none to report.",
    [TEXT_IN_DISPUTE] = "About your last match you and your opponent disagree: an admin decides.",
    [TEXT_NOTED] = "Noted for your match against <b>{name}</b>: {how}. As soon as they say the same, it is settled.",
    [TEXT_NOTED_BEFORE] = "You have said so before about your match against <b>{name}</b>: {how}. As soon as they say "
                          "the same, it is settled.",
    [TEXT_SETTLED] = "Your match against <b>{name}</b> is settled: {how}. Your rating is <b>{mmr}</b> now ({change}), "
                     "theirs {other_mmr}.",
    [TEXT_DISAGREED] = "About your match against <b>{name}</b> you two disagree: you say {how}. An admin decides.",
    [TEXT_RESOLVED] =
        "An admin has decided about your match against <b>{name}</b>: {how}. Your rating is <b>{mmr}</b> now "
        "({change}), theirs {other_mmr}.",
    [TEXT_RESOLVED_UNRATED] = "An admin has decided about your match against <b>{name}</b>: {how}. No rating changes.",
};

static const char *number(struct arena *a, int64_t n)
{
	return arena_printf(a, "%lld", (long long)n);
}

/* ---- the match is made */

/* One of the two, as the line has kept them. */
struct side {
	struct ladder_ear ear;
	const char *name, *race, *mmr, *region, *vetoes;
};

static const char *kept(const struct update *u, const char *what, int n, struct arena *a)
{
	const struct option *o = update_option(u, arena_printf(a, "%s_%d", what, n));

	return o ? o->value : "";
}

static int64_t kept_id(const struct update *u, const char *what, int n, struct arena *a)
{
	const struct option *o = update_option(u, arena_printf(a, "%s_%d", what, n));

	return o ? o->id : 0;
}

static struct side side_of(const struct update *u, const char *name, int n, struct arena *a)
{
	return (struct side){
	    .ear = {kept_id(u, "player", n, a), kept_id(u, "till", n, a), kept_id(u, "channel", n, a),
	            kept(u, "token", n, a)},
	    .name = name ? text_tame(a, name, false) : "",
	    .race = kept(u, "race", n, a),
	    .mmr = kept(u, "mmr", n, a),
	    .region = kept(u, "region", n, a),
	    .vetoes = kept(u, "vetoes", n, a),
	};
}

void ladder_ask_match(const struct update *u, const struct facts *f, struct params *p)
{
	(void)f;
	params_id(p, kept_id(u, "player", 1, p->arena));
	params_id(p, kept_id(u, "player", 2, p->arena));
}

static bool is_among(const char *codes, const char *code)
{
	size_t len = strlen(code);

	for (const char *at = codes; *at; at += strspn(at, " ")) {
		size_t n = strcspn(at, " ");

		if (n == len && strncmp(at, code, n) == 0)
			return true;
		at += n;
	}
	return false;
}

/* The map with this number among those that nobody vetoed; NULL: there are fewer. *n: how many there are. */
static const struct fact_choice *map_at(const struct facts *f, const char *one, const char *other, size_t at, size_t *n)
{
	const struct fact_choice *found = NULL;

	*n = 0;
	for (size_t i = 0; i < f->choices.n; i++) {
		const struct fact_choice *c = &f->choices.v[i];

		if (strcmp(c->kind, "map") == 0 && !is_among(one, c->code) && !is_among(other, c->code) && (*n)++ == at)
			found = c;
	}
	return found;
}

/* By chance; where maps have gone meanwhile and none is left, whatever was vetoed. NULL: there is no map at all. */
static const struct fact_choice *pick_map(const struct facts *f, const struct side *one, const struct side *other)
{
	const char *a = one->vetoes, *b = other->vetoes;
	size_t n, any;

	map_at(f, a, b, 0, &n);
	if (n == 0)
		map_at(f, a = "", b = "", 0, &n);
	return n > 0 ? map_at(f, a, b, ((size_t)f->chance[0] << 8 | f->chance[1]) % n, &any) : NULL;
}

static const char *name_of(const struct facts *f, const char *kind, const char *code)
{
	for (size_t i = 0; i < f->choices.n; i++) {
		if (strcmp(f->choices.v[i].kind, kind) == 0 && strcmp(f->choices.v[i].code, code) == 0)
			return f->choices.v[i].name;
	}
	return code;
}

/* A part of a text that is left out where there is nothing to say. */
static const char *part(struct arena *a, enum text text, const char *slot, const char *value)
{
	return *value ? text_fill(a, texts[text], (const struct slot[]){WORDS(slot, value), {0}}) : "";
}

static void tell_match(struct decision *d, const struct facts *f, const struct side *me, const struct side *other,
                       const char *map, const char *region)
{
	const struct slot slots[] = {
	    WORDS("name", other->name),
	    MARKUP("map", part(d->arena, TEXT_ON_MAP, "map", map)),
	    MARKUP("region", part(d->arena, TEXT_HOSTED, "region", region)),
	    WORDS("race", name_of(f, "race", me->race)),
	    WORDS("mmr", me->mmr),
	    WORDS("other_race", name_of(f, "race", other->race)),
	    WORDS("other_mmr", other->mmr),
	    {0},
	};

	ladder_tell(d, f, &me->ear, text_fill(d->arena, texts[TEXT_MATCH], slots));
}

/* What has been on its way for so long makes no match any more: the line lets nobody in again before (GRACE of
 * lua/line_enter.lua), so that nobody has two. */
static bool in_time(const struct facts *f, const struct side s[2])
{
	return f->now_ms < s[0].ear.till + LATE_MS && f->now_ms < s[1].ear.till + LATE_MS;
}

/* Who is still a player goes back to their place. */
static void undo(const char *key, const struct facts *f, const struct side s[2], struct decision *d)
{
	decision_errand(d, "paired", key, number(d->arena, s[0].ear.person), f->match.player_1 ? "back" : "met",
	                number(d->arena, s[1].ear.person), f->match.player_2 ? "back" : "met", NULL);
}

static void make(const struct side s[2], const char *map, const char *region, struct decision *d)
{
	struct params *p = decision_commit(d, "ladder_match");

	params_i64(p, s[0].ear.person);
	params_i64(p, s[1].ear.person);
	params_text(p, s[0].race);
	params_text(p, s[1].race);
	params_text(p, map);
	params_text(p, *region ? region : NULL);
	params_id(p, s[0].ear.channel);
	params_id(p, s[1].ear.channel);
}

void ladder_match(const struct update *u, const struct facts *f, struct decision *d)
{
	const struct side s[2] = {side_of(u, f->match.name_1, 1, d->arena), side_of(u, f->match.name_2, 2, d->arena)};
	const struct fact_choice *map;
	const char *region;

	if (f->conflict) { /* it was made before */
		decision_ignore(d);
		return;
	}
	if (!f->match.player_1 || !f->match.player_2 || !in_time(f, s)) {
		undo(u->args[0], f, s, d);
		return;
	}
	map = pick_map(f, &s[0], &s[1]);
	region = ladder_host(s[0].region, s[1].region);
	make(s, map ? map->code : NULL, region, d);
	decision_errand(d, "paired", u->args[0], number(d->arena, s[0].ear.person), "met",
	                number(d->arena, s[1].ear.person), "met", NULL);
	for (int i = 0; i < 2; i++)
		tell_match(d, f, &s[i], &s[1 - i], map ? map->name : "", name_of(f, "region", region));
}

/* ---- /report */

/* One report, seen from the one who reports. */
struct report {
	int side;                /* 1, 2 */
	const char *value;       /* "1", "2", "draw" */
	const char *own, *other; /* reported before; NULL: nothing yet */
	const char *name;        /* the other one's */
};

static const char *as_number(int side)
{
	return side == 1 ? "1" : "2";
}

static const char *as_words(const char *value, int side)
{
	if (strcmp(value, "draw") == 0)
		return "it was a draw";
	return strcmp(value, as_number(side)) == 0 ? "you won" : "you lost";
}

static struct report report_of(const struct update *u, const struct facts *f, const char *result)
{
	const struct fact_match *m = &f->match;
	struct report r = {.side = m->player_1 == u->from.id ? 1 : 2};

	r.own = r.side == 1 ? m->report_1 : m->report_2;
	r.other = r.side == 1 ? m->report_2 : m->report_1;
	r.name = r.side == 1 ? m->name_2 : m->name_1;
	if (strcmp(result, "won") == 0)
		r.value = as_number(r.side);
	else
		r.value = strcmp(result, "lost") == 0 ? as_number(3 - r.side) : "draw";
	return r;
}

static int64_t change_of(const struct fact_match *m, const char *result)
{
	return strcmp(result, "draw") == 0 ? m->if_draw : *result == '1' ? m->if_1 : m->if_2;
}

static const char *said(struct decision *d, enum text text, const char *name, const char *value, int side)
{
	return text_fill(d->arena, texts[text],
	                 (const struct slot[]){WORDS("name", text_tame(d->arena, name, false)),
	                                       WORDS("how", as_words(value, side)),
	                                       {0}});
}

static const char *rated(struct decision *d, enum text text, const struct fact_match *m, const char *result, int side)
{
	int64_t change = change_of(m, result), one = m->mmr_1 + change, two = m->mmr_2 - change;

	return text_fill(
	    d->arena, texts[text],
	    (const struct slot[]){
	        WORDS("name", text_tame(d->arena, side == 1 ? m->name_2 : m->name_1, false)),
	        WORDS("how", as_words(result, side)),
	        WORDS("mmr", number(d->arena, side == 1 ? one : two)),
	        WORDS("change", arena_printf(d->arena, "%+lld", (long long)(side == 1 ? change : -change))),
	        WORDS("other_mmr", number(d->arena, side == 1 ? two : one)),
	        {0},
	    });
}

static const char *settled(struct decision *d, const struct fact_match *m, const char *result, int side)
{
	return rated(d, TEXT_SETTLED, m, result, side);
}

/* result: what the match is then; NULL: still open. */
static void commit_report(const struct update *u, const struct fact_match *m, const struct report *r,
                          const char *result, struct decision *d)
{
	struct params *p = decision_commit(d, "ladder_report");
	bool over = result && strcmp(result, "conflict") != 0;
	int64_t change = over ? change_of(m, result) : 0;

	params_i64(p, u->from.id);
	params_i64(p, m->id);
	params_text(p, r->value);
	params_text(p, r->other);
	params_text(p, result);
	params_text(p, over ? number(d->arena, m->mmr_1 + change) : NULL);
	params_text(p, over ? number(d->arena, m->mmr_2 - change) : NULL);
}

/* The other one reported long ago. */
static void tell_other(const struct facts *f, const struct report *r, const char *html, struct decision *d)
{
	const struct fact_match *m = &f->match;
	const struct ladder_ear ear = {.person = r->side == 1 ? m->player_2 : m->player_1,
	                               .channel = r->side == 1 ? m->channel_2 : m->channel_1};

	ladder_tell(d, f, &ear, html);
}

static void report_second(const struct update *u, const struct facts *f, const struct report *r, struct decision *d)
{
	const struct fact_match *m = &f->match;

	if (strcmp(r->value, r->other) == 0) {
		commit_report(u, m, r, r->value, d);
		decision_answer(d, u->token, settled(d, m, r->value, r->side));
		tell_other(f, r, settled(d, m, r->value, 3 - r->side), d);
		return;
	}
	commit_report(u, m, r, "conflict", d);
	decision_answer(d, u->token, said(d, TEXT_DISAGREED, r->name, r->value, r->side));
	tell_other(f, r, said(d, TEXT_DISAGREED, r->side == 1 ? m->name_1 : m->name_2, r->other, 3 - r->side), d);
}

void ladder_report(const struct update *u, const struct facts *f, struct decision *d)
{
	const struct fact_match *m = &f->match;
	struct report r = report_of(u, f, ladder_typed(d->arena, u, "result"));

	if (!ladder_may_play(u, f, d))
		return;
	if (m->id == 0 || m->result) {
		bool disputed = m->id && strcmp(m->result, "conflict") == 0;

		decision_answer(d, u->token,
		                texts[m->id == 0 ? TEXT_NO_MATCH
		                      : disputed ? TEXT_IN_DISPUTE
		                                 : TEXT_SETTLED_BEFORE]);
	} else if (r.other) {
		report_second(u, f, &r, d);
	} else if (r.own && strcmp(r.own, r.value) == 0) {
		decision_answer(d, u->token, said(d, TEXT_NOTED_BEFORE, r.name, r.value, r.side));
	} else {
		commit_report(u, m, &r, NULL, d);
		decision_answer(d, u->token, said(d, TEXT_NOTED, r.name, r.value, r.side));
	}
}

/* ---- an admin has settled it */

void ladder_ask_resolved(const struct update *u, const struct facts *f, struct params *p)
{
	(void)f;
	params_text(p, u->args[0]);
}

void ladder_resolved(const struct update *u, const struct facts *f, struct decision *d)
{
	const struct fact_match *m = &f->match;
	int side = m->player_1 == u->chat_id ? 1 : 2;
	const struct ladder_ear ear = {.person = u->chat_id, .channel = side == 1 ? m->channel_1 : m->channel_2};
	struct params *p;

	/* a conflict: they have been told before */
	if (f->conflict || !m->id || (side == 2 && m->player_2 != u->chat_id) || !m->result ||
	    strcmp(m->result, "conflict") == 0) {
		decision_ignore(d);
		return;
	}
	p = decision_commit(d, "ladder_told");
	params_i64(p, m->id);
	params_i64(p, side);
	ladder_tell(d, f, &ear,
	            m->mmr_1 || m->mmr_2
	                ? rated(d, TEXT_RESOLVED, m, m->result, side)
	                : said(d, TEXT_RESOLVED_UNRATED, side == 1 ? m->name_2 : m->name_1, m->result, side));
}
