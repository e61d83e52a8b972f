/* A connection: its states and deadlines, and what becomes of its input. */
#include "shoal/io/httpd_conn.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "shoal/base/clock.h"

#define LINGER_MS 5000

/* Whether it is the client's turn, from now on. */
static void conn_wait(struct httpd_conn *c, bool waiting)
{
	if (c->waiting)
		TAILQ_REMOVE(&c->h->waiting, c, wait);
	c->waiting = waiting;
	if (waiting)
		TAILQ_INSERT_TAIL(&c->h->waiting, c, wait);
}

void httpd_conn_free(struct httpd_conn *c)
{
	if (c->r && c->r->handled)
		c->r->conn = NULL; /* lives until its answer */
	else if (c->r)
		httpd_request_free(c->r);
	timer_release(&c->deadline);
	conn_wait(c, false);
	LIST_REMOVE(c, link);
	c->h->connections--;
	httpd_wire_close(c);
	free(c);
}

/* The timer is set anew only where it would come too late: most requests are answered long before. */
void httpd_conn_due(struct httpd_conn *c, int64_t at_ms)
{
	c->due_ms = at_ms;
	if (!at_ms || (c->armed_ms && c->armed_ms <= at_ms))
		return;
	c->armed_ms = at_ms;
	timer_set(&c->deadline, at_ms - clock_ms());
}

/* 0: for ever. In a body one deadline holds from a request's first byte to its last, however slowly it drips. */
static int64_t leaves_at(const struct httpd_conn *c)
{
	int64_t limit_ms = (int64_t)c->h->opts.timeout_s * 1000;

	switch (c->state) {
	case CONN_BODY: return c->begun_ms + limit_ms;
	case CONN_HEAD:
	case CONN_WRITING: return clock_ms() + limit_ms;
	case CONN_LINGERING: return clock_ms() + LINGER_MS;
	default: return 0;
	}
}

void httpd_conn_enter(struct httpd_conn *c, enum httpd_conn_state state)
{
	/* for the client; where not, it is ours to go on */
	static const bool waits[] = {
	    [CONN_HEAD] = true, [CONN_BODY] = true, [CONN_WRITING] = true, [CONN_LINGERING] = true};

	c->state = state;
	if (state == CONN_HEAD)
		c->begun_ms = 0;
	httpd_conn_due(c, leaves_at(c));
	if (state != CONN_BODY) /* which keeps the place of its head */
		conn_wait(c, waits[state]);
}

static void conn_handle(struct httpd_conn *c)
{
	struct httpd_request *r = c->r;
	struct httpd *h = c->h;

	httpd_conn_enter(c, CONN_HANDLING);
	h->body_bytes -= r->counted; /* ours to answer */
	r->counted = 0;
	r->handled = true;
	r->client = arena_strdup(&r->arena, c->client);
	LIST_INSERT_HEAD(&h->requests, r, link);
	h->open_requests++;
	h->came_ms = clock_ms();
	h->handling++;
	h->opts.handle(h->opts.arg, r); /* r may be gone */
	h->handling--;
}

/* --- input */

static void take(struct httpd_conn *c, size_t n)
{
	c->unread.ptr += n;
	c->unread.len -= n;
}

/* Up to the empty line that ends it; false: it is not there yet. */
static bool whole_head(struct httpd_conn *c, struct span *head)
{
	const char *end;

	/* empty lines before a request are allowed (RFC 9112, 2.2) */
	while (span_starts(c->unread, "\r\n"))
		take(c, 2);
	end = c->unread.len ? memmem(c->unread.ptr, c->unread.len, "\r\n\r\n", 4) : NULL;
	*head = c->unread;
	if (end)
		head->len = (size_t)(end - head->ptr);
	return end;
}

/* Whether the body of the request is to be read; if not, its status. */
static int parse_head(struct httpd_conn *c, struct span text)
{
	int status = http_head_parse(&c->r->head, &c->r->arena, text);

	if (!status && !c->r->head.chunked && (uint64_t)c->r->head.length > c->h->opts.max_body)
		status = 413;
	return status;
}

/* False: more is needed first. */
static bool read_head(struct httpd_conn *c)
{
	const struct httpd_opts *opts = &c->h->opts;
	struct span text;
	int status;

	if (!c->begun_ms && c->unread.len)
		c->begun_ms = clock_ms();
	bool whole = whole_head(c, &text);
	if (text.len > opts->max_headers) {
		httpd_conn_refuse(c, 431);
		return true;
	}
	if (!whole) {
		if (c->begun_ms)
			httpd_conn_due(c,
			               c->begun_ms + (int64_t)(opts->head_s ? opts->head_s : opts->timeout_s) * 1000);
		return false;
	}
	c->r = httpd_request_new(c);
	status = parse_head(c, text);
	take(c, text.len + 4);
	if (status) {
		httpd_conn_refuse(c, status);
		return true;
	}
	c->keep_alive = c->r->head.keep_alive;
	httpd_conn_enter(c, CONN_BODY);
	bool has_body = c->r->head.chunked || c->r->head.length > 0;
	if (has_body && opts->wants_body && !opts->wants_body(opts->arg, c->r)) {
		c->keep_alive = false;
		c->discard = true;
		conn_handle(c);
	} else if (has_body && c->r->head.expects_continue && c->unread.len == 0) {
		buf_adds(&c->out, "HTTP/1.1 100 Continue\r\n\r\n");
		httpd_wire_flush(c);
	}
	return true;
}

