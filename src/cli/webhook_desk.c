/* Calls of the platforms, one after the other, under the fleet's lock. */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shoal/base/clock.h"
#include "shoal/cli/webhook.h"
#include "shoal/io/http.h"
#include "shoal/io/loop.h"
#include "shoal/io/redis.h"
#include "shoal/store/cache_key.h"
#include "shoal/store/lock.h"

#define CALL_MS 30000
#define ANSWER_MAX (1 << 20)
#define REDIS_MS 5000
#define LOCK_LIFE_MS 6000
#define LOCK_PATIENCE_MS 60000  /* for another program that registers */
#define LIMIT_PATIENCE_MS 60000 /* for a platform that says "later" */
#define KNOWN_MS "300000"       /* programs that start together, or one after the other */
#define DIGEST_BYTES 32
#define DETAIL_BYTES 1000

struct webhook_desk {
	struct session *s;
	struct loop *loop;
	struct http *http;
	struct redis *redis; /* NULL: not alone */
	struct lock *lock;
	struct timer patience;
	bool up, taking, done, out_of_patience, lost;

	/* of the operation under way */
	enum err err;
	struct ruling ruling;
	struct span body;
	const struct webhook_bot *bot;
	char *text; /* what Redis answered; NULL: nothing */
};

/* An operation is over. */
static void finish(struct webhook_desk *d)
{
	d->done = true;
	loop_stop(d->loop);
}

static void run(struct webhook_desk *d)
{
	while (!d->done)
		loop_run(d->loop);
	d->done = false;
}

/* ---- the lock */

static void on_redis(void *arg)
{
	((struct webhook_desk *)arg)->up = true;
}

/* Held anew after it was lost it is of no use: somebody else may have been in between. */
static void on_held(void *arg)
{
	struct webhook_desk *d = arg;

	if (d->taking)
		finish(d);
	d->taking = false;
}

static void on_lost(void *arg)
{
	((struct webhook_desk *)arg)->lost = true;
}

static void on_patience(void *arg)
{
	struct webhook_desk *d = arg;

	d->out_of_patience = true;
	finish(d);
}

/* Runs until an operation is over. False: it took too long. */
static bool wait(struct webhook_desk *d, int64_t ms)
{
	d->out_of_patience = false;
	timer_set(&d->patience, ms);
	run(d);
	timer_stop(&d->patience);
	return !d->out_of_patience;
}

static bool take_lock(struct webhook_desk *d)
{
	struct session *s = d->s;

	d->redis = redis_open(d->loop, &(struct redis_opts){.url = s->conf.cache_redis_url,
	                                                    .home = CACHE_HOME,
	                                                    .label = "cache",
	                                                    .timeout_ms = REDIS_MS,
	                                                    .on_up = on_redis,
	                                                    .arg = d});
	d->taking = true;
	d->lock = lock_open(&(struct lock_opts){.loop = d->loop,
	                                        .redis = d->redis,
	                                        .name = "webhook",
	                                        .life_ms = LOCK_LIFE_MS,
	                                        .on_held = on_held,
	                                        .on_lost = on_lost,
	                                        .arg = d});
	if (wait(d, REDIS_MS) || (d->up && wait(d, LOCK_PATIENCE_MS)))
		return true;
	if (d->up)
		session_fail(s, EXIT_FAILED,
		             "another program registers the bots since a minute, or has just died in the middle of it: "
		             "try again in a while");
	else
		session_fail(s, EXIT_NO_SERVER, "cannot reach Redis (SHOAL_CACHE_REDIS_URL)");
	return false;
}

struct webhook_desk *webhook_desk_open(struct session *s, bool alone)
{
	struct webhook_desk *d = arena_new(s->a, struct webhook_desk);
	const char *why = NULL;

	if (alone && redis_url_check(s->conf.cache_redis_url, s->a, &why) != ERR_OK) {
		session_fail(s, EXIT_FAILED, "SHOAL_CACHE_REDIS_URL: %s", why);
		return NULL;
	}
	d->s = s;
	d->loop = loop_new();
	timer_init(&d->patience, d->loop, on_patience, d);
	d->http = http_open(d->loop, &(struct http_opts){1, ANSWER_MAX, "shoal"});
	if (!alone || take_lock(d))
		return d;
	webhook_desk_close(d);
	return NULL;
}

static void on_released(void *arg)
{
	finish(arg);
}

void webhook_desk_close(struct webhook_desk *d)
{
	if (!d)
		return;
	if (d->lock) {
		lock_close(d->lock, on_released, d);
		(void)wait(d, REDIS_MS);
	}
	http_close(d->http);
	redis_close(d->redis);
	timer_release(&d->patience);
	loop_free(d->loop);
}

/* ---- calls */

static void answered(void *arg, enum err err, const struct http_response *res)
{
	struct webhook_desk *d = arg;

	d->err = err;
	d->ruling = (struct ruling){.verdict = CALL_OUTAGE, .wait_ms = -1, .why = err_text(err)};
	if (err == ERR_OK) {
		const struct response heard = {res->status, res->body, res->retry_after_ms, res->headers};

		d->bot->platform->judge(&heard, d->s->a, &d->ruling);
		d->body = arena_span(d->s->a, res->body);
	}
	finish(d);
}

