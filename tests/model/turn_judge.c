#include "turn_model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SUSPECT 2        /* takeovers: from here on alone and to empty hands */
#define FATAL 3          /* takeovers: dead */
#define FATAL_IN_STORM 8 /* takeovers: dead, when everything dies */
#define STORM 8.0        /* deaths that no suspect explains */
#define CALM 30000.0     /* ms that make up for one of them */
#define FEW 8            /* that a worker died of, handed out together */
#define PATIENCE 300     /* ms that they wait for empty hands */
#define COMPANY 32       /* of them, at most, to full hands in one turn */
#define SPREAD (TTL / 6) /* ms over which they come back */
#define RESENT 60000     /* ms within which platforms send again what nobody has confirmed */
#define LOOK 1000        /* ms until an entry that could not be served is looked at again */

/* --- before anybody speaks: another pause, the clock, the rotation of keys */

/* All that is there, and what comes within a while by this clock; nothing that comes later than all three clocks tell.
 */
static void take_as_lost(struct model *m)
{
	int64_t may = m->now;
	if (m->lost_must < m->now + RESENT)
		m->lost_must = m->now + RESENT;
	for (int i = 0; i < m->nlive; i++) {
		const struct entry *e = &m->entries[m->live[i]];
		if (e->there && (int64_t)e->id.ms > m->lost_must)
			m->lost_must = (int64_t)e->id.ms;
	}
	if ((int64_t)m->last.ms > may)
		may = (int64_t)m->last.ms;
	if (m->lost_may < may + RESENT)
		m->lost_may = may + RESENT;
}

static void judge_time(struct model *m, const struct call *c)
{
	if (m->paused != m->paused_seen) {
		m->paused_seen = m->paused;
		for (int i = 0; i < m->nlive; i++) {
			struct entry *e = &m->entries[m->live[i]];
			if (e->place != DUE || e->hi != NEVER || e->adrift)
				continue;
			if (e->lo > m->now)
				e->lo = m->now;
			e->hi = m->now + (m->was_adrift ? LOOK : 0);
			if (e->hi < e->ripe)
				e->hi = e->ripe;
			if (e->parked && !m->was_adrift)
				e->ring = m->ncalls;
			e->parked = false;
		}
	}
	bool back = m->now < m->turned;
	bool far = false;
	bool beats = back || m->now - m->turned > BEAT;
	for (int i = 0; i < m->nregistered; i++)
		far = far || m->names[m->registered[i]].deadline > m->now + 2 * TTL;
	if (m->now - m->turned > TTL / 2 || back || far) {
		/* less of it where a new worker is the first to speak */
		int grace = c->mode == HELLO && !c->nold ? TTL / 2 : TTL;
		for (int i = 0; i < m->nregistered; i++)
			m->names[m->registered[i]].deadline = m->now + grace;
		m->tally[T_GRACE] += m->nregistered > 0;
	}
	for (int i = 0; back && i < m->nlive; i++) {
		struct entry *e = &m->entries[m->live[i]];
		if (e->place != DUE)
			continue;
		e->lo -= m->turned - m->now;
		if (e->hi != NEVER && m->turned - m->now > 1000)
			e->hi -= m->turned - m->now;
		else if (e->hi == NEVER && m->turned - m->now > 1000)
			e->ripe -= m->turned - m->now;
	}
	m->tally[T_CLOCK_BACK] += back;
	if (m->rotated > m->now || m->now - m->rotated > KEY_LIFE) {
		m->rotated = m->now;
		beats = true;
		m->epoch++;
		m->tally[T_ROTATED]++;
	}
	if (c->mode == HELLO) {
		if (m->run == RUN_ANOTHER || (m->run == RUN_UNKNOWN && c->past))
			take_as_lost(m);
		m->run = RUN_OURS;
	}
	if (beats)
		m->turned = m->now;
	m->conf = true;
}

/* --- hello */

