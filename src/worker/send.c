#include "shoal/worker/send.h"

#include <stdlib.h>

#include "shoal/io/http.h"
#include "shoal/worker/reach.h"
#include "shoal/worker/worker.h"

#define PLATFORM_TIMEOUT_MS 30000

/* What an answer means, told to all whom it concerns. method: as in the call. */
static void hear(struct worker *w, const struct bot *bot, const char *method, enum err err,
                 const struct http_response *res, struct arena *a, struct ruling *out)
{
	const struct platform *p = platform_of(bot->platform);
	char status[I64_TEXT_LEN];

	(void)i64_text(status, err == ERR_OK ? res->status : 0);
	series_add(SERIES(w->platform_requests, p->name, method, status), 1);
	*out = (struct ruling){.verdict = CALL_OUTAGE, .wait_ms = -1, .why = err_text(err)};
	if (err == ERR_OK) {
		const struct response heard = {res->status, res->body, res->retry_after_ms, res->headers};
		p->judge(&heard, a, out);
	} else if (err == ERR_TOO_LONG) { /* the call arrived: sent again, it would be answered the same way */
		out->verdict = CALL_FINAL;
		out->why = "the answer is too long to be read";
		err = ERR_OK;
	}
	reach_heard_platform(w->reach, bot, err, out);
}

static void post(struct worker *w, const struct bot *bot, const struct call *c, struct arena *a, http_fn *fn, void *arg)
{
	const struct platform *p = platform_of(bot->platform);
	struct request r;

	p->request(reach_credentials(w->reach, bot), c, a, &r);
	const struct http_request req = {.method = r.method,
	                                 .url = r.url,
	                                 .headers = r.headers,
	                                 .body = r.body,
	                                 .keep = p->headers,
	                                 .timeout_ms = PLATFORM_TIMEOUT_MS,
	                                 .peer = p->name};
	http_send(w->http, &req, fn, arg);
}

static void answered(void *arg, enum err err, const struct http_response *res)
{
	struct job *j = arg;

	hear(j->worker, j->bot, j->sending, err, res, &j->arena, &j->ruling);
	job_end(j);
}

void send_call(struct job *j, const struct call *c)
{
	j->sending = c->method;
	job_begin(j);
	post(j->worker, j->bot, c, &j->arena, answered, j);
}

/* ---- of no job */

struct lone {
	struct worker *worker;
	const struct bot *bot;
	const char *method;
	struct arena arena;
};

static void lone_answered(void *arg, enum err err, const struct http_response *res)
{
	struct lone *l = arg;
	struct ruling ruling;

	hear(l->worker, l->bot, l->method, err, res, &l->arena, &ruling);
	arena_release(&l->arena);
	free(l);
}

void send_alone(struct worker *w, const struct bot *bot, const struct call *c)
{
	struct lone *l = mem_zalloc(sizeof(*l));

	*l = (struct lone){.worker = w, .bot = bot};
	arena_init(&l->arena);
	l->method = arena_strdup(&l->arena, c->method);
	post(w, bot, c, &l->arena, lone_answered, l);
}
