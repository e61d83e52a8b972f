/* The server's connections. A connection holds at most one request; what the client sends ahead waits in its input.
 *
 *        ┌────────── answer written, keep-alive ─────────┐
 *        v                                               │
 *      HEAD ──> BODY ──> HANDLING ──httpd_reply──> WRITING ──> LINGERING ──> closed
 *        └────────┴───── refused: an error answer ───────┘       (input that nobody reads is drained first, else the
 *                                                                 reset would take the answer away from the client)
 */
#include "shoal/io/httpd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "shoal/base/clock.h"
#include "shoal/base/json.h"
#include "shoal/base/log.h"
#include "shoal/io/httpd_listen.h"
#include "shoal/io/httpd_parse.h"

#define READ_AHEAD 65536
#define LINGER_MS 5000
#define ACCEPT_PAUSE_MS 100
#define SPARED_MAX 8  /* who has just spoken is spared where others are not far behind */
#define QUIET_MS 1000 /* nobody has come for so long: they know where else to go */
#define ERROR_BODY_MAX 4096
#define STREAM_BACKLOG_MAX (256u << 10) /* bytes that a client has not read yet */

enum conn_state { CONN_HEAD, CONN_BODY, CONN_HANDLING, CONN_STREAMING, CONN_WRITING, CONN_LINGERING };

struct conn {
	struct httpd *h;
	struct bufferevent *bev;
	enum conn_state state;
	bool eof;     /* the client sends no more; it may still read */
	bool discard; /* the rest of its input makes no sense to us */
	bool waiting; /* for the client, and so on the server's list of those */
	bool keep_alive;
	int64_t begun_ms; /* when a request's first bytes were here; 0: it is idle */
	struct timer deadline;
	struct httpd_request *r;
	char client[INET6_ADDRSTRLEN];
	LIST_ENTRY(conn) link;
	TAILQ_ENTRY(conn) wait;
};

struct httpd_request {
	struct httpd *h;   /* NULL once the server is gone */
	struct conn *conn; /* NULL once the client has left */
	struct arena arena;
	struct http_head head;
	struct http_chunked chunked;
	struct buf body;
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
	bool winding_down;
	int64_t came_ms, last_ms; /* somebody last came or asked; when it stops accepting at the latest */
	unsigned port, connections, open_requests;
	int64_t refusals_logged;
	unsigned refusals_held_back, made_room;
	LIST_HEAD(, conn) conns;
	TAILQ_HEAD(waiting, conn)
	waiting; /* whose client has something to do; the one that has let us wait longest first */
	LIST_HEAD(, httpd_request) requests; /* handed to the handler */
};

static void conn_read(struct conn *c);

static void request_free(struct httpd_request *r)
{
	if (r->handled && r->h) {
		LIST_REMOVE(r, link);
		r->h->open_requests--;
	}
	buf_release(&r->body);
	arena_release(&r->arena);
	free(r);
}

static struct httpd_request *request_new(struct conn *c)
{
	struct httpd_request *r = mem_zalloc(sizeof(*r));

	r->h = c->h;
	r->conn = c;
	arena_init(&r->arena);
	buf_init(&r->body, c->h->opts.max_body);
	return r;
}

/* Whether it is the client's turn, from now on. */
static void conn_wait(struct conn *c, bool waiting)
{
	if (c->waiting)
		TAILQ_REMOVE(&c->h->waiting, c, wait);
	c->waiting = waiting;
	if (waiting)
		TAILQ_INSERT_TAIL(&c->h->waiting, c, wait);
}

static void conn_free(struct conn *c)
{
	if (c->r && c->r->handled)
		c->r->conn = NULL; /* lives until its answer */
	else if (c->r)
		request_free(c->r);
	timer_release(&c->deadline);
	conn_wait(c, false);
	LIST_REMOVE(c, link);
	c->h->connections--;
	bufferevent_free(c->bev);
	free(c);
}

