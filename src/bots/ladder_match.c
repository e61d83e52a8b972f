/* A match is made for two who were paired. */
#include <string.h>

#include "shoal/base/arena.h"
#include "shoal/bots/ladder_parts.h"
#include "shoal/model/fill.h"

#define LATE_MS 30000 /* after the waiting of one of the two has ended */

enum text {
	TEXT_MATCH,
	TEXT_ON_MAP,
	TEXT_HOSTED,
};

/* HTML. */
static const char *const texts[] = {
    [TEXT_MATCH] = ("<b>Your match</b>: against <b>{name}</b>{map}{region}.\nYou play {race} ({mmr}), they play "
                    "{other_race} ({other_mmr}).\nWhen it is over, each of you tells how it ended: /report."),
    [TEXT_ON_MAP] = ", on <b>{map}</b>",
    [TEXT_HOSTED] = ", hosted in <b>{region}</b>",
};

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

/* Who is still a player goes back to their place. Not so who has a match to report: a /queue of before that match, held
 * up until it was made, has put them into the line once more. */
static void undo(const char *key, const struct facts *f, const struct side s[2], struct decision *d)
{
	decision_errand(d, "paired", key, ladder_number(d->arena, s[0].ear.person), f->match.player_1 ? "back" : "met",
	                ladder_number(d->arena, s[1].ear.person), f->match.player_2 ? "back" : "met", NULL);
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

	if (!f->match.player_1 || !f->match.player_2 || !in_time(f, s)) {
		undo(u->args[0], f, s, d);
		return;
	}
	if (f->conflict) { /* it was made before */
		decision_ignore(d);
		return;
	}
	map = pick_map(f, &s[0], &s[1]);
	region = ladder_host(s[0].region, s[1].region);
	make(s, map ? map->code : NULL, region, d);
	decision_errand(d, "paired", u->args[0], ladder_number(d->arena, s[0].ear.person), "met",
	                ladder_number(d->arena, s[1].ear.person), "met", NULL);
	for (int i = 0; i < 2; i++)
		tell_match(d, f, &s[i], &s[1 - i], map ? map->name : "", name_of(f, "region", region));
}
