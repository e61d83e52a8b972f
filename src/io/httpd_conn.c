/* A connection: its states and deadlines, and what it reads. */
#include "shoal/io/httpd_conn.h"

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

#include "shoal/base/clock.h"

#define READ_AHEAD 65536
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
	bufferevent_free(c->bev);
	free(c);
}

void httpd_conn_enter(struct httpd_conn *c, enum httpd_conn_state state)
{
	/* for the client; where not, it is ours to go on */
	static const bool waits[] = {
	    [CONN_HEAD] = true, [CONN_BODY] = true, [CONN_WRITING] = true, [CONN_LINGERING] = true};
	int64_t limit_ms = (int64_t)c->h->opts.timeout_s * 1000;

	c->state = state;
	if (state == CONN_HEAD)
		c->begun_ms = 0;
	else if (state == CONN_LINGERING)
		limit_ms = LINGER_MS;
	else if (state == CONN_BODY) /* one deadline from a request's first byte to its last, however slowly it drips */
		limit_ms -= clock_ms() - c->begun_ms;
	if (!waits[state])
		timer_stop(&c->deadline);
	else
		timer_set(&c->deadline, limit_ms > 0 ? limit_ms : 0);
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
	h->opts.handle(h->opts.arg, r); /* r may be gone */
}

/* False: more is needed first. */
static bool read_head(struct httpd_conn *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);
	size_t max = c->h->opts.max_headers;
	char start[2];

	if (!c->begun_ms && evbuffer_get_length(in)) {
		c->begun_ms = clock_ms();
		timer_set(&c->deadline, (int64_t)(c->h->opts.head_s ? c->h->opts.head_s : c->h->opts.timeout_s) * 1000);
	}

	/* empty lines before a request are allowed (RFC 9112, 2.2) */
	while (evbuffer_copyout(in, start, 2) == 2 && memcmp(start, "\r\n", 2) == 0)
		evbuffer_drain(in, 2);
	struct evbuffer_ptr end = evbuffer_search(in, "\r\n\r\n", 4, NULL);
	size_t have = end.pos >= 0 ? (size_t)end.pos : evbuffer_get_length(in);
	if (have > max) {
		httpd_conn_refuse(c, 431);
		return true;
	}
	if (end.pos < 0)
		return false;
	c->r = httpd_request_new(c);
	struct span text = {(const char *)evbuffer_pullup(in, (ev_ssize_t)have), have};
	int status = http_head_parse(&c->r->head, &c->r->arena, text);
	evbuffer_drain(in, have + 4);
	if (!status && !c->r->head.chunked && (uint64_t)c->r->head.length > c->h->opts.max_body)
		status = 413;
	if (status) {
		httpd_conn_refuse(c, status);
		return true;
	}
	c->keep_alive = c->r->head.keep_alive;
	httpd_conn_enter(c, CONN_BODY);
	bool has_body = c->r->head.chunked || c->r->head.length > 0;
	if (has_body && c->h->opts.wants_body && !c->h->opts.wants_body(c->h->opts.arg, c->r)) {
		c->keep_alive = false;
		c->discard = true;
		conn_handle(c);
		return true;
	}
	if (has_body && c->r->head.expects_continue && evbuffer_get_length(in) == 0)
		evbuffer_add_printf(bufferevent_get_output(c->bev), "HTTP/1.1 100 Continue\r\n\r\n");
	return true;
}

static bool read_sized(struct httpd_conn *c, struct evbuffer *in)
{
	struct httpd_request *r = c->r;
	size_t left = (size_t)r->head.length - r->body.len, n = evbuffer_get_length(in);

	if (n > left)
		n = left;
	if (n)
		buf_add(&r->body, evbuffer_pullup(in, (ev_ssize_t)n), n);
	evbuffer_drain(in, n);
	httpd_count_body(c);
	return n == left;
}

