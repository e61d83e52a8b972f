#include "shoal/worker/ahead.h"

#include "shoal/base/clock.h"
#include "shoal/worker/reach.h"
#include "shoal/worker/worker.h"

/* A place is for now: those of a long commit would all be used at once. */
#define FRESH_MS 100

static void answered(void *arg, enum err err, const struct flood_answer *a)
{
	struct job *j = arg;
	reach_heard_redis(j->worker->reach, err);
	if (err == ERR_OK && a->what == FLOOD_BOOKED && a->wait_ms == 0)
		j->ahead_ms = clock_ms();
	job_end(j);
}

static bool is_given(const struct job *j, const struct call *c)
{
	return j->ahead_ms && j->ahead_chat == c->chat_id && clock_ms() - j->ahead_ms <= FRESH_MS;
}

void ahead_ask(struct job *j)
{
	struct worker *w = j->worker;
	const struct call *c = j->effects.calls;
	/* Where a platform counts by routes, each call is to tell how its own stands before the next one asks. */
	if (j->effects.ncalls == 0 || j->effects.errands || j->entry->again || c->token || j->platform->buckets ||
	    w->outlet.calls == OUTLET_CALLS || reach_bot_trouble(w->reach, j->bot) || is_given(j, c))
		return;
	const struct flood_message m = {
	    .bot = j->bot->name, .chat_id = c->chat_id, .group = c->group, .standing = FLOOD_AHEAD};
	j->ahead_ms = 0;
	j->ahead_chat = c->chat_id;
	job_begin(j);
	flood_ask(w->flood, &m, answered, j);
}

bool ahead_given(struct job *j, const struct call *c)
{
	bool given = is_given(j, c) && !flood_bot_blocked(j->worker->flood, j->bot->name);
	j->ahead_ms = 0;
	return given;
}