static void judge_hello(struct model *m, const struct call *c, const redisReply *r)
{
	struct answer *a = &m->answer;
	bool expected[REPORTS_MAX] = {false};
	int nexpected = 0;

	a->word = ANSWER_KEPT;
	if (r->elements != 2 || r->element[1]->type != REDIS_REPLY_ARRAY)
		model_fail(m, "hello is not answered with what is kept");
	for (int i = 0; i < m->nlive; i++) {
		struct entry *e = &m->entries[m->live[i]];
		bool mine = false;
		for (int o = 0; o < c->nold && e->place == HELD; o++)
			mine = mine || c->old[o] == e->owner;
		if (!mine)
			continue;
		int k = 0;
		while (k < c->nkept && c->kept[k] != m->live[i])
			k++;
		if (k < c->nkept) {
			e->owner = c->name;
			expected[k] = true;
			nexpected++;
			m->tally[T_KEPT]++;
		} else {
			model_make_due(e, m->now, m->now);
			e->ring = m->ncalls;
			m->tally[T_NOT_KEPT]++;
		}
	}
	for (int o = 0; o < c->nold; o++)
		model_unregister(m, c->old[o]);
	model_enlist(m, c->name);
	if ((int)r->element[1]->elements != nexpected)
		model_fail(m, "%zu kept, not %d", r->element[1]->elements, nexpected);
	for (int i = 0; i < nexpected; i++) {
		int entry = (int)(model_named(m, r->element[1]->element[i], "kept") - m->entries), k = 0;
		while (k < c->nkept && c->kept[k] != entry)
			k++;
		if (k == c->nkept || !expected[k])
			model_fail(m, "kept what is not its own: %s", r->element[1]->element[i]->str);
		expected[k] = false;
		a->kept[a->nkept++] = entry;
	}
}

/* --- reports, deaths, leaving */

static void judge_report(struct model *m, const struct call *c, int i)
{
	const struct report *r = &c->reports[i];
	struct entry *e = &m->entries[r->entry];
	char text[48];

	if (e->place != HELD || e->owner != c->name || r->lane != e->lane) {
		m->answer.fenced[i] = true;
		m->tally[T_FENCED]++;
		return;
	}
	snprintf(text, sizeof(text), "why %d", r->entry);
	switch (r->kind) {
	case DONE:
		model_end(m, e, SETTLED);
		model_advance(m, r->lane);
		m->tally[T_SETTLED]++;
		break;
	case LATER:
		model_make_due(e, m->now + r->number, m->now + r->number);
		e->put_off = m->ncalls;
		break;
	case SENT: model_note(e, e->retries, e->takeovers, (int)r->number); break;
	case RETRY:
	case RETRY_MAYBE:
		model_note(e, e->retries + 1, e->takeovers, e->sent);
		if (e->retries < ATTEMPTS) {
			model_make_due(e, m->now + r->number, m->now + r->number);
			e->put_off = m->ncalls;
			break;
		}
		model_bury(m, e, text, r->kind == RETRY_MAYBE, c->name);
		break;
	case DEAD: model_bury(m, e, text, r->number == 1, c->name); break;
	}
}

static bool answer_buries(struct model *m, const redisReply *buried, const struct entry *e)
{
	for (size_t i = 0; i + 4 < buried->elements; i += BURIAL_FIELDS)
		if (model_named(m, buried->element[i], "dead letter") == e)
			return true;
	return false;
}

static void judge_takeover(struct model *m, const redisReply *buried, struct entry *e, bool storm, bool unsure)
{
	int owner = e->owner, takeovers = e->takeovers + 1;
	bool dead = takeovers >= FATAL_IN_STORM || (takeovers >= FATAL && !storm);
	model_note(e, e->retries, takeovers, e->sent);
	m->tally[T_TAKEN_OVER]++;
	if (unsure && takeovers >= FATAL && takeovers < FATAL_IN_STORM)
		dead = answer_buries(m, buried, e);
	if (dead) {
		m->tally[T_KILLERS]++;
		int killer = m->nburials;
		model_bury(m, e, "", true, owner);
		m->burials[killer].killer = true;
		return;
	}
	m->tally[T_STORM_SPARED] += takeovers >= FATAL;
	model_make_due(e, m->now, m->now + SPREAD);
	e->put_off = m->ncalls;
}

