/* To the gateway, as the platform posts: each over a connection that stays, one at a time on each. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shoal/base/arena.h"
#include "shoal/base/err.h"
#include "target.h"

enum { ANSWER_MAX = 4096 };

struct post {
	size_t n; /* the update that it carries */
	bool busy;
	size_t have;
	char answer[ANSWER_MAX];
};

struct webhook {
	struct target target;
	const char *secret;
	size_t connections;
	struct pollfd *fds;
	struct post *posts;
	size_t *idle, nidle; /* the one that was used last is used first */
};

static bool give(struct target *t, size_t n)
{
	struct webhook *w = (struct webhook *)t;
	char body[UPDATE_MAX], request[UPDATE_MAX + 512];
	size_t at, len;
	int all;

	if (!w->nidle)
		return false;
	at = w->idle[--w->nidle];
	len = update_text(t->load, n, body);
	all = snprintf(request, sizeof(request),
	               "POST /telegram/persona HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
	               "X-Telegram-Bot-Api-Secret-Token: %s\r\nContent-Length: %zu\r\n\r\n%s",
	               w->secret, len, body);
	w->posts[at].n = n;
	w->posts[at].busy = true;
	w->posts[at].have = 0;
	/* a request is smaller than the buffer of a socket with nothing in it */
	ENSURE(send(w->fds[at].fd, request, (size_t)all, MSG_NOSIGNAL) == all);
	return true;
}

/* A whole answer of a server that says how long its body is. */
static bool whole(const struct post *p)
{
	const char *end = memmem(p->answer, p->have, "\r\n\r\n", 4), *length;

	if (!end)
		return false;
	length = memmem(p->answer, (size_t)(end - p->answer), "\r\nContent-Length: ", 18);
	ENSURE(length);
	return p->have >= (size_t)(end + 4 - p->answer) + strtoul(length + 18, NULL, 10);
}

static void take_answer(struct webhook *w, size_t at)
{
	struct post *p = &w->posts[at];
	ssize_t n = recv(w->fds[at].fd, p->answer + p->have, sizeof(p->answer) - p->have, 0);

	if (n <= 0 || !p->busy) {
		fprintf(stderr, "send: the gateway has closed a connection\n");
		exit(1);
	}
	p->have += (size_t)n;
	if (!whole(p))
		return;
	if (memcmp(p->answer, "HTTP/1.1 200", 12) != 0 ||
	    (update_presses(w->target.load, p->n) && !memmem(p->answer, p->have, "answerCallbackQuery", 19))) {
		fprintf(stderr, "send: the gateway refused an update: %.60s\n", p->answer);
		exit(1);
	}
	w->target.sent[p->n].answered_ns = now_ns();
	w->target.answered++;
	p->busy = false;
	w->idle[w->nidle++] = at;
}

static void turn(struct target *t, int64_t until_ns)
{
	struct webhook *w = (struct webhook *)t;

	if (poll_until(w->fds, w->connections, until_ns) <= 0)
		return;
	for (size_t i = 0; i < w->connections; i++) {
		if (w->fds[i].revents)
			take_answer(w, i);
	}
}

static void webhook_free(struct target *t)
{
	struct webhook *w = (struct webhook *)t;

	for (size_t i = 0; i < w->connections; i++)
		close(w->fds[i].fd);
	free(w->fds);
	free(w->posts);
	free(w->idle);
	free(w);
}

static int dial(int port)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0) {
		perror("send: gateway");
		exit(1);
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

struct target *target_webhook(int port, const char *secret, size_t connections)
{
	struct webhook *w = mem_zalloc(sizeof(*w));

	*w = (struct webhook){
	    .target = {.give = give, .turn = turn, .free = webhook_free}, .secret = secret, .connections = connections};
	w->fds = mem_zalloc(connections * sizeof(*w->fds));
	w->posts = mem_zalloc(connections * sizeof(*w->posts));
	w->idle = mem_zalloc(connections * sizeof(*w->idle));
	for (size_t i = 0; i < connections; i++) {
		w->fds[i] = (struct pollfd){.fd = dial(port), .events = POLLIN};
		w->idle[w->nidle++] = i;
	}
	return &w->target;
}
