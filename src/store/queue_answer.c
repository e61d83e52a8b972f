/* Whether what came is an answer of lua/turn.lua: whatever speaks in Redis' place, nothing is read that is not there.
 */
#include "shoal/store/queue_parts.h"

static bool all_of(const redisReply *r, int type)
{
	if (r->type != REDIS_REPLY_ARRAY)
		return false;
	for (size_t i = 0; i < r->elements; i++)
		if (r->element[i]->type != type)
			return false;
	return true;
}

/* Reports name the lane. */
static bool has_lane(const redisReply *fields)
{
	for (size_t i = 0; i + 1 < fields->elements; i += 2)
		if (span_is((struct span){fields->element[i]->str, fields->element[i]->len}, "lane"))
			return true;
	return false;
}

#define NAMELESS 5 /* values: bot, lane, key, at, body; or one more: traceparent */

/* {id, {field, value, ...}} or {id, value, ...}, and if it was handed out before: retries, takeovers, sent; retries are
 * -1 where it perhaps was */
static bool is_entry(const redisReply *r)
{
	if (r->type != REDIS_REPLY_ARRAY || r->elements < 2 || r->element[0]->type != REDIS_REPLY_STRING)
		return false;
	size_t n = 2;
	if (r->element[1]->type == REDIS_REPLY_STRING) {
		while (n < r->elements && r->element[n]->type == REDIS_REPLY_STRING)
			n++;
		if (n != 1 + NAMELESS && n != 2 + NAMELESS)
			return false;
	} else if (!all_of(r->element[1], REDIS_REPLY_STRING) || !has_lane(r->element[1])) {
		return false;
	}
	for (size_t i = n; i < r->elements; i++)
		if (r->element[i]->type != REDIS_REPLY_INTEGER || r->element[i]->integer < (i == n ? -1 : 0) ||
		    r->element[i]->integer > INT32_MAX)
			return false;
	return r->elements == n || r->elements == n + 3;
}

bool turn_answer_sound(const redisReply *r)
{
	static const struct {
		size_t at, each; /* strings, so many together */
	} lists[] = {{2, 1}, {5, 1}, {6, 5}, {8, 3}};
	static const size_t numbers[] = {3, 4, 7};

	if (r->elements != 9 || r->element[1]->type != REDIS_REPLY_ARRAY)
		return false;
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		const redisReply *list = r->element[lists[i].at];
		if (!all_of(list, REDIS_REPLY_STRING) || list->elements % lists[i].each != 0)
			return false;
	}
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (r->element[numbers[i]]->type != REDIS_REPLY_INTEGER)
			return false;
	for (size_t i = 0; i < r->element[1]->elements; i++)
		if (!is_entry(r->element[1]->element[i]))
			return false;
	return true;
}

bool hello_answer_sound(const redisReply *r)
{
	return r->elements >= 2 && all_of(r->element[1], REDIS_REPLY_STRING);
}
