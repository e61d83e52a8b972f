#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "shoal/io/redis.h"
#include "shoal/io/redis_find.h"
#include "shoal/io/redis_reply.h"
#include "shoal/io/redis_script.h"
#include "shoal/io/redis_tls.h"
#include "shoal/io/redis_url.h"

/* hiredis has only the system's word for a time that ran out, and takes what is refused for want of memory. */
const char *redis_trouble_now(redisContext *c)
{
	struct timeval waited = {.tv_sec = REDIS_NOW_S};
	socklen_t len = sizeof(waited);

	if (c->err == REDIS_ERR_OOM)
		return "it said that more would come than any answer has, or than there is memory for";
	if (strcmp(c->errstr, strerror(EAGAIN)) == 0) {
		getsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &waited, &len);
		snprintf(c->errstr, sizeof(c->errstr), "it said nothing for %lld s", (long long)waited.tv_sec);
	}
	return c->errstr;
}

/* NULL: an answer that is no error; else why not. */
static const char *ask(redisContext *c, int argc, const char **argv, redisReply **reply, struct arena *a)
{
	redisReply *r = redisCommandArgv(c, argc, argv, NULL);
	const char *why = NULL;
	if (!r)
		why = arena_strdup(a, redis_trouble_now(c));
	else if (r->type == REDIS_REPLY_ERROR)
		why = arena_strdup(a, r->str);
	if (reply)
		*reply = r;
	else if (r)
		freeReplyObject(r);
	return why;
}

static const char *log_in(redisContext *c, const struct redis_url *u, struct arena *a)
{
	const char *auth[3] = {"AUTH"};
	int n = 1;
	if (u->user)
		auth[n++] = u->user;
	if (u->pass)
		auth[n++] = u->pass;
	return n == 1 ? NULL : ask(c, n, auth, NULL, a);
}

static const char *greet(redisContext *c, const struct redis_url *u, const char *home, struct arena *a)
{
	const char *select[] = {"SELECT", arena_printf(a, "%d", u->db)}, *exists[] = {"EXISTS", home},
	           *ping[] = {"PING"}, *role[] = {"ROLE"}, *why = log_in(c, u, a);
	redisReply *reply = NULL;
	if (!why && u->db)
		why = ask(c, 2, select, NULL, a);
	if (!why)
		why = home ? ask(c, 2, exists, NULL, a) : ask(c, 1, ping, NULL, a);
	if (!why && !ask(c, 1, role, &reply, a))
		why = redis_find_role(reply);
	if (reply)
		freeReplyObject(reply);
	return why;
}

/* As the connections of the loop do, an unwanted password does not matter to a Sentinel. */
static const char *ask_sentinel(redisContext *c, const struct redis_url *u, struct redis_find *f, struct arena *a)
{
	const char *words[REDIS_FIND_WORDS], *why;
	redisReply *reply;
	log_in(c, u, a);
	redis_find_question(f, words);
	why = ask(c, REDIS_FIND_WORDS, words, &reply, a);
	if (!why)
		why = redis_find_answer(f, reply);
	if (reply)
		freeReplyObject(reply);
	return why;
}

static redisContext *connect_to(const struct redis_url *u, const struct redis_spot *at, unsigned seconds,
                                struct arena *a, const char **why)
{
	const struct timeval timeout = {.tv_sec = seconds};
	redisContext *c = u->path ? redisConnectUnixWithTimeout(u->path, timeout)
	                          : redisConnectWithTimeout(at->host, at->port, timeout);
	ENSURE(c);
	if (!c->err)
		redis_replies_bounded(c);
	if (!c->err && redisSetTimeout(c, timeout) == REDIS_OK && (!u->tls || redis_tls_start(c, at->host)))
		return c;
	*why = arena_strdup(a, redis_trouble_now(c));
	redisFree(c);
	return NULL;
}

/* One connection. NULL: *why, or f knows where to go on. */
static redisContext *try_next(struct redis_find *f, const char *home, unsigned seconds, struct arena *a,
                              const char **why)
{
	const struct redis_url *u = f->url;
	bool sentinel = false;
	struct redis_spot at = {.port = 0};
	if (!u->path)
		at = redis_find_next(f, &sentinel);
	redisContext *c = connect_to(u, &at, seconds, a, why);
	if (!c)
		return NULL;
	*why = sentinel ? ask_sentinel(c, u, f, a) : greet(c, u, home, a);
	if (!*why && !sentinel)
		return c;
	redisFree(c);
	if (*why && redis_find_moved(f, &at, *why))
		*why = NULL;
	else if (*why && redis_find_hint(f, *why))
		*why = redis_find_hint(f, *why);
	return NULL;
}

redisContext *redis_connect_within(unsigned seconds, const char *url, const char *home, struct arena *a,
                                   const char **why)
{
	struct redis_url u;
	struct redis_find f;
	redisContext *c = NULL;
	if (redis_url_parse(url, &u, a, why) != ERR_OK)
		return NULL;
	redis_find_init(&f, &u);
	for (unsigned left = u.nnodes ? u.nnodes : 1; !c && left > 0; left--) {
		do
			c = try_next(&f, home, seconds, a, why);
		while (!c && f.is_told);
	}
	redis_find_release(&f);
	if (!c)
		*why = arena_printf(a, "%s: %s", u.name, *why);
	return c;
}

redisContext *redis_connect_now(const char *url, const char *home, struct arena *a, const char **why)
{
	return redis_connect_within(REDIS_NOW_S, url, home, a, why);
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
