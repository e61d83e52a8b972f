#include "turn_model.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const tally_names[TALLIES] = {
    [T_CALLS] = "calls",
    [T_GIVEN] = "given",
    [T_SETTLED] = "settled",
    [T_BURIED] = "dead letters",
    [T_BAD] = "bad",
    [T_TWICE] = "duplicates",
    [T_DELETED] = "deleted by hand",
    [T_FENCED] = "fenced",
    [T_GONE] = "gone",
    [T_BARE] = "kept from a shard without a mark",
    [T_KEPT] = "kept",
    [T_NOT_KEPT] = "not kept",
    [T_LATE] = "late calls",
    [T_LOST] = "lost answers",
    [T_GRACE] = "grace",
    [T_TAKEN_OVER] = "taken over",
    [T_KILLERS] = "killers buried",
    [T_STORM_SPARED] = "spared in a storm",
    [T_SUSPECT_ALONE] = "suspects alone",
    [T_ORPHAN_EMPTY] = "orphans to empty hands",
    [T_ORPHAN_COMPANY] = "orphans in company",
    [T_CLAIMS] = "claims",
    [T_PARKED] = "paused",
    [T_EXCEPTED] = "excepted",
    [T_HANDED_ON] = "handed on",
    [T_ROTATED] = "rotations",
    [T_FORGOTTEN] = "taken as handed out before",
    [T_GROUP_LOST] = "groups lost",
    [T_READ_ANEW] = "read anew",
    [T_SECOND_LIFE] = "second lives",
    [T_CLOCK_BACK] = "clock back",
    [T_RINGS] = "rings",
    [T_FULL_CHECKS] = "full checks",
};

static const unsigned pause_bots[PAUSES] = {0, 1, 3, 7, 4};

void model_fail(struct model *m, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(m->why, sizeof(m->why), fmt, ap);
	va_end(ap);
	longjmp(m->failed, 1);
}

/* --- ids and names */

bool parse_id(const char *s, struct id *out)
{
	char *end;
	out->ms = strtoull(s, &end, 10);
	if (end == s || *end != '-')
		return false;
	const char *seq = end + 1;
	out->seq = strtoull(seq, &end, 10);
	return end != seq && (*end == 0 || *end == ' ');
}

const char *id_text(struct id id, char out[48])
{
	snprintf(out, 48, "%llu-%llu", (unsigned long long)id.ms, (unsigned long long)id.seq);
	return out;
}

int id_cmp(struct id a, struct id b)
{
	if (a.ms != b.ms)
		return a.ms < b.ms ? -1 : 1;
	return a.seq < b.seq ? -1 : a.seq > b.seq;
}

