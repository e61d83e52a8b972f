/* /api/queue, and its pauses. */
#include "shoal/admin/note.h"
#include "shoal/admin/routes.h"
#include "shoal/admin/shards.h"
#include "shoal/store/queue_admin.h"
#include "shoal/store/queue_stats.h"
#include "shoal/store/rules.h"

/* --- look */

static void put_shard(struct json_writer *out, unsigned shard, const struct shard_numbers *n)
{
	json_begin_obj(out);
	json_kv_i64(out, "shard", shard);
	json_kv_bool(out, "reachable", n->err == ERR_OK);
	if (n->err == ERR_OK)
		queue_stats_put(out, &n->stats);
	else if (*n->stats.why)
		json_kv_str(out, "why", n->stats.why);
	json_end_obj(out);
}

static void on_numbers(void *arg, const struct shard_numbers *n)
{
	struct visitor *v = arg;
	struct queue_stats total;

	if (shards_sum(v->api, n, &total) == 0) {
		if (n[0].err == ERR_REFUSED && *n[0].stats.why)
			visitor_refuse(v, 503, "refused", "shard 0: Redis says: %s", n[0].stats.why);
		else
			visitor_failed(v, n[0].err, "Redis");
		return;
	}
	json_begin_obj(&v->json);
	queue_stats_put(&v->json, &total);
	json_key(&v->json, "shards");
	json_begin_arr(&v->json);
	for (unsigned i = 0; i < v->api->nshards; i++)
		put_shard(&v->json, i, &n[i]);
	json_end_arr(&v->json);
	json_end_obj(&v->json);
	visitor_send(v, 200);
}

void queue_look(struct visitor *v)
{
	shards_numbers(v->api, v->a, on_numbers, v);
}

/* --- pause, resume */

struct pausing {
	const char *action, *bot; /* NULL: all */
	unsigned left, told;
	enum err worst;
	unsigned worst_shard;
	const char *why; /* of the worst */
	struct queue_pause now;
	bool changed;
};

static const char *target_of(struct visitor *v)
{
	const struct pausing *p = v->state;

	return arena_printf(v->a, "bot:%s", p->bot ? p->bot : "*");
}

/* Some shards may be told when another cannot be: then it is to be called again. */
static void fail_pause(struct visitor *v, const struct pausing *p)
{
	if (p->worst == ERR_CONFLICT)
		visitor_refuse(v, 409, "all_paused", "all bots are paused, so that one cannot go on alone");
	else if (p->worst == ERR_REFUSED)
		visitor_refuse(v, 503, "version", "shard %u: %s", p->worst_shard, p->why);
	else if (p->told > 0)
		visitor_later(v, 503, "unavailable",
		              arena_printf(v->a, "shard %u cannot be reached; the others are told: call it again",
		                           p->worst_shard),
		              1000);
	else
		note_failed(v, p->worst, "Redis", p->action, target_of(v));
}

static void tell_pause(struct visitor *v, bool noted)
{
	const struct pausing *p = v->state;

	if (p->worst != ERR_OK) {
		fail_pause(v, p);
		return;
	}
	json_begin_obj(&v->json);
	json_kv_bool(&v->json, "changed", p->changed);
	json_kv_str(&v->json, "paused", queue_paused_text(p->now.paused));
	if (p->changed) {
		note_end(v, noted);
		return;
	}
	json_end_obj(&v->json);
	visitor_send(v, 200);
}

/* What has changed is noted, also where another shard could not be told. */
static void end_pause(struct visitor *v)
{
	const struct pausing *p = v->state;

	if (p->changed)
		note(v, p->action, target_of(v), "{}", tell_pause);
	else
		tell_pause(v, false);
}

static void on_paused(void *arg, unsigned shard, enum err err, const redisReply *reply)
{
	struct visitor *v = arg;
	struct pausing *p = v->state;
	const char *why = NULL;

	if (err == ERR_OK)
		err = queue_pause_read(reply, v->a, &p->now, &why);
	if (err == ERR_OK) {
		p->told++;
		p->changed |= p->now.changed;
	} else {
		p->worst = err;
		p->worst_shard = shard;
		p->why = why;
	}
	if (--p->left == 0)
		end_pause(v);
}

static void change(struct visitor *v, bool pause)
{
	struct queue_call **calls = arena_array(v->a, struct queue_call *, v->api->nshards);
	struct pausing *p = arena_new(v->a, struct pausing);
	const cJSON *body = visitor_body(v, "bot"), *bot;
	const char *why = NULL;

	if (!body)
		return;
	bot = json_get(body, "bot");
	if (bot && !cJSON_IsNull(bot))
		why = cJSON_IsString(bot) ? rule_bot(v->a, bot->valuestring) : "the bot must be a text, or null: all";
	if (why) {
		visitor_invalid(v, "bot", why);
		return;
	}
	*p = (struct pausing){
	    .action = pause ? "queue.pause" : "queue.resume", .bot = json_str(body, "bot"), .left = v->api->nshards};
	v->state = p;
	for (unsigned i = 0; i < v->api->nshards; i++)
		calls[i] = queue_pause_call(v->a, i, v->api->nshards, pause, p->bot);
	shards_ask(v->api, v->a, calls, on_paused, v);
}

void queue_pause_it(struct visitor *v)
{
	change(v, true);
}

void queue_resume_it(struct visitor *v)
{
	change(v, false);
}
