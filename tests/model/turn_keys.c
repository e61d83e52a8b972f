#include "turn_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static redisReply *fetch(struct model *m, redisContext *redis, const char *command)
{
	redisReply *r = redisCommand(redis, command);
	if (!r || (r->type != REDIS_REPLY_ARRAY && r->type != REDIS_REPLY_ERROR))
		model_fail(m, "no answer to %s", command);
	return r;
}

static void check_lanes(struct model *m, redisContext *redis)
{
	redisReply *r = fetch(m, redis, "HGETALL shoal:{0}:lanes");
	for (size_t i = 0; i + 1 < r->elements; i += 2) {
		char expected[128] = "free", id[48];
		for (int l = 0; l < LANES; l++) {
			const struct entry *e = model_head(m, l);
			if (!e || strcmp(r->element[i]->str, lane_names[l]) != 0)
				continue;
			snprintf(expected, sizeof(expected), "%s %s%s",
			         e->place == HELD ? m->names[e->owner].text : "@", id_text(e->id, id),
			         e->place == DUE && !e->given ? " new" : "");
		}
		if (strcmp(r->element[i + 1]->str, expected) != 0)
			model_fail(m, "lane %s: %s, not %s", r->element[i]->str, r->element[i + 1]->str, expected);
	}
	freeReplyObject(r);
}

static void check_waiting(struct model *m, redisContext *redis)
{
	redisReply *r = fetch(m, redis, "ZRANGE shoal:{0}:waiting 0 -1");
	for (size_t i = 0; i < r->elements; i++) {
		const char *s = r->element[i]->str, *cut = strchr(s, 1);
		struct id id;
		int entry = cut && strlen(cut) == 42 && parse_id(cut + 1, &id) ? model_find(m, id) : -1;
		const struct entry *e = entry < 0 ? NULL : &m->entries[entry];
		if (!e || e->place != WAITING || strlen(lane_names[e->lane]) != (size_t)(cut - s) ||
		    memcmp(lane_names[e->lane], s, (size_t)(cut - s)) != 0)
			model_fail(m, "%s waits, but should not", s);
	}
	freeReplyObject(r);
}

static void check_due(struct model *m, redisContext *redis)
{
	redisReply *r = fetch(m, redis, "ZRANGE shoal:{0}:due 0 -1 WITHSCORES");
	for (size_t i = 0; i + 1 < r->elements; i += 2) {
		const char *s = r->element[i]->str, *lane = strchr(s, ' ');
		double score = strtod(r->element[i + 1]->str, NULL);
		struct id id;
		int entry = parse_id(s, &id) ? model_find(m, id) : -1;
		const struct entry *e = entry < 0 ? NULL : &m->entries[entry];
		if (!e || e->place != DUE || !lane || strcmp(lane + 1, lane_names[e->lane]) != 0) {
			if (!m->junk_due)
				model_fail(m, "%s is due, but should not be", s);
			continue;
		}
		if (!e->adrift && (score < (double)e->lo || (e->hi != NEVER && score > (double)e->hi)))
			model_fail(m, "%s is due in %.0f ms, not in %lld to %lld", s, score - (double)m->now,
			           (long long)(e->lo - m->now), (long long)(e->hi - m->now));
	}
	freeReplyObject(r);
}

static void check_tries(struct model *m, redisContext *redis)
{
	redisReply *r = fetch(m, redis, "HGETALL shoal:{0}:tries");
	for (size_t i = 0; i + 1 < r->elements; i += 2) {
		const struct entry *e = model_named(m, r->element[i], "tries");
		char expected[64];
		snprintf(expected, sizeof(expected), "%d %d %d", e->retries, e->takeovers, e->sent);
		if (model_is_over(e) || !e->noted)
			model_fail(m, "tries of %s, which has none", r->element[i]->str);
		if (strcmp(r->element[i + 1]->str, expected) != 0 && (e->retries || e->takeovers || e->sent))
			model_fail(m, "tries of %s: %s, not %s", r->element[i]->str, r->element[i + 1]->str, expected);
	}
	freeReplyObject(r);
}

static void check_workers(struct model *m, redisContext *redis)
{
	redisReply *r = fetch(m, redis, "ZRANGE shoal:{0}:workers 0 -1 WITHSCORES");
	for (size_t i = 0; i + 1 < r->elements; i += 2) {
		const struct name *n = NULL;
		for (int k = 0; k < m->nregistered && !n; k++)
			if (!strcmp(m->names[m->registered[k]].text, r->element[i]->str))
				n = &m->names[m->registered[k]];
		if (!n)
			model_fail(m, "%s is registered, but should not be", r->element[i]->str);
		double deadline = strtod(r->element[i + 1]->str, NULL);
		if (deadline != (double)n->deadline)
			model_fail(m, "the deadline of %s is in %.0f ms, not %lld", n->text, deadline - (double)m->now,
			           (long long)(n->deadline - m->now));
	}
	freeReplyObject(r);
}

void model_check_keys(struct model *m, redisContext *redis)
{
	m->tally[T_FULL_CHECKS]++;
	check_lanes(m, redis);
	check_waiting(m, redis);
	check_due(m, redis);
	check_tries(m, redis);
	check_workers(m, redis);
}
