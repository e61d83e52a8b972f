#include "shoal/worker/send.h"

#include "shoal/worker/worker.h"

#define PLATFORM_TIMEOUT_MS 30000

void send_call(struct job *j, const struct call *c, http_fn *fn)
{
	struct http_request req = {.method = "POST",
	                           .url =
	                               j->platform->url(j->worker->conf.telegram_api, j->token, c->method, &j->arena),
	                           .body = c->body,
	                           .timeout_ms = PLATFORM_TIMEOUT_MS,
	                           .peer = j->platform->name};
	job_begin(j);
	http_send(j->worker->http, &req, fn, j);
}
