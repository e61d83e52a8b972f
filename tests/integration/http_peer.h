/* Plain sockets for the HTTP tests: a client that sends exact bytes, and a server that misbehaves. */
#ifndef SHOAL_TESTS_HTTP_PEER_H
#define SHOAL_TESTS_HTTP_PEER_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "port.h"
#include "shoal/base/clock.h"
#include "shoal/io/loop.h"

#define PATIENCE_MS 30000 /* for what has to come, on a machine that stands still at times */

static struct loop *loop;
static struct timer spin_timer;

static inline void spin_end(void *arg)
{
	loop_stop(arg);
}

/* Lets the loop run for some ms. */
static inline void spin(int64_t ms)
{
	timer_init(&spin_timer, loop, spin_end, loop);
	timer_set(&spin_timer, ms);
	loop_run(loop);
	timer_release(&spin_timer);
}

/* Lets the loop run until it is so; false: it has never come to be. */
#define SPIN_UNTIL(cond)                                                                                               \
	({                                                                                                             \
		for (int64_t end_ = clock_ms() + PATIENCE_MS; !(cond) && clock_ms() < end_;)                           \
			spin(2);                                                                                       \
		(cond);                                                                                                \
	})

static inline struct sockaddr_in local(unsigned port)
{
	return (struct sockaddr_in){
	    .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

/* --- client */

struct raw {
	int fd;
	char text[65536]; /* what came back */
	size_t len;
	bool closed;
};

static inline void raw_open(struct raw *r, unsigned port)
{
	struct sockaddr_in sa = local(port);

	r->len = 0;
	r->text[0] = '\0';
	r->closed = false;
	r->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(r->fd, (struct sockaddr *)&sa, sizeof(sa)) != 0)
		r->closed = true;
}

/* Never blocks for long: the server reads only while the loop turns. False when the server cut it short. */
static inline bool raw_send(struct raw *r, const char *bytes, size_t len)
{
	while (len) {
		ssize_t n = send(r->fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN)
			return false;
		if (n < 0)
			spin(1);
		else
			bytes += n, len -= (size_t)n;
	}
	return true;
}

static inline void raw_puts(struct raw *r, const char *s)
{
	raw_send(r, s, strlen(s));
}

static inline void raw_take(struct raw *r)
{
	size_t room = sizeof(r->text) - r->len - 1;
	ssize_t n = recv(r->fd, r->text + r->len, room, MSG_DONTWAIT);

	if (!room)
		return; /* nothing was read because nothing was wanted */
	if (n > 0)
		r->len += (size_t)n;
	else if (n == 0 || errno != EAGAIN)
		r->closed = true;
	r->text[r->len] = '\0';
}

/* Until the server closes, or `until` was seen, or time is out. */
static inline bool raw_wait(struct raw *r, const char *until, int64_t ms)
{
	for (int64_t end = clock_ms() + ms; clock_ms() < end && !r->closed;) {
		spin(2);
		raw_take(r);
		if (until && strstr(r->text, until))
			return true;
	}
	return until ? strstr(r->text, until) != NULL : r->closed;
}

static inline void raw_close(struct raw *r)
{
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
	spin(5);
}

static inline int raw_status(const struct raw *r)
{
	return strncmp(r->text, "HTTP/1.1 ", 9) == 0 ? atoi(r->text + 9) : 0;
}

/* --- server: answers every request (seen as one piece) with fixed bytes, now and then less politely */

struct bad {
	int listener, fds[64];
	unsigned port, accepted, requests;
	const char *answer; /* NULL: silence */
	bool close_after;   /* the answer */
	bool endless;       /* the answer's end is repeated without end */
	char last[65536];   /* the last request */
	struct timer timer;
};

static inline void bad_drop(struct bad *b, int i)
{
	close(b->fds[i]);
	b->fds[i] = -1;
}

static inline void bad_serve(struct bad *b, int i)
{
	ssize_t n = recv(b->fds[i], b->last, sizeof(b->last) - 1, MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN && b->endless && b->requests)
		n = send(b->fds[i], b->last, sizeof(b->last), MSG_DONTWAIT | MSG_NOSIGNAL), n = -1, errno = EAGAIN;
	if (n == 0 || (n < 0 && errno != EAGAIN)) {
		bad_drop(b, i);
		return;
	}
	if (n < 0)
		return;
	b->last[n] = '\0';
	b->requests++;
	if (b->answer && send(b->fds[i], b->answer, strlen(b->answer), MSG_NOSIGNAL) < 0)
		perror("send");
	if (b->close_after)
		bad_drop(b, i);
}

static inline void bad_turn(void *arg)
{
	struct bad *b = arg;

	for (int i = 0; i < 64; i++) {
		if (b->fds[i] < 0) {
			b->fds[i] = accept4(b->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
			b->accepted += b->fds[i] >= 0;
		}
		if (b->fds[i] >= 0)
			bad_serve(b, i);
	}
	timer_set(&b->timer, 1);
}

static inline struct bad *bad_open(const char *answer)
{
	struct bad *b = calloc(1, sizeof(*b));

	b->port = (unsigned)port_own();
	struct sockaddr_in sa = local(b->port);
	b->answer = answer;
	b->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (bind(b->listener, (struct sockaddr *)&sa, sizeof(sa)) || listen(b->listener, 64))
		abort();
	for (int i = 0; i < 64; i++)
		b->fds[i] = -1;
	timer_init(&b->timer, loop, bad_turn, b);
	timer_set(&b->timer, 0);
	return b;
}

static inline void bad_close(struct bad *b)
{
	timer_release(&b->timer);
	for (int i = 0; i < 64; i++) {
		if (b->fds[i] >= 0)
			close(b->fds[i]);
	}
	close(b->listener);
	free(b);
}

#endif