/* Whose deadline has passed is dead; what they held is taken over. */
static void judge_deaths(struct model *m, const redisReply *buried)
{
	int dead[256], ndead = 0, held[256], nheld = 0, unexplained = 0;
	for (int i = 0; i < m->nregistered; i++)
		if (m->names[m->registered[i]].deadline <= m->now)
			dead[ndead++] = m->registered[i];
	if (!ndead)
		return;
	for (int d = 0; d < ndead; d++) {
		bool worked = false, explained = false;
		for (int l = 0; l < LANES; l++) {
			struct entry *e = model_head(m, l);
			if (!e || e->place != HELD || e->owner != dead[d])
				continue;
			worked = true;
			explained = explained || e->takeovers >= SUSPECT;
			held[nheld++] = m->lanes[l].queue[0];
		}
		unexplained += worked && !explained;
		model_unregister(m, dead[d]);
	}
	double past = m->now > m->deaths_at ? (double)(m->now - m->deaths_at) : 0;
	m->deaths = fmax(0, m->deaths - past / CALM) + unexplained;
	m->deaths_at = m->now;
	for (int i = 0; i < nheld; i++)
		judge_takeover(m, buried, &m->entries[held[i]], m->deaths >= STORM, fabs(m->deaths - STORM) < 0.1);
}

static void judge_leaving(struct model *m, int name)
{
	for (int l = 0; l < LANES; l++) {
		struct entry *e = model_head(m, l);
		if (e && e->place == HELD && e->owner == name) {
			model_make_due(e, m->now, m->now);
			e->ring = m->ncalls;
		}
	}
	model_unregister(m, name);
}

/* --- reading */

/* Another entry has the key; else its mark is set, if it is not. */
static bool is_duplicate(struct model *m, int entry)
{
	const struct entry *e = &m->entries[entry];
	if (e->key < 0)
		return false;
	struct mark *k = &m->marks[e->key];
	bool known = k->entry >= 0 && k->epoch + 1 >= m->epoch;
	if (known && k->entry != entry) {
		m->twice[e->bot]++;
		m->tally[T_TWICE]++;
		return true;
	}
	if (!known)
		*k = (struct mark){k->name, entry, m->epoch};
	return false;
}

/* Read again, as the group was lost. Its key may have been forgotten since, and be another's by now: then that one
 * stands for both, and this one is gone from the stream when the turn ends. */
static void judge_read_anew(struct model *m, int entry)
{
	m->tally[T_READ_ANEW]++;
	if (is_duplicate(m, entry))
		m->entries[entry].twice = m->ncalls;
}

static void drop_twice(struct model *m)
{
	for (int i = 0; i < m->nlive; i++) {
		struct entry *e = &m->entries[m->live[i]];
		if (e->twice != m->ncalls)
			continue;
		e->there = e->noted = false;
		e->retries = e->takeovers = e->sent = 0;
	}
}

static void judge_read_entry(struct model *m, int entry)
{
	struct entry *e = &m->entries[entry];
	if (e->odd >= BAD_NO_BOT) {
		m->tally[T_BAD]++;
		model_bury(m, e, "", false, NOBODY);
		return;
	}
	if (is_duplicate(m, entry)) {
		model_end(m, e, TWICE);
		return;
	}
	e->place = WAITING;
	if (model_line_up(m, entry))
		model_make_free(m, e);
}

static void judge_reading(struct model *m, const struct observed *o, bool takes)
{
	if (!o->group) {
		if (m->group)
			model_fail(m, "the group has gone");
		return;
	}
	int order = id_cmp(o->read, m->read);
	if (order < 0)
		model_fail(m, "the group went back");
	if (!takes && (order > 0 || !m->group))
		model_fail(m, "read, though it takes nothing");
	int from = model_entry_after(m, m->read);
	m->group = true;
	m->read = o->read;
	for (int i = from; i < m->nentries && id_cmp(m->entries[i].id, m->read) <= 0; i++) {
		struct entry *e = &m->entries[i];
		if (!e->there)
			continue;
		if (e->place == UNREAD)
			judge_read_entry(m, i);
		else
			judge_read_anew(m, i);
	}
}

