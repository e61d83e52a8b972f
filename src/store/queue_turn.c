#include "shoal/store/queue_parts.h"

#include <stdio.h>
#include <string.h>

#include "shoal/base/clock.h"
#include "shoal/base/log.h"

#define DEADLINE_MS 3000 /* a worker that has not turned for so long is dead */

static const char *const report_words[] = {NULL, NULL, "later", "retry", "retry?", "dead", "sent", NULL};

static struct redis_script turn_script = {.name = "lua/turn.lua"};

/* ---- calling the script */

void turn_add(struct turn_call *c, const char *s)
{
	if (c->n == c->cap) {
		size_t cap = c->cap ? 2 * c->cap : 64;
		struct span *bigger = arena_array(c->a, struct span, cap);
		if (c->n)
			memcpy(bigger, c->argv, c->n * sizeof(*bigger));
		c->argv = bigger;
		c->cap = cap;
	}
	c->argv[c->n++] = span_of(s);
}

void turn_begin(struct queue *q, struct turn_call *c, const char *mode, unsigned want, bool empty_handed)
{
	arena_release(&q->scratch);
	*c = (struct turn_call){.a = &q->scratch};
	for (size_t i = 0; i < QUEUE_KEYS; i++)
		turn_add(c, q->keys[i]);
	turn_add(c, QUEUE_FORMAT);
	turn_add(c, q->format_shard);
	turn_add(c, q->names[q->nnames - 1]);
	turn_add(c, mode);
	turn_add(c, arena_printf(c->a, "%u", want));
	turn_add(c, empty_handed ? "1" : "0");
	turn_add(c, arena_printf(c->a, "%d", DEADLINE_MS));
	turn_add(c, arena_i64(c->a, q->opts.max_attempts));
	turn_add(c, arena_i64(c->a, q->opts.idempotency_ttl_s * 1000));
	const char *except = q->opts.except ? q->opts.except(q->opts.arg) : NULL;
	turn_add(c, except ? except : "");
}

void turn_send(struct queue *q, struct turn_call *c, redis_fn *fn)
{
	q->busy = true;
	q->turn_began_ms = clock_ms();
	q->turn_began_us = clock_us();
	redis_eval(q->turns, &turn_script, fn, q, QUEUE_KEYS, c->n, c->argv);
}

bool turn_answered(const redisReply *r, const char *word)
{
	return r && r->type == REDIS_REPLY_ARRAY && r->elements > 0 && r->element[0]->type == REDIS_REPLY_STRING &&
	       !strcmp(r->element[0]->str, word);
}

void queue_is_ours(struct queue *q)
{
	q->turned_ms = q->turn_began_ms;
	q->trouble[0] = 0;
	q->foreign = false;
	shard_marks_told(q->opts.marks, q->opts.shard, MARK_OURS);
}

bool queue_answered_not_ours(const redisReply *r)
{
	return turn_answered(r, "version") || turn_answered(r, "bare");
}

void queue_not_ours(struct queue *q, const redisReply *r)
{
	char detail[QUEUE_FOREIGN_MAX] = QUEUE_BARE_TEXT;
	bool bare = turn_answered(r, "bare");
	if (!bare)
		queue_foreign_text(detail, r->elements > 1 && r->element[1]->str ? r->element[1]->str : "?",
		                   r->elements > 2 && r->element[2]->str ? r->element[2]->str : "?", q->format_shard);
	queue_complain(q, "another queue", detail);
	q->foreign = true;
	shard_marks_told(q->opts.marks, q->opts.shard, bare ? MARK_NONE : MARK_ANOTHERS);
}

/* ---- a turn */

static void telling_over(struct queue *q, bool told)
{
	struct queue_entry *e;
	while ((e = q->telling.first)) {
		if (told && q->state == Q_LEAVING && !e->report_closing) { /* noted, then given back */
			queue_entry_lost(q, e);
			continue;
		}
		queue_list_remove(&q->telling, e);
		e->report_sending = false;
		if (!told) {
			queue_list_add(&q->reports, e);
			q->urgent += !e->report_closing;
		} else if (e->report_closing) {
			queue_entry_free(e);
		} else {
			void (*fn)(void *, bool) = e->sent_fn;
			e->report = REPORT_NONE;
			e->sent_fn = NULL;
			queue_list_add(&q->held, e);
			fn(e->sent_arg, true);
		}
	}
	if (q->reports.n)
		q->first_report_us = clock_us();
}

static struct span text_of(const redisReply *r)
{
	return (struct span){r->str, r->len};
}

