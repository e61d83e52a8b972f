/* The table of the stages, and those that are short. */
#include "shoal/worker/stages.h"

#include <stdlib.h>

#include "shoal/bots/registry.h"
#include "shoal/worker/courtesy.h"
#include "shoal/worker/reach.h"
#include "shoal/worker/send.h"
#include "shoal/worker/worker.h"

/* ---- decode */

static enum step decode(struct job *j)
{
	struct worker *w = j->worker;
	const struct queue_entry *e = j->entry;
	if (w->suspect == j && w->njobs > 1)
		return STEP_WAIT; /* worker_job_over() wakes it */
	j->bot = bots_find(e->bot);
	if (!j->bot || !conf_has_bot(&w->conf, j->bot->name)) {
		j->bot = NULL;
		return job_dead(j, arena_printf(&j->arena, "unknown bot \"%.*s\"",
		                                (int)(e->bot.len < 40 ? e->bot.len : 40), e->bot.ptr));
	}
	j->platform = platform_of(j->bot->platform);

	int64_t at;
	if (!e->at.ptr || !span_i64(e->at, &at))
		at = strtoll(e->id, NULL, 10); /* an entry's id begins with its time in ms */
	const char *why = "";
	if (j->platform->decode(j->bot, e->body, e->key.ptr, at, &j->arena, &j->update, &why) != ERR_OK)
		return job_dead(j, arena_printf(&j->arena, "body: %s", why));
	j->command = bot_command(j->bot, &j->update);
	if (!j->command)
		j->outcome = JOB_IGNORED;
	return STEP_NEXT;
}

/* ---- acknowledge: where the gateway polls, nobody has answered the button yet, known to a command or not */

static enum step acknowledge(struct job *j)
{
	if (j->step && j->ruling.limited)
		flood_limited(j->worker->flood, j->bot->name, 0, j->ruling.wait_ms, "");
	if (j->step++ || j->worker->conf.telegram_mode != TELEGRAM_POLL || j->update.kind != UPDATE_PRESS ||
	    !j->platform->answer_press || j->entry->handed == HANDED_AGAIN ||
	    reach_bot_trouble(j->worker->reach, j->bot))
		return STEP_NEXT;
	struct call call;
	const char *toast = j->command && j->command->toast ? j->command->toast : "";
	if (flood_bot_blocked(j->worker->flood, j->bot->name))
		return STEP_NEXT;
	j->platform->answer_press(j->update.press_id, toast, &j->arena, &call);
	send_call(j, &call);
	return STEP_WAIT;
}

/* ---- decide */

static enum step encode_replies(struct job *j)
{
	size_t n = 0;
	const char *why = "";
	char number[I64_TEXT_LEN];
	for (const struct reply *r = j->decision.replies; r; r = r->next)
		n++;
	j->effects.errands = j->decision.errands;
	j->effects.calls = arena_array(&j->arena, struct call, n + 1);
	j->effects.ncalls = 0;
	for (const struct reply *r = j->decision.replies; r; r = r->next) {
		struct call *c = &j->effects.calls[j->effects.ncalls];
		i64_text(number, (int64_t)j->effects.ncalls++);
		const char *once = arena_join(&j->arena, j->update.key, "#", number);
		if (j->platform->encode(r, once, &j->arena, c, &why) != ERR_OK)
			return job_retry(
			    j, arena_printf(&j->arena, "%s: reply: %s", j->command ? j->command->name : "none", why));
	}
	courtesy_dismiss(j);
	return STEP_NEXT;
}

static enum step decide(struct job *j)
{
	if (j->outcome == JOB_THROTTLED || !j->command) {
		courtesy_decide(j);
		return encode_replies(j);
	}
	if (j->outcome != JOB_UNDECIDED)
		return STEP_NEXT;
	decision_init(&j->decision, &j->arena);
	j->command->decide(&j->update, &j->facts, &j->decision);
	if (j->decision.failed != ERR_OK)
		return job_retry(j, arena_printf(&j->arena, "%s: %s", j->command->name, j->decision.why));
	if (j->facts.presumed && !j->decision.commit)
		return job_retry(j, arena_printf(&j->arena, "%s: presumed, and no commit looks", j->command->name));
	if (j->decision.outcome == OUTCOME_IGNORED)
		j->outcome = JOB_IGNORED;
	return encode_replies(j);
}

/* ---- the table */

const struct stage_row job_stages[STAGE_COUNT] = {
    [STAGE_DECODE] = {"decode", decode}, [STAGE_ACKNOWLEDGE] = {"acknowledge", acknowledge},
    [STAGE_LOAD] = {"load", load},       [STAGE_DECIDE] = {"decide", decide},
    [STAGE_COMMIT] = {"commit", commit}, [STAGE_REPLY] = {"reply", reply},
    [STAGE_SETTLE] = {"settle", settle},
};