static void conn_enter(struct conn *c, enum conn_state state)
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
	else if (state ==
	         CONN_BODY) /* one deadline from a request's first byte to its last, however slowly they drip */
		limit_ms -= clock_ms() - c->begun_ms;
	if (!waits[state])
		timer_stop(&c->deadline);
	else
		timer_set(&c->deadline, limit_ms > 0 ? limit_ms : 0);
	if (state != CONN_BODY) /* which keeps the place of its head */
		conn_wait(c, waits[state]);
}

/* --- writing */

static void add_date(struct evbuffer *out)
{
	char text[64];
	time_t now = (time_t)(clock_wall_ms() / 1000);
	struct tm tm;

	gmtime_r(&now, &tm);
	if (strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &tm))
		evbuffer_add_printf(out, "Date: %s\r\n", text);
}

static bool header_safe(const char *s)
{
	return s[strcspn(s, "\r\n")] == '\0';
}

static void add_headers(struct evbuffer *out, const char *const *headers)
{
	for (; headers && headers[0]; headers += 2) {
		if (header_safe(headers[0]) && header_safe(headers[1]))
			evbuffer_add_printf(out, "%s: %s\r\n", headers[0], headers[1]);
	}
}

/* length: of the body; below 0: it ends with the connection. */
static void add_head(struct conn *c, int status, const char *content_type, ssize_t length, const char *const *headers)
{
	struct evbuffer *out = bufferevent_get_output(c->bev);

	evbuffer_add_printf(out, "HTTP/1.1 %d %s\r\n", status, http_status_text(status));
	add_date(out);
	if (status != 204 && status != 304) {
		if (content_type)
			evbuffer_add_printf(out, "Content-Type: %s\r\n", content_type);
		if (length >= 0)
			evbuffer_add_printf(out, "Content-Length: %zd\r\n", length);
	}
	add_headers(out, c->h->opts.headers);
	add_headers(out, headers);
	evbuffer_add_printf(out, "Connection: %s\r\n\r\n", c->keep_alive ? "keep-alive" : "close");
}

static void conn_answer(struct conn *c, int status, const char *content_type, struct span body,
                        const char *const *headers, bool head_only)
{
	bool bodiless = status == 204 || status == 304;

	add_head(c, status, content_type, (ssize_t)body.len, headers);
	if (!bodiless && !head_only && body.len)
		evbuffer_add(bufferevent_get_output(c->bev), body.ptr, body.len);
	conn_enter(c, CONN_WRITING);
}

static const char *error_body(struct buf *b, const char *code, const char *message)
{
	struct json_writer w;

	json_writer_init(&w, b);
	json_begin_obj(&w);
	json_key(&w, "error");
	json_begin_obj(&w);
	json_kv_str(&w, "code", code);
	json_kv_str(&w, "message", message);
	json_end_obj(&w);
	json_end_obj(&w);
	return "application/json";
}

/* Refuses what did not become a request for the handler, and reads no further request from this client. */
static void conn_refuse(struct conn *c, int status)
{
	static const struct {
		int status;
		const char *code, *message;
	} reasons[] = {
	    {408, "timeout", "the request did not arrive in time"},
	    {413, "too_long", "the body is too long"},
	    {417, "expectation", "only 100-continue can be expected"},
	    {431, "headers_too_long", "the request line and headers are too long"},
	    {501, "not_implemented", "this method or transfer encoding is not known here"},
	    {505, "version", "HTTP/1.1 is spoken here"},
	    {400, "bad_request", "this is not a well-formed HTTP request"},
	};
	struct buf body;
	size_t i = 0;

	while (reasons[i].status != status && reasons[i].status != 400)
		i++;
	buf_init(&body, ERROR_BODY_MAX);
	c->keep_alive = false;
	c->discard = true;
	const char *type = error_body(&body, reasons[i].code, reasons[i].message);
	bool head_only = c->r && strcmp(c->r->head.method, "HEAD") == 0;
	conn_answer(c, status, type, buf_span(&body), NULL, head_only);
	buf_release(&body);
	if (c->r)
		request_free(c->r);
	c->r = NULL;
}

