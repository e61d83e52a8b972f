#include "shoal/store/queue_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shoal/base/clock.h"

#define SHARD_PREFIX_MAX 16

/* ---- lists */

void queue_list_add(struct queue_list *l, struct queue_entry *e)
{
	e->next = l->first;
	if (e->next)
		e->next->prev = &e->next;
	e->prev = &l->first;
	l->first = e;
	l->n++;
}

void queue_list_remove(struct queue_list *l, struct queue_entry *e)
{
	*e->prev = e->next;
	if (e->next)
		e->next->prev = e->prev;
	e->next = NULL;
	e->prev = NULL;
	l->n--;
}

void queue_entry_free(struct queue_entry *e)
{
	struct arena a = e->arena; /* which has e too */
	arena_release(&a);
}

static struct queue_list *list_of(struct queue *q, struct queue_entry *e)
{
	if (e->report_sending)
		return &q->telling;
	return e->report == REPORT_NONE ? &q->held : &q->reports;
}

void queue_entry_lost(struct queue *q, struct queue_entry *e)
{
	queue_list_remove(list_of(q, e), e);
	q->in_hand -= !e->report_closing;
	if (e->report_closing) {
		queue_entry_free(e);
		return;
	}
	if (e->report != REPORT_NONE && !e->report_sending)
		q->urgent--;
	void (*fn)(void *, bool) = e->sent_fn;
	e->report = REPORT_NONE;
	e->report_sending = false;
	e->sent_fn = NULL;
	e->lost = true;
	if (fn)
		fn(e->sent_arg, false);
	else
		q->opts.on_lost(q->opts.arg, e);
}

struct queue_entry *queue_list_find(struct queue_list *l, const char *id)
{
	for (struct queue_entry *e = l->first; e; e = e->next)
		if (!strcmp(e->id, id))
			return e;
	return NULL;
}

/* ---- as they come */

enum { BOT, LANE, KEY, AT, BODY, TRACEPARENT, NVALUES };

/* The values of an entry that turn.lua gave, with names or in this order without; where its history begins. */
static size_t values_of(const redisReply *r, struct span v[NVALUES])
{
	static const char *const names[NVALUES] = {"bot", "lane", "key", "at", "body", "traceparent"};
	const redisReply *fields = r->element[1];
	size_t n = 0;

	if (fields->type == REDIS_REPLY_STRING) {
		for (; n < NVALUES && n + 1 < r->elements && r->element[n + 1]->type == REDIS_REPLY_STRING; n++)
			v[n] = (struct span){r->element[n + 1]->str, r->element[n + 1]->len};
		return n + 1;
	}
	for (size_t i = 0; i + 1 < fields->elements; i += 2) {
		/* as the script compares: a NUL ends no name */
		const struct span name = {fields->element[i]->str, fields->element[i]->len};
		for (size_t k = 0; k < NVALUES; k++)
			if (!v[k].ptr && span_is(name, names[k]))
				v[k] = (struct span){fields->element[i + 1]->str, fields->element[i + 1]->len};
	}
	return 2;
}

struct queue_entry *queue_entry_new(struct queue *q, const redisReply *r)
{
	struct span id = {r->element[0]->str, r->element[0]->len}, v[NVALUES] = {0};
	size_t history = values_of(r, v), bytes = 2 * (id.len + 1) + SHARD_PREFIX_MAX;
	for (size_t i = 0; i < NVALUES; i++)
		bytes += v[i].len + 1;
	struct arena a;
	arena_init(&a);
	struct queue_entry *e = arena_new(&a, struct queue_entry);
	char *p = arena_alloc(&a, bytes);
	e->arena = a;
	memcpy(p, id.ptr, id.len + 1);
	e->id = p;
	p += id.len + 1;
	struct span *const to[NVALUES] = {&e->bot, &e->lane, &e->key, &e->at, &e->body, &e->traceparent};
	for (size_t i = 0; i < NVALUES; i++)
		if (v[i].ptr) {
			memcpy(p, v[i].ptr, v[i].len);
			p[v[i].len] = 0;
			*to[i] = (struct span){p, v[i].len};
			p += v[i].len + 1;
		}
	if (!e->key.len) { /* as in turn.lua */
		int n = q->opts.shard ? snprintf(p, SHARD_PREFIX_MAX, "%u/", q->opts.shard) : 0;
		memcpy(p + n, id.ptr, id.len + 1);
		e->key = (struct span){p, (size_t)n + id.len};
	}
	e->handed = r->elements == history             ? HANDED_FIRST
	            : r->element[history]->integer < 0 ? HANDED_PERHAPS
	                                               : HANDED_AGAIN;
	if (e->handed == HANDED_AGAIN) {
		e->retries = (unsigned)r->element[history]->integer;
		e->takeovers = (unsigned)r->element[history + 1]->integer;
		e->sent = (unsigned)r->element[history + 2]->integer;
	}
	e->queue = q;
	return e;
}

/* ---- reports */

static void report(struct queue_entry *e, enum queue_report kind, int64_t number, const char *text, bool closing)
{
	struct queue *q = e->queue;
	if (e->lost) {
		queue_entry_free(e);
		return;
	}
	ENSURE(e->report == REPORT_NONE);
	queue_list_remove(&q->held, e);
	e->report = (int)kind;
	e->report_number = number;
	e->report_text = text ? arena_strdup(&e->arena, text) : NULL;
	e->report_closing = closing;
	if (!q->reports.n)
		q->first_report_us = clock_us();
	queue_list_add(&q->reports, e);
	q->urgent += !closing;
	q->in_hand -= closing;
	queue_poke(q);
}

void queue_done(struct queue_entry *e)
{
	report(e, REPORT_DONE, 0, NULL, true);
}

void queue_later(struct queue_entry *e, int64_t ms)
{
	report(e, REPORT_LATER, ms < 0 ? 0 : ms, NULL, true);
}

void queue_retry(struct queue_entry *e, int64_t ms, const char *error, bool maybe_applied)
{
	report(e, maybe_applied ? REPORT_RETRY_MAYBE : REPORT_RETRY, ms < 0 ? 0 : ms, error, true);
}

void queue_dead(struct queue_entry *e, const char *error, bool maybe_applied)
{
	report(e, REPORT_DEAD, maybe_applied, error, true);
}

void queue_drop(struct queue_entry *e)
{
	ENSURE(e->lost);
	queue_entry_free(e);
}

void queue_sent(struct queue_entry *e, unsigned count, void (*fn)(void *arg, bool ours), void *arg)
{
	ENSURE(!e->lost);
	e->sent_fn = fn;
	e->sent_arg = arg;
	report(e, REPORT_SENT, count, NULL, false);
}

void queue_confirm(struct queue_entry *e, void (*fn)(void *arg, bool ours), void *arg)
{
	ENSURE(!e->lost);
	e->sent_fn = fn;
	e->sent_arg = arg;
	report(e, REPORT_CONFIRM, 0, NULL, false);
}