/* A due entry that was deleted is dropped when somebody looks at it; lanes tells whether that was now. */
static void judge_dropped(struct model *m, redisContext *redis)
{
	for (int l = 0; l < LANES; l++) {
		struct entry *e = model_head(m, l);
		if (!e || e->place != DUE || e->there || e->lo > m->now)
			continue;
		char mine[48];
		redisReply *r = redisCommand(redis, "HGET shoal:{0}:lanes %s", lane_names[l]);
		id_text(e->id, mine);
		const char *id = r && r->type == REDIS_REPLY_STRING ? strchr(r->str, ' ') : NULL;
		bool still = id && !strncmp(id + 1, mine, strlen(mine)) &&
		             (id[1 + strlen(mine)] == 0 || id[1 + strlen(mine)] == ' ');
		freeReplyObject(r);
		if (still)
			continue;
		model_end(m, e, REMOVED);
		model_advance(m, l);
	}
}

/* --- what is given */

static bool is_excepted(const struct call *c, int bot)
{
	return c->except >> bot & 1;
}

static bool can_have(const struct model *m, const struct call *c, const struct entry *e)
{
	return e->there && !model_is_paused(m, e->bot) && !is_excepted(c, e->bot);
}

void model_judge_fields(struct model *m, int entry, const redisReply *r, size_t from)
{
	struct span f[FIELDS_MAX];
	int n = entry_fields(m, entry, f);
	bool ok = r->type == REDIS_REPLY_ARRAY && r->elements - from == (size_t)n;
	for (int i = 0; ok && i < n; i++)
		ok = r->element[from + i]->type == REDIS_REPLY_STRING && r->element[from + i]->len == f[i].len &&
		     !memcmp(r->element[from + i]->str, f[i].ptr, f[i].len);
	if (!ok)
		model_fail(m, "other fields than were appended");
}

/* The values alone; where they end. */
static size_t judge_values(struct model *m, int entry, const redisReply *r)
{
	struct span f[FIELDS_MAX];
	size_t n = (size_t)entry_fields(m, entry, f) / 2;
	bool ok = r->elements > n;
	for (size_t i = 0; ok && i < n; i++)
		ok = r->element[1 + i]->type == REDIS_REPLY_STRING && r->element[1 + i]->len == f[2 * i + 1].len &&
		     !memcmp(r->element[1 + i]->str, f[2 * i + 1].ptr, f[2 * i + 1].len);
	if (!ok)
		model_fail(m, "other values than were appended");
	return 1 + n;
}

static void judge_given_entry(struct model *m, const struct call *c, const redisReply *r, size_t together)
{
	if (r->type != REDIS_REPLY_ARRAY || r->elements < 2)
		model_fail(m, "an entry out of shape");
	struct entry *e = model_named(m, r->element[0], "given");
	const char *id = r->element[0]->str;
	int entry = (int)(e - m->entries);
	struct entry *head = model_head(m, e->lane);

	if (model_is_over(e))
		model_fail(m, "%s is given, but it was over (%d)", id, e->place);
	if (!e->there)
		model_fail(m, "%s is given, but it was deleted", id);
	if (e->place == HELD)
		model_fail(m, "%s is given, but %s has it", id, m->names[e->owner].text);
	if (e->place == UNREAD || head != e)
		model_fail(m, "%s is given, but it is not the first of its lane", id);
	if (e->place != DUE || (e->lo > m->now && !e->adrift))
		model_fail(m, "%s is given, but is due only in %lld ms", id, (long long)(e->lo - m->now));
	if (model_is_paused(m, e->bot))
		model_fail(m, "%s is given, but its bot is paused", id);
	if (is_excepted(c, e->bot))
		model_fail(m, "%s is given, but its bot was excepted", id);
	size_t history = 2;
	if (entry_nameless(m, entry))
		history = judge_values(m, entry, r);
	else
		model_judge_fields(m, entry, r->element[1], 0);
	bool again = r->elements > history;
	if (r->elements != history + 3 * again)
		model_fail(m, "an entry out of shape");
	bool sure = e->given || e->again;
	bool perhaps = !sure && ((int64_t)e->id.ms <= m->lost_must || (again && (int64_t)e->id.ms <= m->lost_may));
	m->tally[T_FORGOTTEN] += perhaps;
	if (again != (sure || perhaps))
		model_fail(m, "%s: again is %d", id, again);
	long long was[3] = {0}, retries = perhaps ? -1 : e->retries;
	for (size_t i = 0; again && i < 3; i++)
		was[i] = r->element[history + i]->integer;
	if (was[0] != retries || was[1] != e->takeovers || was[2] != e->sent)
		model_fail(m, "%s has %lld %lld %lld, not %lld %d %d", id, was[0], was[1], was[2], retries,
		           e->takeovers, e->sent);

	if (e->takeovers >= SUSPECT) {
		if (!c->empty_handed || together > 1)
			model_fail(m, "%s is a suspect, but came to %s hands with %zu others", id,
			           c->empty_handed ? "empty" : "full", together - 1);
		m->tally[T_SUSPECT_ALONE]++;
	} else if (e->takeovers > 0 && !c->empty_handed) {
		if (m->now - e->lo < PATIENCE)
			model_fail(m, "%s came in company after %lld ms", id, (long long)(m->now - e->lo));
		m->tally[T_ORPHAN_COMPANY]++;
	} else if (e->takeovers > 0) {
		m->tally[T_ORPHAN_EMPTY]++;
	}
	e->place = HELD;
	e->owner = c->name;
	e->given = true;
	e->adrift = false;
	m->answer.given[m->answer.ngiven++] = entry;
	m->tally[T_GIVEN]++;
}