void httpd_reply(struct httpd_request *r, int status, const char *content_type, struct span body,
                 const char *const *headers)
{
	struct conn *c = r->conn;

	ENSURE(r->handled);
	if (c) {
		c->r = NULL;
		if (c->h->winding_down)
			c->keep_alive = false;
		conn_answer(c, status, content_type, body, headers, strcmp(r->head.method, "HEAD") == 0);
	}
	request_free(r);
}

void httpd_reply_error(struct httpd_request *r, int status, const char *code, const char *message)
{
	struct buf body;

	buf_init(&body, ERROR_BODY_MAX + 8 * strlen(message));
	const char *type = error_body(&body, code, message);
	httpd_reply(r, status, type, buf_span(&body), NULL);
	buf_release(&body);
}

void httpd_drop(struct httpd_request *r)
{
	struct conn *c = r->conn;
	struct linger hard = {.l_onoff = 1};

	ENSURE(r->handled);
	if (c) {
		c->r = NULL;
		setsockopt(bufferevent_getfd(c->bev), SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
		conn_enter(c, CONN_LINGERING);
		timer_set(&c->deadline, 0); /* not here: the handler may have been called from conn_read */
	}
	request_free(r);
}

/* --- an answer without an end */

void httpd_stream_begin(struct httpd_request *r, const char *content_type, const char *const *headers)
{
	struct conn *c = r->conn;

	ENSURE(r->handled);
	if (!c)
		return;
	ENSURE(c->state == CONN_HANDLING);
	c->keep_alive = false;
	add_head(c, 200, content_type, -1, headers);
	conn_enter(c, CONN_STREAMING);
}

bool httpd_stream_send(struct httpd_request *r, struct span text)
{
	struct evbuffer *out;

	if (!r->conn)
		return false;
	ENSURE(r->conn->state == CONN_STREAMING);
	out = bufferevent_get_output(r->conn->bev);
	if (evbuffer_get_length(out) + text.len > STREAM_BACKLOG_MAX)
		return false;
	evbuffer_add(out, text.ptr, text.len);
	return true;
}

void httpd_stream_end(struct httpd_request *r)
{
	struct conn *c = r->conn;

	if (c && c->state == CONN_STREAMING) {
		c->r = NULL;
		conn_enter(c, CONN_WRITING);
		if (evbuffer_get_length(bufferevent_get_output(c->bev)) == 0)
			timer_set(&c->deadline, 0); /* nothing more will be written */
	}
	request_free(r);
}

/* --- reading */

static void conn_handle(struct conn *c)
{
	struct httpd_request *r = c->r;
	struct httpd *h = c->h;

	conn_enter(c, CONN_HANDLING);
	r->handled = true;
	r->client = arena_strdup(&r->arena, c->client);
	LIST_INSERT_HEAD(&h->requests, r, link);
	h->open_requests++;
	h->came_ms = clock_ms();
	h->opts.handle(h->opts.arg, r); /* r may be gone */
}

/* False: more is needed first. */
static bool read_head(struct conn *c)
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
		conn_refuse(c, 431);
		return true;
	}
	if (end.pos < 0)
		return false;
	c->r = request_new(c);
	struct span text = {(const char *)evbuffer_pullup(in, (ev_ssize_t)have), have};
	int status = http_head_parse(&c->r->head, &c->r->arena, text);
	evbuffer_drain(in, have + 4);
	if (!status && !c->r->head.chunked && (uint64_t)c->r->head.length > c->h->opts.max_body)
		status = 413;
	if (status) {
		conn_refuse(c, status);
		return true;
	}
	c->keep_alive = c->r->head.keep_alive;
	conn_enter(c, CONN_BODY);
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