/* The first entry whose id is above this one. */
int model_entry_after(const struct model *m, struct id id)
{
	int low = 0, high = m->nentries;
	while (low < high) {
		int mid = (low + high) / 2;
		if (id_cmp(m->entries[mid].id, id) <= 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

int model_find(const struct model *m, struct id id)
{
	int i = model_entry_after(m, id) - 1;
	return i >= 0 && id_cmp(m->entries[i].id, id) == 0 ? i : -1;
}

struct entry *model_named(struct model *m, const redisReply *r, const char *where)
{
	struct id id;
	int i = r->type == REDIS_REPLY_STRING && parse_id(r->str, &id) ? model_find(m, id) : -1;
	if (i < 0)
		model_fail(m, "%s: an id of nothing: %s", where, r->str ? r->str : "?");
	return &m->entries[i];
}

void *model_grown(void *p, int n, int *cap, size_t size)
{
	if (n < *cap)
		return p;
	*cap = *cap ? 2 * *cap : 64;
	p = realloc(p, (size_t)*cap * size);
	if (!p)
		abort();
	return p;
}

void model_init(struct model *m, unsigned long long *tally)
{
	entry_texts_init();
	memset(m, 0, sizeof(*m));
	m->tally = tally;
	m->claimant = NOBODY;
	m->epoch = 1;
	m->now = 1700000000000;
}

void model_release(struct model *m)
{
	for (int l = 0; l < LANES; l++)
		free(m->lanes[l].queue);
	free(m->entries);
	free(m->live);
	free(m->names);
	free(m->marks);
	memset(m, 0, sizeof(*m));
}

int model_entry(struct model *m)
{
	int cap = m->cap;
	m->entries = model_grown(m->entries, m->nentries, &m->cap, sizeof(*m->entries));
	if (cap != m->cap)
		m->live = realloc(m->live, (size_t)m->cap * sizeof(*m->live));
	if (!m->live)
		abort();
	m->entries[m->nentries] = (struct entry){
	    .owner = NOBODY,
	    .key = -1,
	    .born = -1,
	    .at = m->nentries % 3 == 1 ? -1 : 17,
	    .as_gateways = m->nentries % 2 == 0,
	    .traced = m->nentries % 4 == 0,
	    .body_of = m->nentries,
	};
	return m->nentries++;
}

int model_name(struct model *m, const char *base)
{
	m->names = model_grown(m->names, m->nnames, &m->names_cap, sizeof(*m->names));
	struct name *n = &m->names[m->nnames];
	*n = (struct name){.registered = false};
	snprintf(n->text, sizeof(n->text), "%.8s~%x", base, (unsigned)m->nnames);
	return m->nnames++;
}

int model_key(struct model *m)
{
	m->marks = model_grown(m->marks, m->nkeys, &m->keys_cap, sizeof(*m->marks));
	m->marks[m->nkeys] = (struct mark){.entry = -1};
	return m->nkeys++;
}

bool model_is_paused(const struct model *m, int bot)
{
	return pause_bots[m->paused] >> bot & 1;
}

bool model_is_over(const struct entry *e)
{
	return e->place >= SETTLED;
}

/* --- what becomes of an entry */

void model_end(struct model *m, struct entry *e, enum place place)
{
	if (model_is_over(e))
		model_fail(m, "an entry that is over ends again: %llu-%llu", (unsigned long long)e->id.ms,
		           (unsigned long long)e->id.seq);
	e->place = place;
	e->there = e->noted = e->adrift = false;
	e->retries = e->takeovers = e->sent = 0;
	e->owner = NOBODY;
}

/* Nothing is known of it any more. */
static void make_unread(struct entry *e)
{
	e->place = UNREAD;
	e->given = e->noted = e->adrift = false;
	e->retries = e->takeovers = e->sent = 0;
	e->owner = NOBODY;
}

void model_make_due(struct entry *e, int64_t lo, int64_t hi)
{
	e->place = DUE;
	e->owner = NOBODY;
	e->lo = lo;
	e->hi = hi;
	e->ripe = lo;
	e->put_off = e->ring = 0;
	e->parked = e->adrift = false;
}

/* First of its lane, for whoever comes first; out of the way while its bot is paused. */
void model_make_free(struct model *m, struct entry *e)
{
	bool paused = model_is_paused(m, e->bot);
	model_make_due(e, m->now, paused ? NEVER : m->now);
	e->ring = m->ncalls;
	e->parked = paused;
	m->tally[T_PARKED] += paused;
}

struct entry *model_head(struct model *m, int lane)
{
	return m->lanes[lane].n ? &m->entries[m->lanes[lane].queue[0]] : NULL;
}

static void pop(struct lane *l)
{
	l->n--;
	memmove(l->queue, l->queue + 1, (size_t)l->n * sizeof(*l->queue));
}

/* Behind the one that is in hand or due, in the order of the ids. true: there was none, and it is the first. */
bool model_line_up(struct model *m, int entry)
{
	struct lane *l = &m->lanes[m->entries[entry].lane];
	int at = l->n, first = l->n && m->entries[l->queue[0]].place != WAITING;
	l->queue = model_grown(l->queue, l->n, &l->cap, sizeof(*l->queue));
	for (; at > first && l->queue[at - 1] > entry; at--)
		l->queue[at] = l->queue[at - 1];
	l->queue[at] = entry;
	l->n++;
	return at == 0;
}

/* The first of this lane is over: the oldest behind it that still exists comes next. */
void model_advance(struct model *m, int lane)
{
	struct lane *l = &m->lanes[lane];
	pop(l);
	while (l->n && !model_head(m, lane)->there) {
		model_end(m, model_head(m, lane), REMOVED);
		pop(l);
	}
	if (l->n) {
		model_make_free(m, model_head(m, lane));
		m->tally[T_HANDED_ON]++;
	}
}

/* Head of its lane, or read just now and bad. */
void model_bury(struct model *m, struct entry *e, const char *error, bool maybe_applied, int worker)
{
	struct burial *b = &m->burials[m->nburials++];
	bool heads_lane = e->place == HELD;
	*b = (struct burial){
	    .entry = (int)(e - m->entries),
	    .maybe_applied = maybe_applied,
	    .there = e->there,
	    .worker = worker,
	    .retries = e->retries,
	    .takeovers = e->takeovers,
	    .sent = e->sent,
	};
	snprintf(b->error, sizeof(b->error), "%s", error);
	model_end(m, e, BURIED);
	m->ndead++;
	m->tally[T_BURIED]++;
	if (heads_lane)
		model_advance(m, e->lane);
}

void model_note(struct entry *e, int retries, int takeovers, int sent)
{
	e->retries = retries;
	e->takeovers = takeovers;
	e->sent = sent;
	e->noted = true;
}

/* --- names */

void model_unregister(struct model *m, int name)
{
	for (int i = 0; i < m->nregistered; i++)
		if (m->registered[i] == name) {
			m->registered[i] = m->registered[--m->nregistered];
			break;
		}
	m->names[name].registered = false;
}

void model_enlist(struct model *m, int name)
{
	if (!m->names[name].registered) {
		if (m->nregistered == (int)(sizeof(m->registered) / sizeof(m->registered[0])))
			model_fail(m, "the walk has too many workers");
		m->registered[m->nregistered++] = name;
	}
	m->names[name].registered = true;
	m->names[name].deadline = m->now + TTL;
}

/* --- what the walk does beside the script */

void model_appended(struct model *m, int entry)
{
	struct entry *e = &m->entries[entry];
	e->there = true;
	e->place = UNREAD;
	m->last = e->id;
	m->live[m->nlive++] = entry;
}

void model_deleted(struct model *m, int entry)
{
	struct entry *e = &m->entries[entry];
	if (e->there)
		m->tally[T_DELETED]++;
	e->there = false;
	if (e->place == UNREAD)
		model_end(m, e, REMOVED);
}

void model_group_lost(struct model *m)
{
	m->group = false;
	m->read = (struct id){0, 0};
	m->tally[T_GROUP_LOST]++;
}

void model_bookkeeping_lost(struct model *m)
{
	model_group_lost(m);
	for (int l = 0; l < LANES; l++)
		m->lanes[l].n = 0;
	for (int i = 0; i < m->nlive; i++) {
		struct entry *e = &m->entries[m->live[i]];
		if (model_is_over(e))
			continue;
		if (e->there)
			make_unread(e);
		else
			model_end(m, e, REMOVED);
	}
	m->junk_due = 0;
}

void model_lane_lost(struct model *m, int entry)
{
	struct entry *e = &m->entries[entry];
	pop(&m->lanes[e->lane]);
	make_unread(e);
	model_group_lost(m);
}

void model_conf_lost(struct model *m)
{
	for (int i = 0; i < m->nlive; i++) {
		struct entry *e = &m->entries[m->live[i]];
		if (e->place == DUE && e->hi == NEVER)
			e->adrift = m->was_adrift = true;
	}
	m->conf = false;
	m->paused = m->paused_seen = 0;
	m->turned = m->rotated = m->deaths_at = m->lost_must = m->lost_may = 0;
	m->run = RUN_UNKNOWN;
	m->deaths = 0;
	m->claimant = NOBODY;
}

void model_all_lost(struct model *m)
{
	for (int i = 0; i < m->nlive; i++) {
		struct entry *e = &m->entries[m->live[i]];
		if (!model_is_over(e))
			model_end(m, e, REMOVED);
	}
	m->nlive = 0;
	for (int l = 0; l < LANES; l++)
		m->lanes[l].n = 0;
	while (m->nregistered)
		model_unregister(m, m->registered[0]);
	model_conf_lost(m);
	m->epoch += 2;
	m->group = false;
	m->read = m->last = m->wake = (struct id){0, 0};
	m->ndead = 0;
	m->nletters = 0;
	memset(m->letters, 0, sizeof(m->letters));
	m->junk_due = 0;
}

void model_phantom(struct model *m, int entry)
{
	m->entries[entry].place = WAITING;
	m->live[m->nlive++] = entry;
	model_line_up(m, entry);
}

void model_set_pause(struct model *m, int pause)
{
	m->paused = pause;
}
