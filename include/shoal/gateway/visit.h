/* A request of a platform on its way through the gateway. */
#ifndef SHOAL_GATEWAY_VISIT_H
#define SHOAL_GATEWAY_VISIT_H

#include "shoal/base/metrics.h"
#include "shoal/base/trace.h"
#include "shoal/io/httpd.h"

struct visit {
	struct httpd_request *r;
	struct metric *requests; /* shoal_gateway_requests_total */
	const char *label;       /* bounded: the path of a bot that runs, or "other" */
};

/* The trace that the request belongs to: the one of its header traceparent, or a new one. In the request's arena. */
const struct trace *visit_trace(const struct visit *v);

/* Both end the request, and count it. headers: as of httpd_reply. */
void visit_answer(const struct visit *v, struct span body);
void visit_refuse(const struct visit *v, int status, const char *code, const char *message, const char *const *headers);

#endif
