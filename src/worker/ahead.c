#include "shoal/worker/ahead.h"

#include "shoal/base/clock.h"
#include "shoal/worker/reach.h"
#include "shoal/worker/worker.h"

#define FRESH_MS 10 /* so long it is known what the platform says; a commit takes a tenth of it */
#define KEPT_MS 250 /* a place is for now: those of long commits would all be used at once */

static void answered(void *arg, enum err err, const struct flood_answer *a)
{
	struct job *j = arg;
	reach_heard_redis(j->worker->reach, err);
	if (err == ERR_OK && a->what == FLOOD_BOOKED && a->wait_ms == 0)
		j->ahead_ms = clock_ms();
	job_end(j);
}

static bool has_place(const struct job *j, const struct call *c)
{
	return j->ahead_ms && j->ahead_chat == c->chat_id && clock_ms() - j->ahead_ms <= KEPT_MS;
}

void ahead_ask(struct job *j)
{
	struct worker *w = j->worker;
	const struct call *c = j->effects.calls;
	/* Where a platform counts by routes, each call is to tell how its own stands before the next one asks. */
	if (j->effects.ncalls == 0 || j->effects.errands || j->entry->handed != HANDED_FIRST || c->token ||
	    j->platform->buckets || w->outlet.calls == OUTLET_CALLS || reach_bot_trouble(w->reach, j->bot) ||
	    has_place(j, c))
		return;
	const struct flood_message m = {
	    .bot = j->bot->name, .chat_id = c->chat_id, .group = c->group, .standing = FLOOD_AHEAD};
	j->ahead_ms = 0;
	j->ahead_chat = c->chat_id;
	job_begin(j);
	flood_ask(w->flood, &m, answered, j);
}

enum ahead ahead_take(struct job *j, const struct call *c)
{
	bool kept = has_place(j, c), fresh = kept && clock_ms() - j->ahead_ms <= FRESH_MS;

	j->ahead_ms = 0;
	if (fresh && !flood_bot_blocked(j->worker->flood, j->bot->name))
		return AHEAD_GO;
	return kept ? AHEAD_BOOKED : AHEAD_NONE;
}
