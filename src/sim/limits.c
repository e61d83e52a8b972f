/* The platform's own flood limits, as its documentation states them: about one message a second in a chat with
 * bursts, 20 a minute in a group, 30 a second for a bot. */
#include "shoal/sim/limits.h"

#include <math.h>

struct limit {
	double burst, per_second;
};
static const struct limit bot_limit = {30, 30}, private_limit = {20, 1}, group_limit = {20, 20.0 / 60};

static void refill(struct bucket *b, const struct limit *l, int64_t now_us)
{
	if (b->at_us == 0)
		b->tokens = l->burst;
	else
		b->tokens = fmin(l->burst, b->tokens + (double)(now_us - b->at_us) * 1e-6 * l->per_second);
	b->at_us = now_us;
}

static int64_t seconds_until_one(const struct bucket *b, const struct limit *l)
{
	return b->tokens >= 1 ? 0 : (int64_t)ceil((1 - b->tokens) / l->per_second);
}

int64_t limits_take(struct bot *b, struct chat *c, int64_t now_us)
{
	const struct limit *chat_limit = c->user ? &private_limit : &group_limit;

	refill(&b->bucket, &bot_limit, now_us);
	refill(&c->bucket, chat_limit, now_us);
	int64_t bot_wait = seconds_until_one(&b->bucket, &bot_limit);
	int64_t chat_wait_s = seconds_until_one(&c->bucket, chat_limit);
	if (bot_wait || chat_wait_s)
		return bot_wait > chat_wait_s ? bot_wait : chat_wait_s;
	b->bucket.tokens -= 1;
	c->bucket.tokens -= 1;
	return 0;
}
