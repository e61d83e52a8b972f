/* links: base */
/* The platform, as cheap as can be: answers every call with the same sentence over connections that stay, and keeps
 * when each came, to whom, by which method, and the number that follows "No. " in its text. One thread.
 *
 *   standin PORT
 *
 * GET /bench/replies: how many came; /bench/record: all of them, as struct reply; /bench/forget: begins anew.
 * Everything else is a call. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "shoal/base/arena.h"
#include "shoal/base/err.h"

#define ANSWER                                                                                                         \
	"{\"ok\":true,\"result\":{\"message_id\":1,\"from\":{\"id\":100000001,\"is_bot\":true,\"first_name\":\"Bot\"}" \
	","                                                                                                            \
	"\"chat\":{\"id\":1,\"type\":\"private\"},\"date\":1700000000,\"text\":\"ok\"}}"

enum { IN_MIN = 16384, IN_MAX = 1 << 20, EVENTS = 256 };

/* What is told by /bench/record, 40 bytes each. */
struct reply {
	int64_t at_ns; /* CLOCK_MONOTONIC */
	int64_t chat_id;
	int64_t number; /* -1: the text has none */
	char method[16];
};

struct client {
	int fd;
	char *in;
	size_t have, cap;
	char *out; /* what the socket did not take */
	size_t left, out_at;
};

/* One request in a client's bytes. */
struct call {
	const char *path, *body;
	size_t path_len, body_len, whole;
};

static int epoll_fd;
static struct reply *replies;
static size_t nreplies, cap_replies;
static char sentence[sizeof(ANSWER) + 128];
static size_t sentence_len;

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void client_drop(struct client *c)
{
	close(c->fd);
	free(c->in);
	free(c->out);
	free(c);
}

/* ---- out */

static void watch(struct client *c, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.ptr = c};

	ENSURE(epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &e) == 0);
}

static void say(struct client *c, const void *bytes, size_t len)
{
	ssize_t n = c->left ? 0 : send(c->fd, bytes, len, MSG_NOSIGNAL);

	if (n < 0)
		n = 0; /* closed: the next read says so */
	if ((size_t)n == len)
		return;
	c->out = mem_realloc(c->out, c->out_at + c->left + len - (size_t)n);
	memcpy(c->out + c->out_at + c->left, (const char *)bytes + n, len - (size_t)n);
	c->left += len - (size_t)n;
	watch(c, EPOLLIN | EPOLLOUT);
}

static void say_rest(struct client *c)
{
	ssize_t n = send(c->fd, c->out + c->out_at, c->left, MSG_NOSIGNAL);

	if (n > 0) {
		c->out_at += (size_t)n;
		c->left -= (size_t)n;
	}
	if (c->left)
		return;
	c->out_at = 0;
	watch(c, EPOLLIN);
}

static void say_body(struct client *c, const void *body, size_t len)
{
	char head[128];

	say(c, head,
	    (size_t)snprintf(head, sizeof(head),
	                     "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
	                     "Content-Length: %zu\r\n\r\n",
	                     len));
	say(c, body, len);
}

static void say_count(struct client *c)
{
	char text[32];

	say_body(c, text, (size_t)snprintf(text, sizeof(text), "%zu\n", nreplies));
}

/* ---- calls */

/* The number after `key` and what is between a JSON key and its value; `none` where there is none. */
static int64_t number_after(const struct call *call, const char *key, int64_t none)
{
	size_t len = strlen(key);
	const char *at = call->body_len ? memmem(call->body, call->body_len, key, len) : NULL;
	const char *end = call->body + call->body_len;
	char digits[24];
	size_t n = 0;

	if (!at)
		return none;
	for (at += len; at < end && strchr("\": ", *at); at++)
		;
	while (at < end && n + 1 < sizeof(digits) && (*at == '-' || (*at >= '0' && *at <= '9')))
		digits[n++] = *at++;
	digits[n] = '\0';
	return n ? strtoll(digits, NULL, 10) : none;
}

