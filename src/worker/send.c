#include "shoal/worker/send.h"

#include <stdio.h>

#include "shoal/io/http.h"
#include "shoal/worker/reach.h"
#include "shoal/worker/worker.h"

#define PLATFORM_TIMEOUT_MS 30000

static void answered(void *arg, enum err err, const struct http_response *res)
{
	struct job *j = arg;
	char status[16];

	snprintf(status, sizeof(status), "%d", err == ERR_OK ? res->status : 0);
	series_add(SERIES(j->worker->platform_requests, j->platform->name, j->sending, status), 1);
	j->ruling = (struct ruling){.verdict = CALL_OUTAGE, .wait_ms = -1, .why = err_text(err)};
	if (err == ERR_OK) {
		const struct response heard = {res->status, res->body, res->retry_after_ms, res->headers};
		j->platform->judge(&heard, &j->arena, &j->ruling);
	} else if (err == ERR_TOO_LONG) { /* the call arrived: sent again, it would be answered the same way */
		j->ruling.verdict = CALL_FINAL;
		j->ruling.why = "the answer is too long to be read";
		err = ERR_OK;
	}
	reach_heard_platform(j->worker->reach, j->bot, err, &j->ruling);
	job_end(j);
}

void send_call(struct job *j, const struct call *c)
{
	struct worker *w = j->worker;
	struct request r;

	j->platform->request(reach_credentials(w->reach, j->bot), c, &j->arena, &r);
	const struct http_request req = {.method = r.method,
	                                 .url = r.url,
	                                 .headers = r.headers,
	                                 .body = r.body,
	                                 .keep = j->platform->headers,
	                                 .timeout_ms = PLATFORM_TIMEOUT_MS,
	                                 .peer = j->platform->name};

	j->sending = c->method;
	job_begin(j);
	http_send(w->http, &req, answered, j);
}