static bool read_sized(struct httpd_conn *c)
{
	struct httpd_request *r = c->r;
	size_t left = (size_t)r->head.length - r->body.len, n = c->unread.len < left ? c->unread.len : left;

	if (n && n == (size_t)r->head.length)
		r->whole = arena_span(&r->arena, (struct span){c->unread.ptr, n});
	else if (n)
		buf_add(&r->body, c->unread.ptr, n);
	take(c, n);
	httpd_count_body(c);
	return n == left;
}

static bool read_chunked(struct httpd_conn *c)
{
	struct httpd_request *r = c->r;
	long used = http_chunked_feed(&r->chunked, c->unread, &r->body);

	if (used < 0 || r->body.failed) {
		httpd_conn_refuse(c, used < 0 ? 400 : 413);
		return false;
	}
	take(c, (size_t)used);
	httpd_count_body(c);
	return r->chunked.state == CHUNK_DONE;
}

static bool read_body(struct httpd_conn *c)
{
	ENSURE(c->r);
	if (c->r->head.chunked ? !read_chunked(c) : !read_sized(c))
		return false;
	conn_handle(c);
	return true;
}

/* Until more input is needed or a request is with the handler. */
void httpd_conn_go_on(struct httpd_conn *c)
{
	bool more = true;

	while (more && (c->state == CONN_HEAD || c->state == CONN_BODY))
		more = c->state == CONN_HEAD ? read_head(c) : read_body(c);
	if (c->state == CONN_LINGERING)
		take(c, c->unread.len);
	httpd_wire_keep(c);
	if (c->eof && (c->state == CONN_HEAD || c->state == CONN_BODY))
		httpd_conn_free(c);
}

void httpd_conn_written(struct httpd_conn *c)
{
	if (c->keep_alive && c->h->listener) {
		httpd_conn_enter(c, CONN_HEAD);
		httpd_conn_go_on(c);
	} else if (c->discard && !c->eof) {
		httpd_conn_enter(c, CONN_LINGERING);
		shutdown(c->fd, SHUT_WR);
		httpd_conn_go_on(c);
	} else {
		httpd_conn_free(c);
	}
}

void httpd_conn_eof(struct httpd_conn *c)
{
	if (c->state == CONN_LINGERING || c->state == CONN_STREAMING) {
		httpd_conn_free(c);
		return;
	}
	c->eof = true;
	httpd_conn_go_on(c);
}

/* --- life */

static void on_deadline(void *arg)
{
	struct httpd_conn *c = arg;

	c->armed_ms = 0;
	if (!c->due_ms)
		return;
	if (clock_ms() < c->due_ms)
		httpd_conn_due(c, c->due_ms);
	else if (c->begun_ms && (c->state == CONN_HEAD || c->state == CONN_BODY))
		httpd_conn_refuse(c, 408);
	else
		httpd_conn_free(c);
}

static void client_name(const struct sockaddr *sa, char *out, socklen_t size)
{
	const void *addr = sa->sa_family == AF_INET6 ? (const void *)&((const struct sockaddr_in6 *)sa)->sin6_addr
	                                             : (const void *)&((const struct sockaddr_in *)sa)->sin_addr;
	if (!inet_ntop(sa->sa_family, addr, out, size))
		out[0] = '\0';
}

void httpd_conn_new(struct httpd *h, int fd, const struct sockaddr *sa)
{
	struct httpd_conn *c = mem_zalloc(sizeof(*c));

	c->h = h;
	client_name(sa, c->client, sizeof(c->client));
	timer_init(&c->deadline, h->loop, on_deadline, c);
	LIST_INSERT_HEAD(&h->conns, c, link);
	h->connections++;
	h->came_ms = clock_ms();
	httpd_conn_enter(c, CONN_HEAD);
	httpd_wire_open(c, fd);
}

bool httpd_conn_unread(struct httpd_conn *c)
{
	char first;

	return recv(c->fd, &first, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

bool httpd_conn_idle(struct httpd_conn *c)
{
	return c->state == CONN_HEAD && !c->begun_ms && c->unread.len == 0 && !httpd_conn_unread(c);
}