static bool read_sized(struct conn *c, struct evbuffer *in)
{
	struct httpd_request *r = c->r;
	size_t left = (size_t)r->head.length - r->body.len, n = evbuffer_get_length(in);

	if (n > left)
		n = left;
	if (n)
		buf_add(&r->body, evbuffer_pullup(in, (ev_ssize_t)n), n);
	evbuffer_drain(in, n);
	return n == left;
}

static bool read_chunked(struct conn *c, struct evbuffer *in)
{
	struct httpd_request *r = c->r;
	size_t n = evbuffer_get_length(in);
	long used = http_chunked_feed(&r->chunked, (struct span){(const char *)evbuffer_pullup(in, -1), n}, &r->body);

	if (used < 0 || r->body.failed) {
		conn_refuse(c, used < 0 ? 400 : 413);
		return false;
	}
	evbuffer_drain(in, (size_t)used);
	return r->chunked.state == CHUNK_DONE;
}

static bool read_body(struct conn *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);

	if (c->r->head.chunked ? !read_chunked(c, in) : !read_sized(c, in))
		return false;
	conn_handle(c);
	return true;
}

/* Reads on until more input is needed or a request is with the handler. */
static void conn_read(struct conn *c)
{
	bool more = true;

	while (more && (c->state == CONN_HEAD || c->state == CONN_BODY))
		more = c->state == CONN_HEAD ? read_head(c) : read_body(c);
	if (c->state == CONN_LINGERING)
		evbuffer_drain(bufferevent_get_input(c->bev), SIZE_MAX);
	else if (c->eof && (c->state == CONN_HEAD || c->state == CONN_BODY))
		conn_free(c);
}

/* The answer is with the kernel. */
static void conn_written(struct conn *c)
{
	if (c->keep_alive && c->h->listener) {
		conn_enter(c, CONN_HEAD);
		conn_read(c);
	} else if (c->discard && !c->eof) {
		conn_enter(c, CONN_LINGERING);
		shutdown(bufferevent_getfd(c->bev), SHUT_WR);
		conn_read(c);
	} else {
		conn_free(c);
	}
}

static void on_read(struct bufferevent *bev, void *arg)
{
	(void)bev;
	loop_note(((struct conn *)arg)->h->loop, "httpd");
	conn_read(arg);
}

static void on_written(struct bufferevent *bev, void *arg)
{
	struct conn *c = arg;

	loop_note(c->h->loop, "httpd");
	if (c->state == CONN_WRITING && evbuffer_get_length(bufferevent_get_output(bev)) == 0)
		conn_written(c);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	struct conn *c = arg;

	(void)bev;
	if ((what & BEV_EVENT_EOF) && (what & BEV_EVENT_READING) && c->state != CONN_LINGERING &&
	    c->state != CONN_STREAMING) {
		c->eof = true;
		conn_read(c);
	} else {
		conn_free(c);
	}
}

static void on_deadline(void *arg)
{
	struct conn *c = arg;
	if (c->begun_ms && (c->state == CONN_HEAD || c->state == CONN_BODY))
		conn_refuse(c, 408);
	else
		conn_free(c);
}

/* --- accepting */

static void client_name(const struct sockaddr *sa, char *out, socklen_t size)
{
	const void *addr = sa->sa_family == AF_INET6 ? (const void *)&((const struct sockaddr_in6 *)sa)->sin6_addr
	                                             : (const void *)&((const struct sockaddr_in *)sa)->sin_addr;
	if (!inet_ntop(sa->sa_family, addr, out, size))
		out[0] = '\0';
}