/* What waits for empty hands: the most takeovers of what is ripe for this call. */
static int careful_before(const struct model *m, const struct call *c)
{
	int most = 0;
	for (int i = 0; i < m->nlive; i++) {
		const struct entry *e = &m->entries[m->live[i]];
		if (e->place == DUE && e->hi <= m->now && e->takeovers > most && can_have(m, c, e))
			most = e->takeovers;
	}
	return most;
}

/* Who holds nothing gets what others died of, and nothing beside it. */
static void judge_careful(struct model *m, const struct call *c, int most)
{
	const struct answer *a = &m->answer;
	int first = a->ngiven ? m->entries[a->given[0]].takeovers : 0;
	if (most && !first)
		model_fail(m, "empty hands did not get what others died of");
	if (most >= SUSPECT && first < SUSPECT)
		model_fail(m, "empty hands did not get the suspect");
	if (!first)
		return;
	if (a->ngiven > FEW)
		model_fail(m, "%d together that others died of", a->ngiven);
	for (int i = 0; i < a->ngiven; i++)
		if (!m->entries[a->given[i]].takeovers)
			model_fail(m, "an innocent entry beside one that others died of");
	(void)c;
}

static bool claimed(const struct model *m)
{
	return m->claimant != NOBODY && m->claim_till > m->now && m->claim_till <= m->now + TTL;
}

static bool claimed_by_another(const struct model *m, int name)
{
	return claimed(m) && m->claimant != name;
}

/* A worker that got less than it wanted: nothing that it could have had was left. */
static void judge_left(struct model *m, const struct call *c, bool shortread, bool bell)
{
	bool suspects = false, orphans = false;
	int company = 0;
	if (!shortread || !bell)
		model_fail(m, "all is read, but the answer or the bell does not say so");
	for (int i = 0; i < m->answer.ngiven; i++)
		company += m->entries[m->answer.given[i]].takeovers > 0;
	for (int i = 0; i < m->nlive; i++) {
		struct entry *e = &m->entries[m->live[i]];
		char id[48];
		if (e->place == UNREAD)
			model_fail(m, "%s was left unread", id_text(e->id, id));
		if (e->place != DUE || e->hi > m->now || e->put_off == m->ncalls || e->adrift || !can_have(m, c, e))
			continue;
		suspects = suspects || e->takeovers >= SUSPECT;
		orphans = orphans || (e->takeovers > 0 && e->takeovers < SUSPECT);
		if (e->takeovers == 0 ||
		    (e->takeovers < SUSPECT && m->now - e->hi >= PATIENCE && company < COMPANY && !c->empty_handed))
			model_fail(m, "%s was left behind", id_text(e->id, id));
	}
	if (suspects && m->answer.careful != 2 && !claimed_by_another(m, c->name))
		model_fail(m, "a suspect waits, and nobody is told");
	if (orphans && !m->answer.careful)
		model_fail(m, "something waits for empty hands, and nobody is told");
}

