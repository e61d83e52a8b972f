/* HTTP/1.1 server with limits. Every request is answered exactly once, also when the client has left. */
#ifndef SHOAL_IO_HTTPD_H
#define SHOAL_IO_HTTPD_H

#include <stdbool.h>
#include <stddef.h>

#include "shoal/base/arena.h"
#include "shoal/base/err.h"
#include "shoal/base/str.h"
#include "shoal/io/loop.h"

struct httpd;
struct httpd_request;

struct httpd_opts {
	const char *listen;       /* host:port, [v6]:port; port 0: any free one */
	const char *variable;     /* named in the error when the address is taken: "SHOAL_GATEWAY_LISTEN" */
	size_t max_body;          /* above: 413, the handler is not called */
	size_t max_bodies;        /* bytes of all bodies that are not whole yet; above, as with connections; 0: any */
	size_t max_headers;       /* bytes */
	unsigned max_connections; /* above: the one whose client lets us wait longest is closed for the newcomer */
	unsigned timeout_s;       /* reading a request, writing an answer, idle keep-alive */
	unsigned head_s;          /* of that, for a request's head from its first byte on; 0: all of it */
	/* of every answer, as of httpd_reply, also of those that refuse what is no request; may be NULL; not copied */
	const char *const *headers;
	/* Asked when the head of a request with a body is there: false hands it over without the body, of which nothing
	 * is kept, to be refused; its connection ends with the answer. NULL: every body is read. */
	bool (*wants_body)(void *arg, const struct httpd_request *r);
	/* Called once a request is complete. Answers it now or later with httpd_reply. */
	void (*handle)(void *arg, struct httpd_request *r);
	void *arg;
};

/* NULL with *why (in a) when it cannot listen. */
struct httpd *httpd_open(struct loop *l, const struct httpd_opts *opts, struct arena *a, const char **why);
/* For who is told to end while clients may not have heard of it: goes on, but every answer ends its connection, and
 * stops accepting once nobody has come and asked for a second from now on, or after most_ms; at once where nobody ever
 * has. */
void httpd_wind_down(struct httpd *h, int64_t most_ms);
/* Stops accepting and closes idle connections, called by the handler a little later; requests under way may still be
 * answered until httpd_free. */
void httpd_stop_accepting(struct httpd *h);
bool httpd_accepting(const struct httpd *h);
/* Cuts all connections. A request that is not answered yet must still be given to httpd_reply, which then only frees
 * it. Not to be called by the handler. */
void httpd_free(struct httpd *h);
unsigned httpd_port(const struct httpd *h);
unsigned httpd_open_requests(const struct httpd *h);

/* Valid until httpd_reply. */
const char *httpd_method(const struct httpd_request *r);                  /* "GET", "POST", ... */
const char *httpd_path(const struct httpd_request *r);                    /* decoded, without the query */
const char *httpd_query(const struct httpd_request *r, const char *name); /* decoded value, NULL if not there */
const char *httpd_header(const struct httpd_request *r, const char *name);
const char *httpd_header_once(const struct httpd_request *r, const char *name); /* NULL also where it came twice */
const char *httpd_client(const struct httpd_request *r);                        /* peer's address */
struct span httpd_body(const struct httpd_request *r);
/* A form field: application/x-www-form-urlencoded or multipart/form-data (text parts); NULL if not there. */
const char *httpd_form(struct httpd_request *r, const char *name);
struct arena *httpd_arena(struct httpd_request *r); /* lives as long as the request */

/* headers: name, value, name, value, ..., NULL; may be NULL; one that holds a line break is left
 * out. Ends the request. */
void httpd_reply(struct httpd_request *r, int status, const char *content_type, struct span body,
                 const char *const *headers);
/* {"error":{"code","message"}} */
void httpd_reply_error(struct httpd_request *r, int status, const char *code, const char *message);

/* An answer without a length, which goes on until httpd_stream_end, or until the client leaves: begin, any number of
 * sends, end. The request stays valid until its end, which frees it, and counts as open. */
void httpd_stream_begin(struct httpd_request *r, const char *content_type, const char *const *headers);
/* False: nothing was sent, the client has left or is far behind; it is time for the end. */
bool httpd_stream_send(struct httpd_request *r, struct span text) __attribute__((warn_unused_result));
void httpd_stream_end(struct httpd_request *r);

/* Ends the request by resetting its connection, without an answer: for a peer that must see what that looks like. */
void httpd_drop(struct httpd_request *r);

#endif
