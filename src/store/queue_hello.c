#include "shoal/store/queue_parts.h"

#include <stdio.h>
#include <string.h>

#include "shoal/base/clock.h"

#define PAST_PATIENCE_MS 2000 /* without Postgres nothing is taken, but people want to see that a worker is there */

/* Of the entries in l, those that the answer does not name are lost. */
static void keep_only(struct queue *q, struct queue_list *l, const redisReply *kept)
{
	struct queue_entry *next;
	for (struct queue_entry *e = l->first; e; e = next) {
		next = e->next;
		bool found = false;
		for (size_t i = 0; i < kept->elements && !found; i++)
			found = !strcmp(kept->element[i]->str, e->id);
		/* what is only to be reported may have been settled by the turn whose answer was lost */
		if (!found)
			queue_entry_lost(q, e);
	}
}

static void hello_done(void *arg, enum err err, const redisReply *reply)
{
	struct queue *q = arg;
	q->busy = false;
	if (q->state == Q_LEFT)
		return;
	if (err != ERR_OK || !turn_answered(reply, "kept") || !hello_answer_sound(reply)) {
		if (queue_answered_not_ours(reply))
			queue_not_ours(q, reply);
		else
			queue_complain(q, "hello", reply && reply->str ? reply->str : err_text(err));
		q->hello_not_before_ms = clock_ms() + QUEUE_HELLO_AGAIN_MS;
		if (q->left)
			queue_leave_failed(q);
		else if (q->state == Q_HELLO && redis_up(q->turns))
			queue_wake_in(q, QUEUE_HELLO_AGAIN_MS);
		return;
	}
	memmove(q->names[0], q->names[q->nnames - 1], sizeof(q->names[0]));
	q->nnames = 1;
	queue_is_ours(q);
	q->state = q->left ? Q_LEAVING : Q_READY;
	q->shortread = false;
	q->due_at_ms = -1;
	keep_only(q, &q->held, reply->element[1]);
	keep_only(q, &q->reports, reply->element[1]);
	q->rung = true;
	queue_poke(q);
	if (q->opts.on_up)
		q->opts.on_up(q->opts.arg, q->opts.shard);
}

/* As queue_opts.past; who was answered once knows it by itself. */
static int past(const struct queue *q)
{
	if (q->turned_ms)
		return 1;
	return q->opts.past ? q->opts.past(q->opts.arg) : 0;
}

int64_t queue_hello_early_ms(const struct queue *q)
{
	int64_t at = past(q) < 0 ? q->opened_ms + PAST_PATIENCE_MS : 0;

	if (at < q->hello_not_before_ms)
		at = q->hello_not_before_ms;
	return at - clock_ms();
}

void queue_hello(struct queue *q)
{
	if (q->nnames == QUEUE_NAMES_MAX) { /* the first one holds what we have; those in between never got an answer */
		memmove(q->names[1], q->names[2], (QUEUE_NAMES_MAX - 2) * sizeof(q->names[0]));
		q->nnames--;
	}
	char random[17];
	random_hex(random, 8);
	snprintf(q->names[q->nnames++], QUEUE_NAME_LEN, "%s~%s", q->worker_id, random);

	struct turn_call c;
	turn_begin(q, &c, "hello", 0, false);
	turn_add(&c, past(q) ? "1" : "0");
	turn_add(&c, shard_marks_may_mark(q->opts.marks, q->opts.shard) ? "1" : "0");
	turn_add(&c, arena_printf(c.a, "%u", q->nnames - 1));
	for (unsigned i = 0; i + 1 < q->nnames; i++)
		turn_add(&c, q->names[i]);
	for (struct queue_entry *e = q->held.first; e; e = e->next)
		turn_add(&c, e->id);
	for (struct queue_entry *e = q->reports.first; e; e = e->next)
		turn_add(&c, e->id);
	q->state = Q_HELLO;
	turn_send(q, &c, hello_done);
}
