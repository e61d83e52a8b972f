/* A connection's socket. Most requests come in one piece and find room for their answer, so they cost a recv and a
 * send: what is read is taken from the server's inbox at once, and what is not taken is kept; answers are written when
 * they are there, and only what does not leave then waits for the loop. */
#include <errno.h>
#include <event2/event.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#include "shoal/base/clock.h"
#include "shoal/base/err.h"
#include "shoal/io/httpd_conn.h"

#define OUT_MAX (SIZE_MAX / 4)
#define OUT_KEPT 2048 /* bytes of memory that a connection keeps for its next answer */

static size_t unread_max(const struct httpd *h)
{
	return h->opts.max_headers + 4 > HTTPD_READ_MAX ? h->opts.max_headers + 4 : HTTPD_READ_MAX;
}

/* --- reading */

static void want(struct httpd_conn *c, bool more)
{
	if (more == c->reading)
		return;
	c->reading = more;
	ENSURE((more ? event_add(c->readable, NULL) : event_del(c->readable)) == 0);
}

/* Input that is not the client's turn to send is read ahead, so that its leaving is seen, but not without end. */
static bool wants_more(const struct httpd_conn *c)
{
	bool turn = c->state == CONN_HEAD || c->state == CONN_BODY || c->state == CONN_LINGERING;

	return !c->eof && (turn || c->unread.len <= unread_max(c->h) / 2);
}

void httpd_wire_keep(struct httpd_conn *c)
{
	if (c->unread.len == 0) {
		buf_release(&c->in);
		c->unread = (struct span){0};
	} else if (c->in.len == 0) {
		buf_add(&c->in, c->unread.ptr, c->unread.len);
		c->unread = buf_span(&c->in);
	}
	want(c, wants_more(c));
}

/* What has come, behind what is unread. */
static void take_in(struct httpd_conn *c, size_t n)
{
	if (c->unread.len == 0) {
		c->unread = (struct span){c->h->inbox, n};
		return;
	}
	if (c->unread.len < c->in.len) {
		memmove(c->in.ptr, c->unread.ptr, c->unread.len);
		c->in.len = c->unread.len;
	}
	buf_add(&c->in, c->h->inbox, n);
	c->unread = buf_span(&c->in);
}

static void on_readable(evutil_socket_t fd, short events, void *arg)
{
	struct httpd_conn *c = arg;
	size_t room = unread_max(c->h) - c->unread.len;
	ssize_t n;

	(void)events;
	loop_note(c->h->loop, "httpd");
	n = recv(fd, c->h->inbox, room < HTTPD_READ_MAX ? room : HTTPD_READ_MAX, 0);
	if (n > 0) {
		take_in(c, (size_t)n);
		httpd_conn_go_on(c);
	} else if (n == 0) {
		want(c, false);
		httpd_conn_eof(c);
	} else if (errno != EAGAIN && errno != EINTR) {
		httpd_conn_free(c);
	}
}

/* --- writing */

size_t httpd_wire_unsent(const struct httpd_conn *c)
{
	return c->out.len - c->sent;
}

static void all_sent(struct httpd_conn *c)
{
	c->sent = 0;
	if (c->out.cap > OUT_KEPT)
		buf_release(&c->out);
	else
		buf_clear(&c->out);
}

/* So that what a slow client takes piece by piece is moved rarely, and what it has taken is not kept. */
static void forget_sent(struct httpd_conn *c)
{
	size_t left = httpd_wire_unsent(c);

	if (c->sent < left)
		return;
	memmove(c->out.ptr, c->out.ptr + c->sent, left);
	c->out.len = left;
	c->sent = 0;
}

bool httpd_wire_flush(struct httpd_conn *c)
{
	size_t left = httpd_wire_unsent(c);
	ssize_t n;

	if (left == 0)
		return true;
	ENSURE(!c->out.failed);
	n = send(c->fd, c->out.ptr + c->sent, left, MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		httpd_conn_due(c, clock_ms());
		return false;
	}
	c->sent += n > 0 ? (size_t)n : 0;
	if (c->sent == c->out.len) {
		all_sent(c);
		return true;
	}
	forget_sent(c);
	ENSURE(event_add(c->writable, NULL) == 0);
	return false;
}

static void write_on(void *arg)
{
	struct httpd_conn *c = arg;

	if (httpd_wire_flush(c) && c->state == CONN_WRITING)
		httpd_conn_written(c);
}

static void on_writable(evutil_socket_t fd, short events, void *arg)
{
	(void)fd;
	(void)events;
	loop_note(((struct httpd_conn *)arg)->h->loop, "httpd");
	write_on(arg);
}

/* --- life */

void httpd_wire_open(struct httpd_conn *c, int fd)
{
	struct event_base *base = loop_base(c->h->loop);
	int on = 1;

	c->fd = fd;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	buf_init(&c->in, unread_max(c->h));
	buf_init(&c->out, OUT_MAX);
	c->go_on = (struct task){.fn = write_on, .arg = c};
	c->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, c);
	c->writable = event_new(base, fd, EV_WRITE, on_writable, c);
	ENSURE(c->readable && c->writable);
	want(c, true);
}

void httpd_wire_close(struct httpd_conn *c)
{
	task_cancel(&c->go_on);
	event_free(c->readable);
	event_free(c->writable);
	buf_release(&c->in);
	buf_release(&c->out);
	close(c->fd);
}
