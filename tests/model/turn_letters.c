#include "turn_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct burial *burial_of(struct model *m, const redisReply *id)
{
	int entry = (int)(model_named(m, id, "dead letter") - m->entries);
	for (int i = 0; i < m->nburials; i++)
		if (m->burials[i].entry == entry && !m->burials[i].found) {
			m->burials[i].found = true;
			return &m->burials[i];
		}
	model_fail(m, "%s is dead, but should not be", id->str);
}

static const char *bot_of(const struct model *m, const struct burial *b)
{
	const struct entry *e = &m->entries[b->entry];
	return !b->there || e->odd == BAD_NO_BOT || e->odd == BAD_EMPTY_BOT ? "" : bot_names[e->bot];
}

/* For a retry later on. */
static void remember(struct model *m, const char *id, const struct burial *b)
{
	struct letter *l = &m->letters[m->nletters % LETTERS];
	*l = (struct letter){
	    .entry = b->entry, .there = b->there, .sent = b->sent, .unsure = b->maybe_applied || b->takeovers};
	snprintf(l->id, sizeof(l->id), "%s", id);
	m->nletters++;
}

static void judge_letter(struct model *m, const redisReply *r)
{
	static const char *const names[] = {"id",   "lane",          "error",   "retries", "takeovers",
	                                    "sent", "maybe_applied", "died_at", "worker",  "entry"};
	enum { ID, LANE, ERROR, TRIED, TAKEN, MARK, APPLIED, AT, WORKER, ENTRY, NAMES };
	const redisReply *f = r->element[1], *v[NAMES];
	if (f->elements < 2 * NAMES)
		model_fail(m, "a dead letter out of shape");
	for (int i = 0; i < NAMES; i++) {
		if (strcmp(f->element[2 * i]->str, names[i]) != 0)
			model_fail(m, "a dead letter's %s is missing", names[i]);
		v[i] = f->element[2 * i + 1];
	}
	const struct burial *b = burial_of(m, v[ID]);
	const struct entry *e = &m->entries[b->entry];
	if (e->odd < BAD_NO_BOT && strcmp(v[LANE]->str, lane_names[e->lane]) != 0)
		model_fail(m, "the dead letter of %s has another lane", v[ID]->str);
	if (b->error[0] ? strcmp(v[ERROR]->str, b->error) != 0 : !v[ERROR]->len)
		model_fail(m, "the dead letter of %s says: %s", v[ID]->str, v[ERROR]->str);
	if (strtol(v[TRIED]->str, NULL, 10) != b->retries || strtol(v[TAKEN]->str, NULL, 10) != b->takeovers ||
	    strtol(v[MARK]->str, NULL, 10) != b->sent)
		model_fail(m, "the dead letter of %s has %s %s %s, not %d %d %d", v[ID]->str, v[TRIED]->str,
		           v[TAKEN]->str, v[MARK]->str, b->retries, b->takeovers, b->sent);
	if (strcmp(v[APPLIED]->str, b->maybe_applied ? "1" : "0") != 0)
		model_fail(m, "the dead letter of %s: maybe_applied %s", v[ID]->str, v[APPLIED]->str);
	if (strtoll(v[AT]->str, NULL, 10) != m->now)
		model_fail(m, "the dead letter of %s died at %s", v[ID]->str, v[AT]->str);
	if (strcmp(v[WORKER]->str, b->worker == NOBODY ? "" : m->names[b->worker].text) != 0)
		model_fail(m, "the dead letter of %s: worker %s", v[ID]->str, v[WORKER]->str);
	if (b->there)
		model_judge_fields(m, b->entry, f, 2 * NAMES);
	else if (f->elements != 2 * NAMES)
		model_fail(m, "the dead letter of %s has fields from nowhere", v[ID]->str);
	remember(m, r->element[0]->str, b);
}

void model_judge_burials(struct model *m, const redisReply *buried, redisContext *redis)
{
	if ((int)buried->elements != BURIAL_FIELDS * m->nburials) {
		char id[48] = "none";
		if (m->nburials)
			id_text(m->entries[m->burials[0].entry].id, id);
		model_fail(m, "%zu dead, not %d: %s", buried->elements / BURIAL_FIELDS, m->nburials, id);
	}
	if (!m->nburials)
		return;
	for (size_t i = 0; i < buried->elements; i += BURIAL_FIELDS) {
		const struct burial *b = burial_of(m, buried->element[i]);
		if (strcmp(buried->element[i + 1]->str, bot_of(m, b)) != 0)
			model_fail(m, "%s is dead, of bot %s", buried->element[i]->str, buried->element[i + 1]->str);
		if (b->error[0] ? strcmp(buried->element[i + 2]->str, b->error) != 0 : !buried->element[i + 2]->len)
			model_fail(m, "%s is dead: %s", buried->element[i]->str, buried->element[i + 2]->str);
	}
	for (int i = 0; i < m->nburials; i++)
		m->burials[i].found = false;
	redisReply *letters = redisCommand(redis, "XREVRANGE shoal:{0}:dead + - COUNT %d", m->nburials);
	if (!letters || letters->type != REDIS_REPLY_ARRAY || (int)letters->elements != m->nburials)
		model_fail(m, "%d dead letters are missing", m->nburials);
	for (int i = 0; i < m->nburials; i++)
		judge_letter(m, letters->element[i]);
	freeReplyObject(letters);
}

