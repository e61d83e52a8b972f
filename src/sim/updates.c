/* A bot's undelivered updates: numbering, what the bot wants, order, expiry, getUpdates. */
#include "shoal/sim/updates.h"

#include <stdlib.h>
#include <string.h>

#include "shoal/base/arena.h"
#include "shoal/base/clock.h"
#include "shoal/sim/call.h"
#include "shoal/sim/webhook.h"

#define MESSAGE_TTL_MS (24 * 3600 * 1000ll)
#define QUERY_TTL_MS (150 * 1000)

const char *const update_kinds[] = {
    "message",
    "edited_message",
    "channel_post",
    "edited_channel_post",
    "business_connection",
    "business_message",
    "edited_business_message",
    "deleted_business_messages",
    "guest_message",
    "message_reaction",
    "message_reaction_count",
    "inline_query",
    "chosen_inline_result",
    "callback_query",
    "shipping_query",
    "pre_checkout_query",
    "purchased_paid_media",
    "poll",
    "poll_answer",
    "my_chat_member",
    "chat_member",
    "chat_join_request",
    "chat_boost",
    "removed_chat_boost",
    "managed_bot",
    NULL,
};

static uint64_t kind_bit(const char *kind)
{
	for (unsigned i = 0; update_kinds[i]; i++) {
		if (strcmp(kind, update_kinds[i]) == 0)
			return 1ull << i;
	}
	return 0;
}

static uint64_t default_kinds(void)
{
	return ~(kind_bit("chat_member") | kind_bit("message_reaction") | kind_bit("message_reaction_count"));
}

static void on_poll_wake(void *arg);
static void on_poll_end(void *arg);

void updates_init(struct updates *q, struct bot *b)
{
	q->bot = b;
	/* starts anew at random, as the platform's do: numbers of an earlier run must not come back */
	q->next_id = 100000000 + (int64_t)(random_u64() % 800000000);
	q->allowed = default_kinds();
	q->ready_end = &q->ready;
	timer_init(&q->poll_end, b->sim->loop, on_poll_end, q);
	q->poll_wake = (struct task){.fn = on_poll_wake, .arg = q};
	webhook_init(q);
}

/* --- lanes */

static struct lane *lane_get(struct updates *q, struct update_lane key)
{
	struct map *m = key.by_user ? &q->user_lanes : &q->chat_lanes;
	struct lane *l = map_get(m, key.key);

	if (!l) {
		l = mem_zalloc(sizeof(*l));
		l->bot = q->bot;
		l->by_user = key.by_user;
		l->key = key.key;
		map_put(m, key.key, l);
	}
	return l;
}

static void lane_free_if_idle(struct updates *q, struct lane *l)
{
	if (l->first || l->call || l->queued)
		return;
	map_remove(l->by_user ? &q->user_lanes : &q->chat_lanes, l->key);
	if (l->again.fn)
		timer_release(&l->again);
	free(l);
}

void updates_lane_idle(struct lane *l)
{
	lane_free_if_idle(&l->bot->updates, l);
}

/* --- the list */

bool updates_full(const struct updates *q)
{
	return q->pending >= UPDATES_MAX;
}

int64_t updates_add(struct updates *q, const char *kind, struct update_lane key, struct span body)
{
	uint64_t bit = kind_bit(kind);
	char head[40];

	if (bit && !(q->allowed & bit)) {
		q->filtered++;
		return -1;
	}
	int n = snprintf(head, sizeof(head), "{\"update_id\":%lld,", (long long)q->next_id);
	size_t len = (size_t)n + body.len + 1;
	struct update *u = mem_zalloc(sizeof(*u) + len + 1);
	u->id = q->next_id++;
	u->at_ms = clock_ms();
	u->query = strcmp(kind, "callback_query") == 0;
	u->len = len;
	memcpy(u->json, head, (size_t)n);
	memcpy(u->json + n, body.ptr, body.len);
	u->json[len - 1] = '}';

	u->lane = lane_get(q, key);
	if (u->lane->last)
		u->lane->last->behind = u;
	else
		u->lane->first = u;
	u->lane->last = u;
	u->prev = q->last;
	if (q->last)
		q->last->next = u;
	else
		q->first = u;
	q->last = u;
	q->pending++;
	q->created++;
	webhook_ready(u->lane);
	if (q->poller)
		loop_defer(q->bot->sim->loop, &q->poll_wake);
	return u->id;
}

/* Updates of a lane may only go from its head, except when everything goes. */
static void unlink_from_lane(struct lane *l, struct update *u)
{
	struct update **p = &l->first, *before = NULL;

	while (*p != u) {
		before = *p;
		p = &before->behind;
	}
	*p = u->behind;
	if (l->last == u)
		l->last = before;
	if (l->sent == u)
		l->sent = NULL;
}