static void take_reply(struct client *c, const struct call *call)
{
	const char *slash = memrchr(call->path, '/', call->path_len);
	size_t len = slash ? (size_t)(call->path + call->path_len - slash - 1) : 0;
	struct reply *r;

	if (nreplies == cap_replies) {
		cap_replies = cap_replies ? cap_replies * 2 : 1 << 16;
		replies = mem_realloc(replies, cap_replies * sizeof(*replies));
	}
	r = &replies[nreplies++];
	*r = (struct reply){now_ns(), number_after(call, "\"chat_id\"", 0), number_after(call, "No. ", -1), ""};
	memcpy(r->method, slash ? slash + 1 : "", len < sizeof(r->method) ? len : sizeof(r->method) - 1);
	say(c, sentence, sentence_len);
}

static bool path_is(const struct call *call, const char *path)
{
	return call->path_len >= strlen(path) && memcmp(call->path, path, strlen(path)) == 0;
}

static void take(struct client *c, const struct call *call)
{
	if (!path_is(call, "/bench/")) {
		take_reply(c, call);
	} else if (path_is(call, "/bench/record")) {
		say_body(c, replies, nreplies * sizeof(*replies));
	} else {
		if (path_is(call, "/bench/forget"))
			nreplies = 0;
		say_count(c);
	}
}

/* ---- in */

/* False: more is to come. Every client here says how long its body is. */
static bool next_call(const char *text, size_t have, struct call *call)
{
	const char *end = memmem(text, have, "\r\n\r\n", 4), *space, *line;

	*call = (struct call){0};
	if (!end)
		return false;
	space = memchr(text, ' ', (size_t)(end - text));
	ENSURE(space);
	call->path = space + 1;
	call->path_len = strcspn(call->path, " ?\r");
	for (line = memchr(text, '\n', (size_t)(end - text)); line; line = memchr(line, '\n', (size_t)(end - line))) {
		line++;
		ENSURE(strncasecmp(line, "Transfer-Encoding:", 18) != 0);
		if (strncasecmp(line, "Content-Length:", 15) == 0)
			call->body_len = strtoull(line + 15, NULL, 10);
	}
	call->body = end + 4;
	call->whole = (size_t)(call->body - text) + call->body_len;
	return call->whole <= have;
}

static void take_all(struct client *c)
{
	size_t done = 0;
	struct call call;

	while (next_call(c->in + done, c->have - done, &call)) {
		take(c, &call);
		done += call.whole;
	}
	memmove(c->in, c->in + done, c->have - done);
	c->have -= done;
}

static void on_bytes(struct client *c)
{
	ssize_t n;

	if (c->have == c->cap) {
		ENSURE(c->cap < IN_MAX);
		c->in = mem_realloc(c->in, c->cap *= 2);
	}
	n = recv(c->fd, c->in + c->have, c->cap - c->have, 0);
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		client_drop(c);
		return;
	}
	if (n > 0) {
		c->have += (size_t)n;
		take_all(c);
	}
}

static void on_client(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), on = 1;
	struct epoll_event e = {.events = EPOLLIN};
	struct client *c;

	if (fd < 0)
		return;
	c = mem_zalloc(sizeof(*c));
	*c = (struct client){.fd = fd, .cap = IN_MIN, .in = mem_alloc(IN_MIN)};
	e.data.ptr = c;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	ENSURE(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &e) == 0);
}

static int listen_on(int port)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	struct epoll_event e = {.events = EPOLLIN};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 512) < 0) {
		perror("standin");
		exit(1);
	}
	ENSURE(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &e) == 0);
	return fd;
}

static void serve(int listener)
{
	struct epoll_event events[EVENTS];

	for (;;) {
		int n = epoll_wait(epoll_fd, events, EVENTS, -1);

		for (int i = 0; i < n; i++) {
			struct client *c = events[i].data.ptr;

			if (!c) {
				on_client(listener);
				continue;
			}
			if (events[i].events & EPOLLOUT)
				say_rest(c);
			if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
				on_bytes(c);
		}
	}
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: standin PORT\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	sentence_len =
	    (size_t)snprintf(sentence, sizeof(sentence),
	                     "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
	                     sizeof(ANSWER) - 1, ANSWER);
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	ENSURE(epoll_fd >= 0);
	serve(listen_on(atoi(argv[1])));
}