/* Of those that workers died of, what their users are told by: {bot, key, body, ...}. */
void model_judge_killers(struct model *m, const redisReply *killers)
{
	size_t n = 0;
	for (int i = 0; i < m->nburials; i++) {
		const struct burial *b = &m->burials[i];
		char id[48];
		struct span f[FIELDS_MAX],
		    is[3] = {{"", 0}, {id_text(m->entries[b->entry].id, id), strlen(id)}, {"", 0}};
		static const char *const names[] = {"bot", "key", "body"};
		if (!b->killer)
			continue;
		for (int k = b->there ? entry_fields(m, b->entry, f) - 2 : -1; k >= 0; k -= 2)
			for (int v = 0; v < 3; v++)
				if (!strcmp(f[k].ptr, names[v]) && (v != 1 || f[k + 1].len))
					is[v] = f[k + 1];
		bool found = false;
		for (size_t at = 0; !found && at + 2 < killers->elements; at += 3) {
			found = true;
			for (size_t v = 0; v < 3; v++)
				found = found && killers->element[at + v]->len == is[v].len &&
				        !memcmp(killers->element[at + v]->str, is[v].ptr, is[v].len);
		}
		if (!found)
			model_fail(m, "%s killed its workers, and the answer does not say so", id);
		n++;
	}
	if (killers->elements != 3 * n)
		model_fail(m, "%zu killers, not %zu", killers->elements / 3, n);
}

/* --- the second life */

/* What the retry of this letter is answered; the entry that comes of it, if any, is described in `e`. */
static const char *retried(struct model *m, const struct letter *l, bool force, struct entry *e)
{
	const struct entry *old = &m->entries[l->entry];
	int64_t born = old->born >= 0 && old->born < (int64_t)old->id.ms ? old->born : (int64_t)old->id.ms;
	const struct mark *k = old->key >= 0 ? &m->marks[old->key] : NULL;

	if (!l->id[0])
		return "gone";
	if (!l->there)
		return "broken";
	if (l->unsure && m->now - born > GUARD_LIFE && !force)
		return "applied";
	if (k && k->entry >= 0 && k->epoch + 1 >= m->epoch && k->entry != l->entry && !force)
		return "seen";
	*e = (struct entry){
	    .id = e->id,
	    .lane = old->lane,
	    .bot = old->bot,
	    .key = old->key,
	    .odd = old->odd,
	    .size = old->size,
	    .again = true,
	    .born = born,
	    .at = old->at >= 0 ? old->at : (int64_t)old->id.ms,
	    .traced = old->traced,
	    .body_of = old->body_of,
	    .owner = NOBODY,
	    .sent = l->sent,
	    .noted = l->sent > 0,
	};
	return "ok";
}

void model_judge_retry(struct model *m, int letter, bool force, int entry, const redisReply *r)
{
	struct letter *l = &m->letters[letter];
	struct entry *e = &m->entries[entry];
	const char *expected = retried(m, l, force, e),
	           *word = r->type == REDIS_REPLY_ARRAY ? r->element[0]->str : r->str;
	if (strcmp(word, expected) != 0)
		model_fail(m, "the retry of %s is answered %s, not %s", l->id, word, expected);
	if (strcmp(word, "ok") != 0) {
		e->place = REMOVED;
		return;
	}
	if (e->key < 0 || e->odd == SOUND_EMPTY_KEY) { /* its old id is its key now */
		e->key = model_key(m);
		m->marks[e->key].name = m->entries[l->entry].id;
	}
	if (e->odd == SOUND_EMPTY_KEY)
		e->odd = SOUND;
	m->marks[e->key].entry = entry;
	m->marks[e->key].epoch = m->epoch;
	l->id[0] = 0;
	m->ndead--;
	m->tally[T_SECOND_LIFE]++;
	model_appended(m, entry);
}
