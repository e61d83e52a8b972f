/* HTTP client: libcurl multi on the loop. Keep-alive, HTTP/2 where an https server offers it. */
#ifndef SHOAL_IO_HTTP_H
#define SHOAL_IO_HTTP_H

#include <stddef.h>
#include <stdint.h>

#include "shoal/base/err.h"
#include "shoal/base/str.h"
#include "shoal/io/loop.h"

struct http;

struct http_opts {
	unsigned per_host; /* connections to one host; more requests wait inside libcurl */
	size_t max_body;   /* of a longer one there is no body, and it is ERR_TOO_LONG where it tells of success */
	const char *user_agent;
};

#define HTTP_KEEP_MAX 8
#define HTTP_KEPT_BYTES 255

struct http_request {
	const char *method; /* GET POST PATCH PUT DELETE */
	const char *url;    /* http or https; redirects are answers. A proxy of the environment is used for https only,
	                     * never for this machine. Never logged: it can hold a token */
	const char *const *headers; /* "Name: value", ends with NULL; may be NULL */
	struct span body;           /* copied; sent as application/json unless the headers say otherwise */
	const char *const *keep;    /* names of the answer's headers that are handed out: literals, at most
	                               HTTP_KEEP_MAX, ends with NULL; may be NULL */
	unsigned timeout_ms;        /* of the whole request */
	const char *peer;           /* literal for shoal_errors_total{peer} */
};

struct http_response {
	int status;
	struct span body;       /* NUL-terminated; valid during the callback; empty where it is too long */
	int64_t retry_after_ms; /* from Retry-After, -1 without */
	/* Of the request's `keep`, in its order: the last of that name; NULL: it has none, or one that is too long.
	 * Valid during the callback. */
	const char *headers[HTTP_KEEP_MAX];
};

/* ERR_OK: an answer came, whatever its status. ERR_UNREACHABLE: no connection, nothing was sent. ERR_UNKNOWN,
 * ERR_TIMEOUT: it may have arrived. ERR_TOO_LONG: it did, and was done. ERR_INVALID: the URL or a header cannot be
 * sent. res is NULL unless ERR_OK. */
typedef void http_fn(void *arg, enum err err, const struct http_response *res);

struct http *http_open(struct loop *l, const struct http_opts *opts);
void http_close(struct http *h); /* waiting requests get ERR_UNKNOWN first; not to be called by an http_fn */
struct http_call;
/* Copies what it needs. Never completes inside this call. */
struct http_call *http_send(struct http *h, const struct http_request *req, http_fn *fn, void *arg);
void http_cancel(struct http_call *c); /* fn is not called any more; only as long as fn was not called */

#endif
