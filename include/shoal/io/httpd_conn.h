/* What the files of the HTTP server share; nobody else includes it.
 *
 *   httpd.c          the server: accepting, making room, winding down
 *   httpd_conn.c     a connection: its states, deadlines, and what becomes of its input
 *   httpd_wire.c     its socket
 *   httpd_answer.c   what is written to it
 *   httpd_request.c  the request, as the handler sees it
 *
 * A connection holds at most one request; what the client sends ahead waits in its input.
 *
 *        ┌────────── answer written, keep-alive ─────────┐
 *        v                                               │
 *      HEAD ──> BODY ──> HANDLING ──httpd_reply──> WRITING ──> LINGERING ──> closed
 *        └────────┴───── refused: an error answer ───────┘       (input that nobody reads is drained first, else the
 *                                                                 reset would take the answer away from the client)
 */
#ifndef SHOAL_IO_HTTPD_CONN_H
#define SHOAL_IO_HTTPD_CONN_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <time.h>

#include "shoal/io/httpd.h"
#include "shoal/io/httpd_parse.h"

struct event;
struct evconnlistener;

#define HTTPD_READ_MAX 65536 /* bytes at once, and of requests that are not their turn yet */

enum httpd_conn_state { CONN_HEAD, CONN_BODY, CONN_HANDLING, CONN_STREAMING, CONN_WRITING, CONN_LINGERING };

struct httpd_conn {
	struct httpd *h;
	int fd;
	struct event *readable, *writable;
	struct buf in;      /* holds what is unread, but while that is in the server's inbox */
	struct span unread; /* of the client's input: no request has been made of it yet */
	struct buf out;     /* answers; of them is `sent` with the kernel */
	size_t sent;
	enum httpd_conn_state state;
	bool reading; /* `readable` is waited for */
	bool eof;     /* the client sends no more; it may still read */
	bool discard; /* the rest of its input makes no sense to us */
	bool waiting; /* for the client, and so on the server's list of those */
	bool keep_alive;
	int64_t begun_ms; /* when a request's first bytes were here; 0: it is idle */
	int64_t due_ms;   /* so long it may stay in this state; 0: for ever */
	int64_t armed_ms; /* when the timer fires, which may be before that; 0: it does not */
	struct timer deadline;
	struct task go_on; /* in a while, where that may not be at once */
	struct httpd_request *r;
	char client[INET6_ADDRSTRLEN];
	LIST_ENTRY(httpd_conn) link;
	TAILQ_ENTRY(httpd_conn) wait;
};

struct httpd_request {
	struct httpd *h;         /* NULL once the server is gone */
	struct httpd_conn *conn; /* NULL once the client has left */
	struct arena arena;
	struct http_head head;
	struct http_chunked chunked;
	struct buf body;   /* as it grows */
	struct span whole; /* or, where it came in one piece, in the arena */
	size_t counted;    /* of it, in the server's body_bytes */
	struct http_pairs form;
	bool form_parsed;
	bool handled; /* counted in open_requests, on the server's list */
	const char *client;
	LIST_ENTRY(httpd_request) link;
};

struct httpd {
	struct loop *loop;
	struct httpd_opts opts;
	struct evconnlistener *listener; /* NULL once it accepts no more */
	struct timer accept_pause, wind_down;
	struct task stop;
	unsigned handling; /* calls of the handler that are under way */
	bool winding_down;
	int64_t came_ms, last_ms; /* somebody last came or asked; when it stops accepting at the latest */
	unsigned port, connections, open_requests;
	size_t body_bytes; /* of bodies that are not whole yet */
	int64_t refusals_logged;
	unsigned refusals_held_back, made_room;
	LIST_HEAD(, httpd_conn) conns;
	/* whose client has something to do; the one that has let us wait longest first */
	TAILQ_HEAD(, httpd_conn) waiting;
	LIST_HEAD(, httpd_request) requests; /* handed to the handler */
	time_t dated;
	char date[64]; /* the header's line of that second */
	char *inbox;   /* HTTPD_READ_MAX: what a connection has just read */
};

/* Takes over fd, which is not blocking. */
void httpd_conn_new(struct httpd *h, int fd, const struct sockaddr *sa);
/* Ends the connection; a request that is with the handler lives until its answer. */
void httpd_conn_free(struct httpd_conn *c);
/* The only way from state to state: with it go the deadline and the place on the server's list. */
void httpd_conn_enter(struct httpd_conn *c, enum httpd_conn_state state);
/* Not in this state beyond then; 0: without a limit. */
void httpd_conn_due(struct httpd_conn *c, int64_t at_ms);
/* Goes on with what is unread, or ends. */
void httpd_conn_go_on(struct httpd_conn *c);
/* The answer is with the kernel: the next request, or the end. */
void httpd_conn_written(struct httpd_conn *c);
/* The client sends no more. */
void httpd_conn_eof(struct httpd_conn *c);
/* Whether the client has sent what we have not read yet. */
bool httpd_conn_unread(struct httpd_conn *c);
/* Whether it holds no part of a request. */
bool httpd_conn_idle(struct httpd_conn *c);

void httpd_wire_open(struct httpd_conn *c, int fd);
void httpd_wire_close(struct httpd_conn *c);
/* What is unread is kept, and more of it is waited for, or not. */
void httpd_wire_keep(struct httpd_conn *c);
/* Writes what it can now, the rest when it can. True: all of `out` is with the kernel. A connection that has broken
 * ends soon, not here. */
bool httpd_wire_flush(struct httpd_conn *c);
size_t httpd_wire_unsent(const struct httpd_conn *c);

/* More of c's body is here: where that is more than all may have, others go for it. */
void httpd_count_body(struct httpd_conn *c);
/* Refuses what did not become a request for the handler, and reads no further request from this client. */
void httpd_conn_refuse(struct httpd_conn *c, int status);

struct httpd_request *httpd_request_new(struct httpd_conn *c);
void httpd_request_free(struct httpd_request *r);

#endif
