#include "shoal/io/redis_find.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shoal/base/arena.h"
#include "shoal/base/str.h"

#define HOPS_MAX 4 /* more than that in a row lead in a circle */

void redis_find_init(struct redis_find *f, const struct redis_url *url)
{
	*f = (struct redis_find){.url = url, .nknown = url->nnodes};
	f->known = mem_zalloc(REDIS_NODES_MAX * sizeof(*f->known));
	for (unsigned i = 0; i < url->nnodes; i++) {
		snprintf(f->known[i].host, sizeof(f->known[i].host), "%s", url->nodes[i].host);
		f->known[i].port = url->nodes[i].port;
	}
}

void redis_find_release(struct redis_find *f)
{
	free(f->known);
	f->known = NULL;
}

struct redis_spot redis_find_next(struct redis_find *f, bool *sentinel)
{
	*sentinel = f->url->master && !f->is_told;
	if (f->is_told) {
		f->is_told = false;
		return f->told;
	}
	f->hops = 0;
	return f->known[f->at++ % f->nknown];
}

static bool tell(struct redis_find *f, const char *host, size_t len, int64_t port)
{
	if (len == 0 || len >= REDIS_HOST_MAX || port < 1 || port > 65535 || f->hops >= HOPS_MAX)
		return false;
	snprintf(f->told.host, sizeof(f->told.host), "%.*s", (int)len, host);
	f->told.port = (int)port;
	f->is_told = true;
	f->hops++;
	return true;
}

/* ---- clusters */

/* A node that does not know its own name says "" or "?": it is where it was asked. */
static const char *named(const char *host, size_t *len, const struct redis_spot *from)
{
	if (*len && !(*len == 1 && *host == '?'))
		return host;
	*len = strlen(from->host);
	return from->host;
}

/* "MOVED SLOT HOST:PORT" */
static bool is_moved(const char *error, struct span *host, int64_t *port)
{
	const char *at = error + (*error == '-'), *colon;
	if (strncmp(at, "MOVED ", 6) != 0 || !(at = strchr(at + 6, ' ')) || !(colon = strrchr(++at, ':')))
		return false;
	*host = (struct span){at, (size_t)(colon - at)};
	return span_i64((struct span){colon + 1, strcspn(colon + 1, " ")}, port);
}

bool redis_find_moved(struct redis_find *f, const struct redis_spot *from, const char *error)
{
	struct span host;
	int64_t port;
	if (!f->url->shards || !is_moved(error, &host, &port))
		return false;
	const char *name = named(host.ptr, &host.len, from);
	return tell(f, name, host.len, port);
}

const char *redis_find_hint(const struct redis_find *f, const char *error)
{
	struct span host;
	int64_t port;
	return !f->url->shards && is_moved(error, &host, &port)
	           ? "this is a Redis Cluster: its URL needs ?shards=N, the number of shards"
	           : NULL;
}

static void know(struct redis_find *f, const struct redis_spot *spot)
{
	for (unsigned i = 0; i < f->nknown; i++)
		if (f->known[i].port == spot->port && !strcmp(f->known[i].host, spot->host))
			return;
	if (f->nknown < REDIS_NODES_MAX)
		f->known[f->nknown++] = *spot;
}

/* Each range of slots: first, last, then its nodes: host, port, ... */
void redis_find_learn(struct redis_find *f, const struct redis_spot *from, const redisReply *reply)
{
	if (!f->url->shards || reply->type != REDIS_REPLY_ARRAY || reply->elements == 0)
		return;
	f->nknown = f->url->nnodes; /* nodes come and go */
	for (size_t i = 0; i < reply->elements; i++) {
		const redisReply *range = reply->element[i];
		for (size_t k = 2; range->type == REDIS_REPLY_ARRAY && k < range->elements; k++) {
			const redisReply *node = range->element[k];
			if (node->type != REDIS_REPLY_ARRAY || node->elements < 2 ||
			    node->element[1]->type != REDIS_REPLY_INTEGER)
				continue;
			bool told = node->element[0]->type == REDIS_REPLY_STRING;
			size_t len = told ? node->element[0]->len : 0;
			const char *host = named(told ? node->element[0]->str : "", &len, from);
			struct redis_spot spot = {.port = (int)node->element[1]->integer};
			if (len < sizeof(spot.host)) {
				snprintf(spot.host, sizeof(spot.host), "%.*s", (int)len, host);
				know(f, &spot);
			}
		}
	}
}

/* ---- Sentinels, and who is a master */

void redis_find_question(const struct redis_find *f, const char *words[REDIS_FIND_WORDS])
{
	words[0] = "SENTINEL";
	words[1] = "GET-MASTER-ADDR-BY-NAME";
	words[2] = f->url->master;
}

const char *redis_find_answer(struct redis_find *f, const redisReply *reply)
{
	int64_t port;
	if (reply->type == REDIS_REPLY_NIL)
		return "the Sentinel knows no master of that name";
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 || reply->element[0]->type != REDIS_REPLY_STRING ||
	    reply->element[1]->type != REDIS_REPLY_STRING ||
	    !span_i64((struct span){reply->element[1]->str, reply->element[1]->len}, &port) ||
	    !tell(f, reply->element[0]->str, reply->element[0]->len, port))
		return "the Sentinel names no address of its master";
	return NULL;
}

const char *redis_find_role(const redisReply *reply)
{
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements == 0 || reply->element[0]->type != REDIS_REPLY_STRING ||
	    !strcmp(reply->element[0]->str, "master"))
		return NULL; /* also where ROLE is not allowed: a write will tell */
	return strcmp(reply->element[0]->str, "slave") == 0 ? "READONLY: it is a replica" : "it is a Sentinel";
}
