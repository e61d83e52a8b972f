/* shoal queue pause, resume: what the workers are not handed. */
#include "shoal/cli/queue.h"
#include "shoal/cli/shard_set.h"
#include "shoal/store/queue_admin.h"
#include "shoal/store/queue_stats.h"
#include "shoal/store/rules.h"

static const struct out_col columns[] = {
    {"shard", OUT_INT}, {"reachable", OUT_BOOL}, {"changed", OUT_BOOL}, {"paused", OUT_TEXT}, {0}};

static enum err tell(struct shard_set *set, struct shard *shard, bool pause, const char *bot, struct queue_pause *out)
{
	struct arena *a = set->s->a;
	const redisReply *r;
	const char *why;
	enum err err = shard_ask(set, shard, queue_pause_call(a, shard->n, set->n, pause, bot), a, &r);

	if (err != ERR_OK)
		return err;
	err = queue_pause_read(r, a, out, &why);
	if (err == ERR_CONFLICT)
		shard_fail(set, shard, EXIT_FAILED,
		           "all bots are paused, so %s cannot go on alone: `shoal queue resume` lets all go on, `shoal "
		           "queue pause --bot BOT` then keeps others back",
		           bot);
	else if (err != ERR_OK)
		shard_fail(set, shard, EXIT_FAILED, "%s", why);
	return err;
}

struct told {
	enum err err;
	struct queue_pause now;
};

static int put_shards(const struct told *told, unsigned n)
{
	struct out o;

	out_begin(&o, true, columns);
	for (unsigned i = 0; i < n; i++) {
		out_row(&o);
		out_int(&o, i);
		out_bool(&o, told[i].err != ERR_UNREACHABLE && told[i].err != ERR_UNKNOWN);
		if (told[i].err == ERR_OK) {
			out_bool(&o, told[i].now.changed);
			out_text(&o, queue_paused_text(told[i].now.paused));
		} else {
			out_null(&o);
			out_null(&o);
		}
	}
	return out_end(&o, NULL);
}

/* For people: the fleet as one. */
static int say(bool pause, const char *bot, bool changed, const char *paused)
{
	const char *now = queue_paused_text(paused);

	return out_done(false, "%s %s%s; paused now: %s", bot ? bot : "every bot",
	                changed ? pause ? "is paused" : "goes on" : "already ",
	                changed ? ""
	                : pause ? "was paused"
	                        : "went on",
	                now ? now : "none");
}

static int change(struct session *s, bool pause)
{
	const char *bot = args_get(s->args, "bot"), *why = rule_bot(s->a, bot), *paused = NULL;
	struct shard_set set;
	struct told *told;
	bool changed = false;
	int code = EXIT_DONE;

	if (why)
		return session_usage(s, "%s", why);
	if ((!shard_set_open(&set, s) && set.n == 0) || set.foreign)
		return s->code;
	told = arena_array(s->a, struct told, set.n);
	for (unsigned i = 0; i < set.n; i++) {
		told[i].err = tell(&set, &set.v[i], pause, bot, &told[i].now);
		if (told[i].err != ERR_OK)
			continue;
		changed |= told[i].now.changed;
		paused = told[i].now.paused;
	}
	if (s->json)
		code = put_shards(told, set.n);
	else if (paused)
		code = say(pause, bot, changed, paused);
	if (s->code == EXIT_NO_SERVER && paused)
		session_fail(s, EXIT_NO_SERVER, "the shards in reach are told; call it again for the others");
	if (changed)
		session_note(s, pause ? "queue.pause" : "queue.resume",
		             bot ? arena_printf(s->a, "bot:%s", bot) : "bot:*", "{}");
	return s->code != EXIT_DONE ? s->code : code;
}

int queue_pause(struct session *s)
{
	return change(s, true);
}

int queue_resume(struct session *s)
{
	return change(s, false);
}
