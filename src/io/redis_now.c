#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "shoal/io/redis.h"
#include "shoal/io/redis_script.h"
#include "shoal/io/redis_tls.h"
#include "shoal/io/redis_url.h"

#define TIMEOUT_S 5
#define TEXT(x) #x
#define TEXT_OF(x) TEXT(x)

/* hiredis has only the system's word for a time that ran out. */
const char *redis_trouble_now(const redisContext *c)
{
	return strcmp(c->errstr, strerror(EAGAIN)) == 0 ? "it said nothing for " TEXT_OF(TIMEOUT_S) " s" : c->errstr;
}

static bool succeeds(redisContext *c, int argc, const char **argv, struct arena *a, const char **why)
{
	redisReply *reply = redisCommandArgv(c, argc, argv, NULL);
	if (!reply)
		*why = arena_strdup(a, redis_trouble_now(c));
	else if (reply->type == REDIS_REPLY_ERROR)
		*why = arena_strdup(a, reply->str);
	if (reply)
		freeReplyObject(reply);
	return *why == NULL;
}

static bool greet(redisContext *c, const struct redis_url *u, struct arena *a, const char **why)
{
	const char *auth[3] = {"AUTH"};
	int n = 1;
	if (u->user)
		auth[n++] = u->user;
	if (u->pass)
		auth[n++] = u->pass;
	const char *select[] = {"SELECT", arena_printf(a, "%d", u->db)};
	const char *ping[] = {"PING"};
	return (n == 1 || succeeds(c, n, auth, a, why)) && (!u->db || succeeds(c, 2, select, a, why)) &&
	       succeeds(c, 1, ping, a, why);
}

static redisContext *connect_to(const struct redis_url *u, struct arena *a, const char **why)
{
	const struct timeval timeout = {.tv_sec = TIMEOUT_S};
	redisContext *c = u->path ? redisConnectUnixWithTimeout(u->path, timeout)
	                          : redisConnectWithTimeout(u->host, u->port, timeout);
	ENSURE(c);
	if (c->err || redisSetTimeout(c, timeout) != REDIS_OK || (u->tls && !redis_tls_start(c, u->host)))
		*why = arena_strdup(a, redis_trouble_now(c));
	else
		greet(c, u, a, why);
	if (!*why)
		return c;
	redisFree(c);
	return NULL;
}

redisContext *redis_connect_now(const char *url, struct arena *a, const char **why)
{
	struct redis_url u;
	if (redis_url_parse(url, &u, a, why) != ERR_OK)
		return NULL;
	redisContext *c = connect_to(&u, a, why);
	if (!c)
		*why = arena_printf(a, "%s: %s", u.name, *why);
	return c;
}

/* --- scripts */

static redisReply *eval(redisContext *c, const char *verb, struct span script, size_t nkeys, size_t argc,
                        const struct span *argv)
{
	const char **words = mem_alloc((argc + 3) * sizeof(*words));
	size_t *lens = mem_alloc((argc + 3) * sizeof(*lens));
	char keys[24];
	snprintf(keys, sizeof(keys), "%zu", nkeys);
	const struct span head[] = {span_of(verb), script, span_of(keys)};
	for (size_t i = 0; i < argc + 3; i++) {
		struct span word = i < 3 ? head[i] : argv[i - 3];
		words[i] = word.ptr ? word.ptr : "";
		lens[i] = word.len;
	}
	redisReply *reply = redisCommandArgv(c, (int)argc + 3, words, lens);
	free(words);
	free(lens);
	return reply;
}

enum err redis_eval_now(redisContext *c, struct redis_script *s, size_t nkeys, size_t argc, const struct span *argv,
                        redisReply **reply)
{
	bool down;
	ENSURE(nkeys <= argc);
	redis_script_prepare(s);
	*reply = NULL;
	if (c->err) /* it broke before: nothing is sent any more */
		return ERR_UNREACHABLE;
	*reply = eval(c, "EVALSHA", (struct span){s->sha, 40}, nkeys, argc, argv);
	if (*reply && (*reply)->type == REDIS_REPLY_ERROR && !strncmp((*reply)->str, "NOSCRIPT", 8)) {
		freeReplyObject(*reply);
		*reply = eval(c, "EVAL", s->text, nkeys, argc, argv);
	}
	if (!*reply)
		return ERR_UNKNOWN;
	return (*reply)->type == REDIS_REPLY_ERROR ? redis_classify((*reply)->str, &down) : ERR_OK;
}
