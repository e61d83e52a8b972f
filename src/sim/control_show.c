/* The listings of the control API. */
#include "shoal/sim/control_show.h"

#include <string.h>

#include "shoal/base/clock.h"
#include "shoal/sim/call.h"
#include "shoal/sim/control.h"
#include "shoal/sim/discord_show.h"
#include "shoal/sim/telegram.h"

#define USERS_SHOWN 200

static struct json_writer begin(struct sim *s)
{
	struct json_writer w;
	buf_clear(&s->out);
	json_writer_init(&w, &s->out);
	return w;
}

static void kv_ms(struct json_writer *w, const char *name, int64_t us)
{
	if (us >= 0)
		json_kv_num(w, name, (double)us / 1000);
}

void show_user(struct json_writer *w, const struct user *u)
{
	tg_write_user(w, u);
}

void show_users(struct sim *s, struct json_writer *w)
{
	const struct user *u;
	size_t n = 0;

	json_begin_arr(w);
	for (size_t i = 0; n < USERS_SHOWN && (u = map_next(&s->users, &i)) != NULL; n++)
		show_user(w, u);
	json_end_arr(w);
}

static const char *default_commands(const struct bot *b)
{
	for (const struct command_list *l = b->commands; l; l = l->next) {
		if (strcmp(l->scope, "default 0 0 ") == 0 || strcmp(l->scope, "all_private_chats 0 0 ") == 0)
			return l->json;
	}
	return "[]";
}

static void show_bot(struct json_writer *w, const struct bot *b)
{
	json_begin_obj(w);
	json_kv_str(w, "name", b->name);
	json_kv_i64(w, "id", b->id);
	json_kv_str(w, "first_name", b->title);
	json_kv_str(w, "username", b->username);
	json_kv_str(w, "description", b->description);
	json_kv_str(w, "listens", b->updates.hook.url ? "webhook" : b->updates.poller ? "getUpdates" : "no");
	json_key(w, "commands");
	json_put_raw(w, span_of(default_commands(b)));
	json_end_obj(w);
}

void show_bots(struct sim *s, struct json_writer *w)
{
	json_begin_arr(w);
	for (size_t i = 0; i < s->nbots; i++)
		show_bot(w, s->bots[i]);
	json_end_arr(w);
}

/* --- chats */

static void show_chat_line(struct json_writer *w, struct chat *c)
{
	const struct message *last = c->nmessages ? chat_message_at(c, c->nmessages - 1) : NULL;

	json_begin_obj(w);
	json_kv_str(w, "bot", c->bot->name);
	json_kv_i64(w, "chat_id", c->id);
	json_kv_str(w, "type", c->type);
	json_kv_str(w, "title", c->user ? c->user->first_name : c->title);
	json_kv_bool(w, "blocked", c->blocked);
	json_kv_i64(w, "messages", (int64_t)c->nmessages);
	if (last && !last->deleted) {
		json_kv_i64(w, "last_message_id", last->id);
		json_kv_str(w, "last_text", last->text);
		json_kv_i64(w, "last_date", last->date);
	}
	json_kv_i64(w, "seq", c->seq);
	json_end_obj(w);
}

void show_chats(struct sim *s, struct bot *only, int64_t limit)
{
	struct json_writer w = begin(s);
	struct chat *c;

	json_begin_arr(&w);
	for (size_t k = 0; k < s->nbots; k++) {
		if (only && s->bots[k] != only)
			continue;
		for (size_t i = 0; limit > 0 && (c = map_next(&s->bots[k]->chats, &i)) != NULL; limit--)
			show_chat_line(&w, c);
	}
	json_end_arr(&w);
}

static void show_message(struct json_writer *w, struct chat *c, const struct message *m)
{
	json_begin_obj(w);
	json_kv_i64(w, "seq", m->seq);
	if (m->deleted) {
		json_kv_i64(w, "message_id", m->id);
		json_kv_bool(w, "deleted", true);
	} else {
		tg_message_members(w, c, m, false);
		if (m->worker[0])
			json_kv_str(w, "worker", m->worker);
		kv_ms(w, "latency_ms", m->waited_us);
	}
	json_end_obj(w);
}

static void show_note(struct json_writer *w, const struct note *n)
{
	json_begin_obj(w);
	json_kv_i64(w, "seq", n->seq);
	json_kv_i64(w, "time", n->at_ms);
	json_kv_str(w, "kind", n->kind);
	if (n->text)
		json_kv_str(w, "text", n->text);
	if (n->message_id)
		json_kv_i64(w, "message_id", n->message_id);
	if (n->worker[0])
		json_kv_str(w, "worker", n->worker);
	kv_ms(w, "latency_ms", n->waited_us);
	json_end_obj(w);
}

