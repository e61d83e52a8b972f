#include "shoal/cli/scan.h"

#include <string.h>

const redisReply *scan_keys(const redisReply *r, char cursor[SCAN_CURSOR_MAX])
{
	const redisReply *next, *keys;

	if (r->type != REDIS_REPLY_ARRAY || r->elements != 2)
		return NULL;
	next = r->element[0];
	keys = r->element[1];
	if (next->type != REDIS_REPLY_STRING || next->len >= SCAN_CURSOR_MAX || keys->type != REDIS_REPLY_ARRAY)
		return NULL;
	for (size_t i = 0; i < keys->elements; i++)
		if (keys->element[i]->type != REDIS_REPLY_STRING)
			return NULL;
	memcpy(cursor, next->str, next->len + 1);
	return keys;
}
