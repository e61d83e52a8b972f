/* Both players tell how their match ended: as soon as they say the same, it is settled; else an admin does that. */
#include <string.h>

#include "shoal/base/arena.h"
#include "shoal/bots/ladder_parts.h"
#include "shoal/model/fill.h"

enum text {
	TEXT_WHICH_RESULT,
	TEXT_NO_MATCH,
	TEXT_SETTLED_BEFORE,
	TEXT_IN_DISPUTE,
	TEXT_NOTED,
	TEXT_NOTED_BEFORE,
	TEXT_SETTLED,
	TEXT_SETTLED_UNRATED,
	TEXT_DISAGREED,
	TEXT_RESOLVED,
	TEXT_RESOLVED_UNRATED,
};

/* HTML. */
static const char *const texts[] = {
    [TEXT_WHICH_RESULT] = "Please choose how your match ended: won, lost or a draw. Nothing was noted: /report.",
    [TEXT_NO_MATCH] = "You have no match to report. /queue finds you one.",
    [TEXT_SETTLED_BEFORE] = "{settled}\nYou have no other match to report.",
    [TEXT_IN_DISPUTE] = "About your last match you and your opponent disagree: an admin decides.",
    [TEXT_NOTED] = "Noted for your match against <b>{name}</b>: {how}. As soon as they say the same, it is settled.",
    [TEXT_NOTED_BEFORE] = "You have said so before about your match against <b>{name}</b>: {how}. As soon as they say "
                          "the same, it is settled.",
    [TEXT_SETTLED] = "Your match against <b>{name}</b> is settled: {how}. Your rating is <b>{mmr}</b> now ({change}), "
                     "theirs {other_mmr}.",
    [TEXT_SETTLED_UNRATED] = "Your match against <b>{name}</b> is settled: {how}. No rating changes.",
    [TEXT_DISAGREED] = "About your match against <b>{name}</b> you two disagree: you say {how}. An admin decides.",
    [TEXT_RESOLVED] =
        "An admin has decided about your match against <b>{name}</b>: {how}. Your rating is <b>{mmr}</b> now "
        "({change}), theirs {other_mmr}.",
    [TEXT_RESOLVED_UNRATED] = "An admin has decided about your match against <b>{name}</b>: {how}. No rating changes.",
};

/* One report, seen from the one who reports. */
struct report {
	int side;                /* 1, 2 */
	const char *value;       /* "1", "2", "draw"; NULL: nothing that means any of these */
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

/* The choice of `/report` as the match keeps it; NULL: it is none. */
static const char *value_of(const char *result, int side)
{
	if (strcmp(result, "won") == 0)
		return as_number(side);
	if (strcmp(result, "lost") == 0)
		return as_number(3 - side);
	return strcmp(result, "draw") == 0 ? "draw" : NULL;
}

static struct report report_of(const struct update *u, const struct facts *f, const char *result)
{
	const struct fact_match *m = &f->match;
	struct report r = {.side = m->player_1 == u->from.id ? 1 : 2};

	r.own = r.side == 1 ? m->report_1 : m->report_2;
	r.other = r.side == 1 ? m->report_2 : m->report_1;
	r.name = r.side == 1 ? m->name_2 : m->name_1;
	r.value = value_of(result, r.side);
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
	        WORDS("mmr", ladder_number(d->arena, side == 1 ? one : two)),
	        WORDS("change", arena_printf(d->arena, "%+lld", (long long)(side == 1 ? change : -change))),
	        WORDS("other_mmr", ladder_number(d->arena, side == 1 ? two : one)),
	        {0},
	    });
}

/* Else it is not known what they played. Two who have 0 both are rated, too: something is at stake. */
static bool is_rated(const struct fact_match *m)
{
	return m->mmr_1 || m->mmr_2 || m->if_1 || m->if_2;
}

static const char *settled(struct decision *d, const struct fact_match *m, const char *result, int side)
{
	return is_rated(m) ? rated(d, TEXT_SETTLED, m, result, side)
	                   : said(d, TEXT_SETTLED_UNRATED, side == 1 ? m->name_2 : m->name_1, result, side);
}

/* result: what the match is then; NULL: still open. */
static void commit_report(const struct update *u, const struct fact_match *m, const struct report *r,
                          const char *result, struct decision *d)
{
	struct params *p = decision_commit(d, "ladder_report");
	bool rates = result && strcmp(result, "conflict") != 0 && is_rated(m);
	int64_t change = rates ? change_of(m, result) : 0;

	params_i64(p, u->from.id);
	params_i64(p, m->id);
	params_text(p, r->value);
	params_text(p, r->other);
	params_text(p, result);
	params_text(p, rates ? ladder_number(d->arena, m->mmr_1 + change) : NULL);
	params_text(p, rates ? ladder_number(d->arena, m->mmr_2 - change) : NULL);
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

/* Who reported first may not have heard of it: their channel may be closed to us. */
static void answer_closed(const struct update *u, const struct fact_match *m, int side, struct decision *d)
{
	const char *html = texts[TEXT_IN_DISPUTE];

	if (strcmp(m->result, "conflict") != 0)
		html = text_fill(d->arena, texts[TEXT_SETTLED_BEFORE],
		                 (const struct slot[]){MARKUP("settled", settled(d, m, m->result, side)), {0}});
	decision_answer(d, u->token, html);
}

void ladder_report(const struct update *u, const struct facts *f, struct decision *d)
{
	const struct fact_match *m = &f->match;
	struct report r = report_of(u, f, ladder_typed(d->arena, u, "result"));

	if (!ladder_may_play(u, f, d))
		return;
	if (m->id == 0) {
		decision_answer(d, u->token, texts[TEXT_NO_MATCH]);
	} else if (m->result) {
		answer_closed(u, m, r.side, d);
	} else if (!r.value) {
		decision_answer(d, u->token, texts[TEXT_WHICH_RESULT]);
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
	            is_rated(m) ? rated(d, TEXT_RESOLVED, m, m->result, side)
	                        : said(d, TEXT_RESOLVED_UNRATED, side == 1 ? m->name_2 : m->name_1, m->result, side));
}