static void show_notes(struct json_writer *w, struct chat *c, int64_t after)
{
	size_t first = c->nnotes > CHAT_NOTES_MAX ? c->nnotes - CHAT_NOTES_MAX : 0;

	json_begin_arr(w);
	for (size_t i = first; after > 0 && i < c->nnotes; i++) {
		if (c->notes[i % CHAT_NOTES_MAX].seq > after)
			show_note(w, &c->notes[i % CHAT_NOTES_MAX]);
	}
	json_end_arr(w);
}

void control_write_chat(struct chat *c, int64_t after)
{
	struct sim *s = c->bot->sim;
	struct json_writer w = begin(s);

	json_begin_obj(&w);
	json_kv_i64(&w, "epoch", s->epoch_ms);
	json_kv_i64(&w, "seq", c->seq);
	json_key(&w, "chat");
	tg_write_chat(&w, c);
	json_kv_bool(&w, "blocked", c->blocked);
	json_key(&w, "reply_keyboard");
	json_put_raw(&w, span_of(c->reply_keyboard ? c->reply_keyboard : "null"));
	json_key(&w, "messages");
	json_begin_arr(&w);
	for (size_t i = 0; i < c->nmessages; i++) {
		const struct message *m = chat_message_at(c, i);
		if (m->seq > after && (after > 0 || !m->deleted))
			show_message(&w, c, m);
	}
	json_end_arr(&w);
	json_key(&w, "notes");
	show_notes(&w, c, after);
	json_end_obj(&w);
}

void show_no_chat(struct sim *s, struct bot *b)
{
	struct json_writer w = begin(s);

	json_begin_obj(&w);
	json_kv_i64(&w, "epoch", s->epoch_ms);
	json_kv_i64(&w, "seq", 0);
	json_key(&w, "chat");
	json_put_null(&w);
	json_key(&w, "bot");
	show_bot(&w, b);
	json_end_obj(&w);
}

/* --- the record and the numbers */

void show_calls(struct sim *s, int64_t after, int64_t limit)
{
	struct json_writer w = begin(s);
	const struct record *r = &s->record;
	int64_t seq = after + 1 > r->first ? after + 1 : r->first, n = 0;

	json_begin_obj(&w);
	json_kv_i64(&w, "first", r->first); /* older ones are forgotten */
	json_key(&w, "calls");
	json_begin_arr(&w);
	for (; seq < r->next && n < limit && s->out.len < s->out.max / 2; seq++, n++)
		record_write(&w, record_get(r, seq));
	json_end_arr(&w);
	json_kv_i64(&w, "last", seq - 1);
	json_end_obj(&w);
}

void show_samples(struct json_writer *w, const char *name, const struct samples *m)
{
	json_key(w, name);
	json_begin_obj(w);
	json_kv_i64(w, "count", (int64_t)m->count);
	json_kv_num(w, "p50", (double)samples_quantile(m, 0.5) / 1000);
	json_kv_num(w, "p99", (double)samples_quantile(m, 0.99) / 1000);
	json_kv_num(w, "max", (double)m->max_us / 1000);
	json_end_obj(w);
}

static void show_bot_numbers(struct json_writer *w, struct bot *b)
{
	struct updates *q = &b->updates;

	updates_expire(q);
	json_key(w, b->name);
	json_begin_obj(w);
	json_kv_i64(w, "chats", (int64_t)b->chats.count);
	json_kv_i64(w, "created", (int64_t)q->created);
	json_kv_i64(w, "pending", (int64_t)q->pending);
	json_kv_i64(w, "delivered", (int64_t)q->delivered);
	json_kv_i64(w, "retries", (int64_t)q->retries);
	json_kv_i64(w, "expired", (int64_t)q->expired);
	json_kv_i64(w, "filtered", (int64_t)q->filtered);
	json_kv_i64(w, "in_flight", q->hook.inflight);
	json_kv_i64(w, "last_update_id", q->next_id - 1);
	json_end_obj(w);
}

void control_write_stats(struct sim *s, struct json_writer *w)
{
	json_begin_obj(w);
	json_kv_i64(w, "uptime_ms", clock_ms() - s->started_ms);
	json_kv_i64(w, "users", (int64_t)s->users.count);
	json_kv_i64(w, "messages_in", (int64_t)s->messages_in);
	json_kv_i64(w, "presses_in", (int64_t)s->presses_in);
	json_kv_i64(w, "messages_out", (int64_t)s->messages_out);
	json_kv_i64(w, "calls", s->record.next - 1);
	json_key(w, "methods");
	api_write_counts(s, w);
	json_key(w, "bots");
	json_begin_obj(w);
	for (size_t i = 0; i < s->nbots; i++)
		show_bot_numbers(w, s->bots[i]);
	json_end_obj(w);
	show_samples(w, "press_to_answer_ms", &s->press_to_answer);
	show_samples(w, "message_to_reply_ms", &s->message_to_reply);
	if (s->discord)
		dc_show_stats(s->discord, w);
	json_end_obj(w);
}