void updates_remove(struct updates *q, struct update *u)
{
	unlink_from_lane(u->lane, u);
	if (u == q->first)
		q->first = u->next;
	else
		u->prev->next = u->next;
	if (u == q->last)
		q->last = u->prev;
	else
		u->next->prev = u->prev;
	q->pending--;
	lane_free_if_idle(q, u->lane);
	free(u);
}

bool update_expired(const struct update *u)
{
	return clock_ms() - u->at_ms > (u->query ? QUERY_TTL_MS : MESSAGE_TTL_MS);
}

/* Presses die sooner than the messages around them, so the whole list would have to be looked at: the head is enough
 * for messages, and presses are looked at once more when they would go out. */
void updates_expire(struct updates *q)
{
	while (q->first && update_expired(q->first)) {
		q->expired++;
		updates_remove(q, q->first);
	}
}

static void cancel_lanes(struct map *lanes)
{
	struct lane *l;

	for (size_t i = 0; (l = map_next(lanes, &i)) != NULL;) {
		if (l->call)
			http_cancel(l->call);
		if (l->again.fn)
			timer_release(&l->again);
		free(l);
	}
	map_release(lanes);
}

size_t updates_clear(struct updates *q)
{
	size_t n = q->pending;
	struct update *next;

	cancel_lanes(&q->chat_lanes);
	cancel_lanes(&q->user_lanes);
	q->hook.inflight = 0;
	q->ready = NULL;
	q->ready_end = &q->ready;
	for (struct update *u = q->first; u; u = next) {
		next = u->next;
		free(u);
	}
	q->first = q->last = NULL;
	q->pending = 0;
	return n;
}

void updates_release(struct updates *q)
{
	updates_end_poll(q, "Conflict: the server stops");
	updates_clear(q);
	task_cancel(&q->poll_wake);
	task_cancel(&q->pump);
	timer_release(&q->poll_end);
	free(q->hook.url);
	free(q->hook.secret);
	free(q->hook.error);
}

/* --- what the bot wants */

bool updates_allow(struct updates *q, const cJSON *names)
{
	const cJSON *name;
	uint64_t bits = 0;

	if (!cJSON_IsArray(names))
		return false;
	cJSON_ArrayForEach(name, names)
	{
		if (!cJSON_IsString(name))
			return false;
		bits |= kind_bit(name->valuestring); /* unknown kinds are passed over, as the platform does */
	}
	q->allowed_set = bits != 0;
	q->allowed = bits ? bits : default_kinds();
	return true;
}

void updates_write_allowed(const struct updates *q, struct json_writer *w)
{
	json_begin_arr(w);
	for (unsigned i = 0; update_kinds[i]; i++) {
		if (q->allowed & 1ull << i)
			json_put_str(w, update_kinds[i]);
	}
	json_end_arr(w);
}

/* --- getUpdates */

void updates_confirm(struct updates *q, int64_t offset)
{
	if (offset < 0) {
		while (q->first && q->pending > (uint64_t)-offset)
			updates_remove(q, q->first);
		return;
	}
	/* an offset far ahead of all numbers is no confirmation */
	if (offset > q->next_id)
		return;
	while (q->first && q->first->id < offset) {
		q->delivered++;
		updates_remove(q, q->first);
	}
}

size_t updates_write(const struct updates *q, struct json_writer *w, int64_t offset, int64_t limit)
{
	size_t n = 0;

	json_begin_arr(w);
	for (const struct update *u = q->first; u && (int64_t)n < limit; u = u->next) {
		if (u->id < offset || update_expired(u))
			continue;
		json_put_raw(w, (struct span){u->json, u->len});
		n++;
	}
	json_end_arr(w);
	return n;
}

static void answer_poll(struct updates *q)
{
	struct call *c = q->poller;

	q->poller = NULL;
	timer_stop(&q->poll_end);
	task_cancel(&q->poll_wake);
	call_begin(c);
	updates_write(q, &c->w, 0, q->poller_limit);
	call_end(c);
}

static void on_poll_wake(void *arg)
{
	struct updates *q = arg;
	if (q->poller && q->first)
		answer_poll(q);
}

static void on_poll_end(void *arg)
{
	struct updates *q = arg;
	if (q->poller)
		answer_poll(q);
}

void updates_poll(struct updates *q, struct call *c, int64_t limit, int64_t ms)
{
	q->poller = c;
	q->poller_limit = limit;
	timer_set(&q->poll_end, ms);
}

void updates_end_poll(struct updates *q, const char *description)
{
	struct call *c = q->poller;

	if (!c)
		return;
	q->poller = NULL;
	timer_stop(&q->poll_end);
	task_cancel(&q->poll_wake);
	call_begin(c);
	call_fail(c, 409, "%s", description);
	call_end(c);
}
