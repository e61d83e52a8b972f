#include "shoal/worker/fleet_matcher.h"

#include <stdio.h>

#include "shoal/bots/ladder.h"
#include "shoal/store/line.h"
#include "shoal/wire/platform.h"

static void on_part(void *arg, enum err err, const redisReply *reply)
{
	struct fleet_run *run = arg;
	int64_t pairs = 0, over = 0;

	if (err == ERR_OK && !line_match_read(reply, &pairs, &over, &run->found))
		err = ERR_PROTOCOL;
	if (err != ERR_OK) {
		fleet_step_failed(run, err, reply && reply->type == REDIS_REPLY_ERROR ? reply->str : "the line");
		return;
	}
	run->at++;
	fleet_step_done(run, pairs + over, run->found >= 0);
}

void fleet_matcher_step(struct fleet_run *run)
{
	char lanes[64];

	if (run->at == 0)
		run->found = 0;
	snprintf(lanes, sizeof(lanes), "%s:%s:", platform_of(bot_ladder.platform)->name, bot_ladder.name);
	line_match(run->shards[0], bot_ladder.name, lanes, run->found, on_part, run);
}