static bool read_chunked(struct httpd_conn *c, struct evbuffer *in)
{
	struct httpd_request *r = c->r;
	size_t n = evbuffer_get_length(in);
	long used = http_chunked_feed(&r->chunked, (struct span){(const char *)evbuffer_pullup(in, -1), n}, &r->body);

	if (used < 0 || r->body.failed) {
		httpd_conn_refuse(c, used < 0 ? 400 : 413);
		return false;
	}
	evbuffer_drain(in, (size_t)used);
	httpd_count_body(c);
	return r->chunked.state == CHUNK_DONE;
}

static bool read_body(struct httpd_conn *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);

	ENSURE(c->r);
	if (c->r->head.chunked ? !read_chunked(c, in) : !read_sized(c, in))
		return false;
	conn_handle(c);
	return true;
}

/* Reads on until more input is needed or a request is with the handler. */
static void conn_read(struct httpd_conn *c)
{
	bool more = true;

	while (more && (c->state == CONN_HEAD || c->state == CONN_BODY))
		more = c->state == CONN_HEAD ? read_head(c) : read_body(c);
	if (c->state == CONN_LINGERING)
		evbuffer_drain(bufferevent_get_input(c->bev), SIZE_MAX);
	else if (c->eof && (c->state == CONN_HEAD || c->state == CONN_BODY))
		httpd_conn_free(c);
}

/* The answer is with the kernel. */
static void conn_written(struct httpd_conn *c)
{
	if (c->keep_alive && c->h->listener) {
		httpd_conn_enter(c, CONN_HEAD);
		conn_read(c);
	} else if (c->discard && !c->eof) {
		httpd_conn_enter(c, CONN_LINGERING);
		shutdown(bufferevent_getfd(c->bev), SHUT_WR);
		conn_read(c);
	} else {
		httpd_conn_free(c);
	}
}

static void on_read(struct bufferevent *bev, void *arg)
{
	(void)bev;
	loop_note(((struct httpd_conn *)arg)->h->loop, "httpd");
	conn_read(arg);
}

static void on_written(struct bufferevent *bev, void *arg)
{
	struct httpd_conn *c = arg;

	loop_note(c->h->loop, "httpd");
	if (c->state == CONN_WRITING && evbuffer_get_length(bufferevent_get_output(bev)) == 0)
		conn_written(c);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	struct httpd_conn *c = arg;

	(void)bev;
	if ((what & BEV_EVENT_EOF) && (what & BEV_EVENT_READING) && c->state != CONN_LINGERING &&
	    c->state != CONN_STREAMING) {
		c->eof = true;
		conn_read(c);
	} else {
		httpd_conn_free(c);
	}
}

static void on_deadline(void *arg)
{
	struct httpd_conn *c = arg;
	if (c->begun_ms && (c->state == CONN_HEAD || c->state == CONN_BODY))
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
	int on = 1;

	c->h = h;
	c->bev = bufferevent_socket_new(loop_base(h->loop), fd, BEV_OPT_CLOSE_ON_FREE);
	ENSURE(c->bev);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	client_name(sa, c->client, sizeof(c->client));
	timer_init(&c->deadline, h->loop, on_deadline, c);
	LIST_INSERT_HEAD(&h->conns, c, link);
	h->connections++;
	h->came_ms = clock_ms();
	httpd_conn_enter(c, CONN_HEAD);
	bufferevent_setcb(c->bev, on_read, on_written, on_event, c);
	bufferevent_setwatermark(c->bev, EV_READ, 0,
	                         h->opts.max_headers > READ_AHEAD ? h->opts.max_headers + 4 : READ_AHEAD);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
}

bool httpd_conn_unread(struct httpd_conn *c)
{
	char first;

	return recv(bufferevent_getfd(c->bev), &first, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

bool httpd_conn_idle(struct httpd_conn *c)
{
	return c->state == CONN_HEAD && !c->begun_ms && evbuffer_get_length(bufferevent_get_input(c->bev)) == 0 &&
	       !httpd_conn_unread(c);
}