static void call_once(struct webhook_desk *d, const struct webhook_bot *b, const struct call *c)
{
	struct request r;

	d->bot = b;
	b->platform->request(&b->who, c, d->s->a, &r);
	http_send(d->http,
	          &(struct http_request){.method = r.method,
	                                 .url = r.url,
	                                 .headers = r.headers,
	                                 .body = r.body,
	                                 .keep = b->platform->headers,
	                                 .timeout_ms = CALL_MS,
	                                 .peer = b->platform->name},
	          answered, d);
	run(d);
}

/* What could not be reached weighs more than what was refused. */
static void fail(struct webhook_desk *d, const struct webhook_bot *b, const struct call *c)
{
	static const enum exit_code codes[] = {
	    [CALL_DONE] = EXIT_DONE,     [CALL_LATER] = EXIT_NO_SERVER, [CALL_OUTAGE] = EXIT_NO_SERVER,
	    [CALL_DENIED] = EXIT_FAILED, [CALL_FINAL] = EXIT_FAILED,    [CALL_BLOCKED] = EXIT_FAILED};
	int before = d->s->code;
	/* what of a form is wrong stands beside the message */
	bool more = d->err == ERR_OK && d->body.len < DETAIL_BYTES && strstr(d->body.ptr, "\"errors\"");

	session_fail(d->s, (int)codes[d->ruling.verdict], "%s: %s: %s%s%s", b->bot->name, c->method, d->ruling.why,
	             more ? ": " : "", more ? out_plain(d->s->a, d->body.ptr) : "");
	if (before == EXIT_NO_SERVER)
		d->s->code = before;
}

bool webhook_call(struct webhook_desk *d, const struct webhook_bot *b, const struct call *c, struct span *answer)
{
	int64_t waited = 0;

	for (;;) {
		if (d->lost) {
			session_fail(d->s, EXIT_NO_SERVER, "Redis was lost, and with it the lock: %s is not called",
			             c->method);
			return false;
		}
		call_once(d, b, c);
		if (d->ruling.verdict == CALL_DONE)
			break;
		if (!d->ruling.limited || (waited += d->ruling.wait_ms) > LIMIT_PATIENCE_MS) {
			fail(d, b, c);
			return false;
		}
		fprintf(stderr, "%s: %s asks to wait for %.1f s\n", b->bot->name, b->platform->name,
		        (double)d->ruling.wait_ms / 1e3);
		(void)wait(d, d->ruling.wait_ms);
	}
	if (answer)
		*answer = d->body;
	return true;
}

/* ---- what was set before */

static const char *known_key(struct webhook_desk *d, const struct webhook_bot *b, const char *what)
{
	return arena_printf(d->s->a, "shoal:{cache}:webhook:%s:%s", b->bot->name, what);
}

/* Of all that the call says, and to whom: whoever reads it learns nothing. */
static const char *digest(struct webhook_desk *d, const struct webhook_bot *b, const struct call *c)
{
	const struct span parts[] = {span_of(b->who.api), span_of(b->who.token), span_of(c->method), c->body};
	unsigned char sum[EVP_MAX_MD_SIZE];
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	char *out = arena_alloc(d->s->a, 2 * DIGEST_BYTES + 1);
	unsigned len = 0;

	ENSURE(md && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		ENSURE(EVP_DigestUpdate(md, parts[i].ptr, parts[i].len) == 1 && EVP_DigestUpdate(md, "", 1) == 1);
	ENSURE(EVP_DigestFinal_ex(md, sum, &len) == 1 && len == DIGEST_BYTES);
	EVP_MD_CTX_free(md);
	for (unsigned i = 0; i < len; i++)
		snprintf(out + 2 * i, 3, "%02x", sum[i]);
	return out;
}

static void told(void *arg, enum err err, const redisReply *reply)
{
	struct webhook_desk *d = arg;

	d->err = err;
	d->text = err == ERR_OK && reply->type == REDIS_REPLY_STRING ? arena_strdup(d->s->a, reply->str) : NULL;
	finish(d);
}

enum webhook_seen webhook_known(struct webhook_desk *d, const struct webhook_bot *b, const char *what,
                                const struct call *c)
{
	const struct span argv[] = {SPAN("GET"), span_of(known_key(d, b, what))};

	redis_call(d->redis, told, d, 2, argv);
	run(d);
	if (d->err != ERR_OK) {
		session_fail(d->s, EXIT_NO_SERVER, "Redis did not answer: %s", err_text(d->err));
		return WEBHOOK_UNKNOWN;
	}
	return d->text && strcmp(d->text, digest(d, b, c)) == 0 ? WEBHOOK_SAME : WEBHOOK_NEW;
}

void webhook_note(struct webhook_desk *d, const struct webhook_bot *b, const char *what, const struct call *c)
{
	const struct span key = span_of(known_key(d, b, what));
	const struct span set[] = {SPAN("SET"), key, c ? span_of(digest(d, b, c)) : SPAN(""), SPAN("PX"),
	                           SPAN(KNOWN_MS)};
	const struct span del[] = {SPAN("DEL"), key};

	redis_call(d->redis, told, d, c ? 5 : 2, c ? set : del);
	run(d);
}