/* One worker at a time empties its hands for suspects, until they are empty or there is nothing to empty them for. */
static void judge_claim(struct model *m, const struct call *c, bool takes)
{
	bool mine = claimed(m) && m->claimant == c->name;
	int worst = 0;
	for (int i = 0; i < m->nlive; i++) {
		struct entry *e = &m->entries[m->live[i]];
		if (e->place == DUE && e->lo <= m->now && e->takeovers > worst)
			worst = e->takeovers;
	}
	if (m->answer.careful > (worst > SUSPECT ? SUSPECT : worst) && !(m->answer.careful == 2 && mine))
		model_fail(m, "nothing is there to empty the hands for: %d", m->answer.careful);
	if (m->answer.careful == 2) {
		if (claimed_by_another(m, c->name))
			model_fail(m, "two workers empty their hands for suspects");
		if (mine && c->empty_handed)
			model_fail(m, "the hands are empty, and still to be emptied");
		m->claimant = c->name;
		m->claim_till = m->now + TTL;
		m->tally[T_CLAIMS]++;
	} else if (mine) {
		if (!c->empty_handed && !takes)
			model_fail(m, "who empties his hands is told no longer to do so");
		m->claimant = NOBODY;
	}
}

static void judge_due_in(struct model *m, long long due_in, bool stopped)
{
	int64_t lo = NEVER, hi = NEVER;
	for (int i = 0; i < m->nlive; i++) {
		const struct entry *e = &m->entries[m->live[i]];
		if (e->place != DUE)
			continue;
		lo = e->lo < lo ? e->lo : lo;
		hi = e->hi < hi ? e->hi : hi;
	}
	if (m->junk_due)
		return;
	if (stopped) {
		if (due_in >= 0 && due_in < 100)
			model_fail(m, "paused, and still to come back in %lld ms", due_in);
	} else if (due_in < 0) {
		if (hi != NEVER)
			model_fail(m, "nothing due, says the answer");
	} else if (lo == NEVER || due_in < (lo > m->now ? lo - m->now : 0) ||
	           (hi != NEVER && due_in > (hi > m->now ? hi - m->now : 0))) {
		model_fail(m, "the next is due in %lld ms, says the answer, not %lld to %lld", due_in,
		           (long long)(lo - m->now), (long long)(hi - m->now));
	}
}

/* --- lists of the answer, dead letters */

static void judge_fenced(struct model *m, const struct call *c, const redisReply *fenced)
{
	size_t n = 0;
	for (int i = 0; i < c->nreports; i++) {
		if (!m->answer.fenced[i])
			continue;
		const struct entry *e = &m->entries[c->reports[i].entry];
		if (n >= fenced->elements || model_named(m, fenced->element[n], "fenced") != e)
			model_fail(m, "report %d is not fenced, but not its own", i + 1);
		n++;
	}
	if (n != fenced->elements)
		model_fail(m, "%s is fenced, but its own", fenced->element[n]->str);
}

static void judge_twice(struct model *m, const redisReply *twice)
{
	int got[BOTS] = {0};
	for (size_t i = 0; i < twice->elements; i++)
		for (int b = 0; b < BOTS; b++)
			got[b] += !strcmp(twice->element[i]->str, bot_names[b]);
	for (int b = 0; b < BOTS; b++)
		if (got[b] != m->twice[b])
			model_fail(m, "%d duplicates of %s, not %d", got[b], bot_names[b], m->twice[b]);
}

/* --- a turn */

static void judge_shape(struct model *m, const redisReply *r)
{
	static const int types[] = {REDIS_REPLY_STRING,  REDIS_REPLY_ARRAY,   REDIS_REPLY_ARRAY,
	                            REDIS_REPLY_INTEGER, REDIS_REPLY_INTEGER, REDIS_REPLY_ARRAY,
	                            REDIS_REPLY_ARRAY,   REDIS_REPLY_INTEGER, REDIS_REPLY_ARRAY};
	bool ok = r->elements == 9 && !strcmp(r->element[0]->str, "ok");
	for (size_t i = 0; ok && i < 9; i++)
		ok = r->element[i]->type == types[i];
	if (!ok)
		model_fail(m, "an answer out of shape: %s", r->element[0]->str ? r->element[0]->str : "?");
}