/* Whether the client has sent what we have not read yet. */
static bool conn_unread(struct conn *c)
{
	char first;

	return recv(bufferevent_getfd(c->bev), &first, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

/* Makes room at the cost of who lets us wait longest: an idle connection, a request that drips, an answer that nobody
 * reads. So nobody keeps others out by holding connections open. (By address would not do: behind a proxy all clients
 * have one.) False: all are ours to answer. */
static bool make_room(struct httpd *h)
{
	struct conn *c = TAILQ_FIRST(&h->waiting);

	for (unsigned i = 0; c && i < SPARED_MAX && conn_unread(c); i++)
		c = TAILQ_NEXT(c, wait);
	if (!c)
		c = TAILQ_FIRST(&h->waiting);
	if (!c)
		return false;
	conn_free(c);
	h->made_room++;
	return true;
}

static void complain_of_crowd(struct httpd *h)
{
	if (!log_due(&h->refusals_logged, &h->refusals_held_back))
		return;
	log_warn("http connections are at their limit", LOG_STR("variable", h->opts.variable),
	         LOG_INT("max", h->opts.max_connections), LOG_INT("closed_for_others", h->made_room),
	         LOG_INT("suppressed", h->refusals_held_back));
	h->refusals_held_back = 0;
	h->made_room = 0;
}

static void on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *sa, int len, void *arg)
{
	struct httpd *h = arg;
	int on = 1;

	(void)l;
	(void)len;
	if (h->connections >= h->opts.max_connections) {
		bool room = make_room(h);
		complain_of_crowd(h);
		if (!room) {
			close(fd);
			return;
		}
	}
	struct conn *c = mem_zalloc(sizeof(*c));
	c->h = h;
	c->bev = bufferevent_socket_new(loop_base(h->loop), fd, BEV_OPT_CLOSE_ON_FREE);
	ENSURE(c->bev);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	client_name(sa, c->client, sizeof(c->client));
	timer_init(&c->deadline, h->loop, on_deadline, c);
	LIST_INSERT_HEAD(&h->conns, c, link);
	h->connections++;
	h->came_ms = clock_ms();
	conn_enter(c, CONN_HEAD);
	bufferevent_setcb(c->bev, on_read, on_written, on_event, c);
	bufferevent_setwatermark(c->bev, EV_READ, 0,
	                         h->opts.max_headers > READ_AHEAD ? h->opts.max_headers + 4 : READ_AHEAD);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
}

static void accept_again(void *arg)
{
	struct httpd *h = arg;

	if (h->listener)
		evconnlistener_enable(h->listener);
}

/* Out of descriptors: makes room, and waits a little instead of spinning. */
static void on_accept_error(struct evconnlistener *l, void *arg)
{
	struct httpd *h = arg;
	int error = errno;

	evconnlistener_disable(l);
	timer_set(&h->accept_pause, (error == EMFILE || error == ENFILE) && make_room(h) ? 1 : ACCEPT_PAUSE_MS);
	if (!log_due(&h->refusals_logged, &h->refusals_held_back))
		return;
	log_error("http accept failed", LOG_STR("variable", h->opts.variable), LOG_STR("reason", strerror(error)),
	          LOG_INT("suppressed", h->refusals_held_back));
	h->refusals_held_back = 0;
}

/* Looks whether they still come. */
static void wind_down(void *arg)
{
	struct httpd *h = arg;
	int64_t now = clock_ms(), until = h->came_ms + QUIET_MS;

	if (until > h->last_ms)
		until = h->last_ms;
	if (now < until)
		timer_set(&h->wind_down, until - now);
	else
		httpd_stop_accepting(h);
}

struct httpd *httpd_open(struct loop *l, const struct httpd_opts *opts, struct arena *a, const char **why)
{
	unsigned port;
	int fd = httpd_listen(opts->listen, opts->variable, &port, a, why);

	if (fd < 0)
		return NULL;
	ENSURE(opts->handle && opts->max_headers && opts->max_connections && opts->timeout_s);
	struct httpd *h = mem_zalloc(sizeof(*h));
	h->loop = l;
	h->opts = *opts;
	h->opts.listen = NULL;
	h->port = port;
	LIST_INIT(&h->conns);
	TAILQ_INIT(&h->waiting);
	LIST_INIT(&h->requests);
	h->came_ms = -QUIET_MS;
	timer_init(&h->accept_pause, l, accept_again, h);
	timer_init(&h->wind_down, l, wind_down, h);
	h->listener =
	    evconnlistener_new(loop_base(l), on_accept, h, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
	ENSURE(h->listener);
	evconnlistener_set_error_cb(h->listener, on_accept_error);
	return h;
}

static bool conn_idle(struct conn *c)
{
	return c->state == CONN_HEAD && !c->begun_ms && evbuffer_get_length(bufferevent_get_input(c->bev)) == 0 &&
	       !conn_unread(c);
}

/* Those who are connected, as they know it, and may have sent a request already. */
static void accept_waiting(struct httpd *h)
{
	int fd, listening = evconnlistener_get_fd(h->listener);
	struct sockaddr_storage sa = {0};
	socklen_t len = sizeof(sa);

	while ((fd = accept4(listening, (struct sockaddr *)&sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		on_accept(h->listener, fd, (struct sockaddr *)&sa, (int)len, h);
		len = sizeof(sa);
	}
}

void httpd_wind_down(struct httpd *h, int64_t most_ms)
{
	h->winding_down = true;
	h->last_ms = clock_ms() + most_ms;
	if (h->listener)
		wind_down(h);
}

bool httpd_accepting(const struct httpd *h)
{
	return h->listener != NULL;
}

void httpd_stop_accepting(struct httpd *h)
{
	struct conn *c, *next;

	h->winding_down = true;
	if (!h->listener)
		return;
	for (c = LIST_FIRST(&h->conns); c; c = next) {
		next = LIST_NEXT(c, link);
		if (conn_idle(c))
			conn_free(c);
	}
	accept_waiting(h);
	evconnlistener_free(h->listener);
	h->listener = NULL;
}

void httpd_free(struct httpd *h)
{
	struct httpd_request *r;

	if (!h)
		return;
	httpd_stop_accepting(h);
	while (!LIST_EMPTY(&h->conns))
		conn_free(LIST_FIRST(&h->conns));
	while ((r = LIST_FIRST(&h->requests)) != NULL) {
		LIST_REMOVE(r, link);
		r->h = NULL;
	}
	timer_release(&h->accept_pause);
	timer_release(&h->wind_down);
	free(h);
}

unsigned httpd_port(const struct httpd *h)
{
	return h->port;
}

unsigned httpd_open_requests(const struct httpd *h)
{
	return h->open_requests;
}

/* --- the request, for the handler */

const char *httpd_method(const struct httpd_request *r)
{
	return r->head.method;
}

const char *httpd_path(const struct httpd_request *r)
{
	return r->head.path;
}

const char *httpd_query(const struct httpd_request *r, const char *name)
{
	return http_pairs_get(&r->head.query, name);
}

const char *httpd_header(const struct httpd_request *r, const char *name)
{
	return http_head_get(&r->head, name);
}

const char *httpd_header_once(const struct httpd_request *r, const char *name)
{
	return http_head_count(&r->head, name) == 1 ? http_head_get(&r->head, name) : NULL;
}

const char *httpd_client(const struct httpd_request *r)
{
	return r->client;
}

struct span httpd_body(const struct httpd_request *r)
{
	return r->body.len ? buf_span(&r->body) : SPAN("");
}

static void parse_form(struct httpd_request *r)
{
	static const char urlencoded[] = "application/x-www-form-urlencoded", multipart[] = "multipart/form-data";
	const char *type = httpd_header(r, "Content-Type");
	bool good = false;

	if (type && strncasecmp(type, urlencoded, sizeof(urlencoded) - 1) == 0)
		good = http_urlencoded_parse(&r->form, &r->arena, httpd_body(r));
	else if (type && strncasecmp(type, multipart, sizeof(multipart) - 1) == 0)
		good = http_multipart_parse(&r->form, &r->arena, type, httpd_body(r));
	if (!good)
		r->form.n = 0;
	r->form_parsed = true;
}

const char *httpd_form(struct httpd_request *r, const char *name)
{
	if (!r->form_parsed)
		parse_form(r);
	return http_pairs_get(&r->form, name);
}

struct arena *httpd_arena(struct httpd_request *r)
{
	return &r->arena;
}