static void take_answer(struct queue *q, const redisReply *r)
{
	const redisReply *entries = r->element[1], *fenced = r->element[2], *twice = r->element[5],
	                 *dead = r->element[6], *killers = r->element[8];
	for (size_t i = 0; i < fenced->elements; i++) {
		struct queue_entry *e = queue_list_find(&q->telling, fenced->element[i]->str);
		if (e)
			queue_entry_lost(q, e);
	}
	for (size_t i = 0; i < dead->elements; i += 5) {
		const struct queue_burial b = {text_of(dead->element[i]), text_of(dead->element[i + 1]),
		                               text_of(dead->element[i + 2]), text_of(dead->element[i + 3]),
		                               text_of(dead->element[i + 4])};

		if (!queue_list_find(&q->telling, b.id.ptr)) /* what was reported is known to its owner */
			q->opts.on_dead(q->opts.arg, &b);
	}
	for (size_t i = 0; i < killers->elements; i += 3)
		q->opts.on_killer(q->opts.arg, text_of(killers->element[i]), text_of(killers->element[i + 1]),
		                  text_of(killers->element[i + 2]));
	telling_over(q, true);
	q->due_at_ms = r->element[3]->integer < 0 ? -1 : q->turn_began_ms + r->element[3]->integer;
	q->shortread = r->element[4]->integer;
	q->last_given = (unsigned)entries->elements;
	if (q->asked) {
		if (!q->careful || q->empty_handed)
			q->careful_since_ms = clock_ms();
		q->careful = r->element[7]->integer;
	}
	for (size_t i = 0; i < twice->elements; i++)
		q->opts.on_duplicate(q->opts.arg, text_of(twice->element[i]));
	for (size_t i = 0; i < entries->elements; i++) {
		struct queue_entry *e = queue_entry_new(q, entries->element[i]);
		queue_list_add(&q->held, e);
		q->in_hand++;
		q->opts.on_entry(q->opts.arg, e);
	}
}

static void turn_done(void *arg, enum err err, const redisReply *reply)
{
	struct queue *q = arg;
	bool leaving = q->state == Q_LEAVING;
	q->busy = false;
	q->wanted = 0;
	series_observe(q->turn_seconds, (double)(clock_us() - q->turn_began_us) / 1e6);
	if (err == ERR_OK && turn_answered(reply, "ok") && turn_answer_sound(reply)) {
		queue_is_ours(q);
		take_answer(q, reply);
		if (leaving) {
			queue_left(q);
			return;
		}
		queue_poke(q);
		if (q->shortread && q->opts.on_short)
			q->opts.on_short(q->opts.arg, q->opts.shard);
		return;
	}
	telling_over(q, false);
	if (q->state == Q_LEFT)
		return;
	if (err == ERR_OK && turn_answered(reply, "gone")) {
		log_warn("queue: this worker was taken for dead", LOG_INT("shard", q->opts.shard),
		         LOG_INT("in_hand", q->held.n));
		queue_all_lost(q);
		if (leaving) {
			queue_left(q);
			return;
		}
		queue_hello(q);
		return;
	}
	if (queue_answered_not_ours(reply))
		queue_not_ours(q, reply);
	else if (turn_answered(reply, "ok"))
		queue_complain(q, "turn", "the answer is not the script's");
	else
		queue_complain(q, "turn", reply && reply->str ? reply->str : err_text(err));
	if (leaving) {
		queue_leave_failed(q);
		return;
	}
	if (turn_answered(reply, "ok")) { /* what it has given us, nobody knows: a hello gives that back */
		q->state = Q_HELLO;
		q->hello_not_before_ms = clock_ms() + QUEUE_HELLO_AGAIN_MS;
	}
	if (redis_up(q->turns))
		queue_wake_in(q, 500);
}

/* The reports as the script wants them: of those that are done, most of them, the ids, then the lanes. */
static void tell(struct queue *q, struct turn_call *c)
{
	unsigned dones = 0;
	struct queue_entry *e;
	while ((e = q->reports.first)) {
		queue_list_remove(&q->reports, e);
		e->report_sending = true;
		queue_list_add(&q->telling, e);
		dones += e->report == REPORT_DONE;
	}
	if (!q->telling.first)
		return;
	turn_add(c, arena_printf(c->a, "%u", dones));
	for (e = q->telling.first; e; e = e->next)
		if (e->report == REPORT_DONE)
			turn_add(c, e->id);
	for (e = q->telling.first; e; e = e->next)
		if (e->report == REPORT_DONE)
			turn_add(c, e->lane.ptr);
	for (e = q->telling.first; e; e = e->next) {
		if (!report_words[e->report])
			continue;
		turn_add(c, report_words[e->report]);
		turn_add(c, e->id);
		turn_add(c, e->lane.ptr);
		turn_add(c, arena_i64(c->a, e->report_number));
		turn_add(c, e->report_text ? e->report_text : "");
	}
}

void queue_turn(struct queue *q)
{
	struct turn_call c;
	bool leaving = q->left != NULL;
	while (leaving && q->held.first) /* another worker may have it before the answer is here */
		queue_entry_lost(q, q->held.first);
	unsigned want = leaving ? 0 : q->opts.room(q->opts.arg, q->opts.shard);
	q->empty_handed = q->opts.empty_handed(q->opts.arg);
	turn_begin(q, &c, leaving ? "leave" : "work", want, q->empty_handed);
	tell(q, &c);
	q->urgent = 0;
	q->wanted = want;
	q->asked = want > 0;
	q->rung = false;
	if (leaving)
		q->state = Q_LEAVING;
	turn_send(q, &c, turn_done);
}