/* What this worker looks at and cannot serve may be looked at again only after a while. */
static void judge_looks(struct model *m, const struct call *c)
{
	for (int i = 0; i < m->nlive; i++) {
		struct entry *e = &m->entries[m->live[i]];
		if (e->place != DUE || e->lo > m->now || e->hi == NEVER)
			continue;
		if (model_is_paused(m, e->bot)) {
			e->ripe = e->hi;
			e->hi = NEVER;
			m->tally[T_PARKED]++;
		} else if (is_excepted(c, e->bot)) {
			e->hi = e->hi > m->now + LOOK ? e->hi : m->now + LOOK;
			m->tally[T_EXCEPTED]++;
		}
	}
}

static void judge_halves(struct model *m, const struct call *c, const int *due_before, int ndue)
{
	int due = 0, unread = 0;
	for (int i = 0; i < m->nlive; i++)
		unread += m->entries[m->live[i]].place == UNREAD;
	for (int i = 0; i < m->answer.ngiven; i++)
		for (int k = 0; k < ndue; k++)
			due += m->answer.given[i] == due_before[k];
	if (unread && due > (c->want + 1) / 2)
		model_fail(m, "%d of %d were due, while others were unread", due, c->want);
}

static void judge_work(struct model *m, const struct call *c, const struct observed *o, redisContext *redis)
{
	struct answer *a = &m->answer;
	const redisReply *r = o->answer;
	bool stopped = m->paused == PAUSE_ALL;
	bool takes = c->mode == WORK && c->want > 0 && !stopped;
	int due_before[LANES], ndue = 0;

	a->word = ANSWER_OK;
	judge_shape(m, r);
	if (llabs(m->now + TTL - m->names[c->name].deadline) > BEAT)
		model_enlist(m, c->name);
	int most = takes && c->empty_handed ? careful_before(m, c) : 0;
	for (int l = 0; l < LANES; l++)
		if (model_head(m, l) && model_head(m, l)->place == DUE)
			due_before[ndue++] = m->lanes[l].queue[0];
	for (int i = 0; i < c->nreports; i++)
		judge_report(m, c, i);
	judge_fenced(m, c, r->element[2]);
	judge_deaths(m, r->element[6]);
	if (c->mode == LEAVE)
		judge_leaving(m, c->name);
	judge_reading(m, o, takes);
	judge_dropped(m, redis);
	judge_twice(m, r->element[5]);
	model_judge_burials(m, r->element[6], redis);
	model_judge_killers(m, r->element[8]);

	const redisReply *given = r->element[1];
	if ((int)given->elements > (takes ? c->want : 0))
		model_fail(m, "%zu given, %d wanted", given->elements, takes ? c->want : 0);
	size_t bytes = 0, last = 0;
	for (size_t i = 0; i < given->elements; i++) {
		judge_given_entry(m, c, given->element[i], given->elements);
		last = model_entry_bytes(m, &m->entries[a->given[i]]);
		bytes += last;
	}
	if (bytes - last >= BYTES)
		model_fail(m, "%zu bytes in one answer", bytes);
	a->careful = (int)r->element[7]->integer;
	bool careful = c->empty_handed && a->ngiven && m->entries[a->given[0]].takeovers;
	if (takes && c->empty_handed)
		judge_careful(m, c, most);
	if (takes && !careful)
		judge_halves(m, c, due_before, ndue);
	bool shortread = r->element[4]->integer == 1;
	bool bell = o->bell && id_cmp(o->rung, m->last) >= 0;
	if (takes && a->ngiven < c->want && bytes < BYTES && !careful) {
		judge_left(m, c, shortread, bell);
		m->junk_due = 0;
	}
	if (c->mode == WORK)
		judge_claim(m, c, takes);
	else if (m->claimant == c->name)
		m->claimant = NOBODY;
	drop_twice(m);
	if (takes)
		judge_looks(m, c);
	if (c->mode != LEAVE)
		judge_due_in(m, r->element[3]->integer, stopped);
}

/* --- every call */

static void size_is(struct model *m, const char *what, long long got, long long least, long long most)
{
	if (got < least || got > most)
		model_fail(m, "%s: %lld, not %lld", what, got, least);
}

/* The invariant, as far as sizes tell it. */
static void judge_sizes(struct model *m, const struct observed *o)
{
	long long there = 0, busy = 0, waiting = 0, due = 0, noted = 0;
	int n = 0;
	for (int i = 0; i < m->nlive; i++) {
		const struct entry *e = &m->entries[m->live[i]];
		if (model_is_over(e))
			continue;
		m->live[n++] = m->live[i];
		there += e->there;
		busy += e->place == DUE || e->place == HELD;
		due += e->place == DUE;
		waiting += e->place == WAITING;
		noted += e->noted;
	}
	m->nlive = n;
	size_is(m, "XLEN updates", o->xlen, there, there);
	size_is(m, "HLEN lanes", o->lanes, busy, busy);
	size_is(m, "ZCARD waiting", o->waiting, waiting, waiting);
	size_is(m, "ZCARD due", o->due, due, due + m->junk_due);
	size_is(m, "HLEN tries", o->tries, noted, noted);
	size_is(m, "the list of workers", o->listed, 0, 0);
	size_is(m, "ZCARD workers", o->workers, m->nregistered, m->nregistered);
	size_is(m, "XLEN dead", o->dead, m->ndead, m->ndead);
}

/* Something became due for whoever comes first, and this turn did not take it: the bell rings. */
static void judge_ring(struct model *m, const struct observed *o, redisContext *redis)
{
	bool rang = id_cmp(o->wake, m->wake) > 0, must = false;
	m->wake = o->wake;
	for (int i = 0; i < m->nlive; i++) {
		const struct entry *e = &m->entries[m->live[i]];
		must = must || (e->place == DUE && e->ring == m->ncalls && e->hi <= m->now);
	}
	if (must && !rang)
		model_fail(m, "something is due for others, and no bell rings");
	m->tally[T_RINGS] += must;
	if (!must || m->ncalls % 8)
		return;
	redisReply *r = redisCommand(redis, "XREADGROUP GROUP bell look COUNT 1 NOACK STREAMS shoal:{0}:wake >");
	bool heard = r && r->type == REDIS_REPLY_ARRAY;
	freeReplyObject(r);
	if (!heard)
		model_fail(m, "something is due for others, and the bell cannot be heard");
}

void model_judge(struct model *m, const struct call *c, const struct observed *o, redisContext *redis)
{
	const redisReply *r = o->answer;
	m->ncalls++;
	m->nburials = 0;
	memset(m->twice, 0, sizeof(m->twice));
	m->answer.ngiven = m->answer.nkept = m->answer.careful = 0;
	memset(m->answer.fenced, 0, sizeof(m->answer.fenced));
	m->tally[T_CALLS]++;
	if (!r || r->type != REDIS_REPLY_ARRAY || !r->elements || r->element[0]->type != REDIS_REPLY_STRING)
		model_fail(m, "the script raises: %s", r && r->str ? r->str : "no answer");
	const char *word = r->element[0]->str;
	if (c->foreign) {
		m->answer.word = ANSWER_VERSION;
		if (strcmp(word, "version") != 0)
			model_fail(m, "another version is answered %s", word);
		judge_sizes(m, o);
		return;
	}
	if (!m->conf && (c->mode == HELLO ? c->no_mark : !m->names[c->name].registered)) { /* does nothing at all */
		m->answer.word = c->mode == HELLO ? ANSWER_BARE : ANSWER_GONE;
		if (strcmp(word, c->mode == HELLO ? "bare" : "gone") != 0)
			model_fail(m, "who may not mark is answered %s", word);
		judge_sizes(m, o);
		m->tally[T_BARE]++;
		return;
	}
	judge_time(m, c);
	if (c->mode == HELLO) {
		if (strcmp(word, "kept") != 0)
			model_fail(m, "hello is answered %s", word);
		judge_hello(m, c, r);
		judge_reading(m, o, false);
	} else if (!m->names[c->name].registered) {
		m->answer.word = ANSWER_GONE;
		if (strcmp(word, "gone") != 0)
			model_fail(m, "%s is gone, but is answered %s", m->names[c->name].text, word);
		judge_reading(m, o, false);
		m->tally[T_GONE]++;
	} else {
		judge_work(m, c, o, redis);
	}
	judge_sizes(m, o);
	if (m->answer.word != ANSWER_GONE)
		judge_ring(m, o, redis);
	else
		m->wake = o->wake;
}
