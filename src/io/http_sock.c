#include "shoal/io/http_sock.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shoal/base/arena.h"
#include "shoal/base/err.h"

/* A connection's socket. Between two requests curl wants to hear nothing of it; its event stays as it is, as the next
 * request will want the same: that spares two system calls for each. */
struct http_sock {
	struct http_socks *hs;
	struct event *event;
	short armed; /* what it listens for */
	bool wanted; /* curl wants to hear */
};

static void sock_listen(struct http_sock *s, curl_socket_t fd, short events);

static void act(struct http_socks *hs, curl_socket_t fd, int flags)
{
	int running;

	curl_multi_socket_action(hs->multi, fd, flags, &running);
	hs->acted(hs->arg);
}

static void on_socket(evutil_socket_t fd, short what, void *arg)
{
	struct http_sock *s = arg; /* it may go while curl acts */

	loop_note(s->hs->loop, "curl");
	if (!s->wanted) { /* the other side hangs up; curl looks before it uses the connection again */
		sock_listen(s, fd, 0);
		return;
	}
	act(s->hs, fd, (what & EV_READ ? CURL_CSELECT_IN : 0) | (what & EV_WRITE ? CURL_CSELECT_OUT : 0));
}

static void on_timer(void *arg)
{
	struct http_socks *hs = arg;

	loop_note(hs->loop, "curl");
	act(hs, CURL_SOCKET_TIMEOUT, 0);
}

static void sock_listen(struct http_sock *s, curl_socket_t fd, short events)
{
	if (events == s->armed)
		return;
	event_del(s->event);
	s->armed = events;
	if (events) {
		event_assign(s->event, loop_base(s->hs->loop), fd, events | EV_PERSIST, on_socket, s);
		event_add(s->event, NULL);
	}
}

static struct http_sock *sock_of(struct http_socks *hs, curl_socket_t fd)
{
	return (size_t)fd < hs->n ? hs->all[fd] : NULL;
}

static struct http_sock *sock_new(struct http_socks *hs, curl_socket_t fd)
{
	struct http_sock *s = mem_zalloc(sizeof(*s));
	size_t n = (size_t)fd + 1;

	if (n > hs->n) {
		hs->all = mem_realloc(hs->all, n * sizeof(struct http_sock *));
		memset(hs->all + hs->n, 0, (n - hs->n) * sizeof(struct http_sock *));
		hs->n = n;
	}
	s->hs = hs;
	s->event = event_new(loop_base(hs->loop), fd, EV_PERSIST, on_socket, s);
	ENSURE(s->event);
	return hs->all[fd] = s;
}

static void sock_free(struct http_socks *hs, curl_socket_t fd)
{
	struct http_sock *s = sock_of(hs, fd);

	if (!s)
		return;
	event_free(s->event);
	free(s);
	hs->all[fd] = NULL;
}

static int on_curl_socket(CURL *e, curl_socket_t fd, int what, void *arg, void *assigned)
{
	struct http_socks *hs = arg;
	struct http_sock *s = sock_of(hs, fd);

	(void)assigned;
	if (what != CURL_POLL_REMOVE) {
		s = s ? s : sock_new(hs, fd);
		s->wanted = true;
		sock_listen(s, fd, (what & CURL_POLL_IN ? EV_READ : 0) | (what & CURL_POLL_OUT ? EV_WRITE : 0));
	} else if (s && hs->has_answered(e)) {
		s->wanted = false;
		sock_listen(s, fd, s->armed & EV_READ);
	} else { /* what it has not yet talked over curl closes without http_socks_on_close */
		sock_free(hs, fd);
	}
	return 0;
}

int http_socks_on_close(void *hs, curl_socket_t fd)
{
	sock_free(hs, fd);
	return close(fd);
}

static int on_curl_timer(CURLM *multi, long ms, void *arg)
{
	struct http_socks *hs = arg;

	(void)multi;
	if (ms < 0)
		timer_stop(&hs->timer);
	else
		timer_set(&hs->timer, ms);
	return 0;
}

void http_socks_open(struct http_socks *hs)
{
	timer_init(&hs->timer, hs->loop, on_timer, hs);
	curl_multi_setopt(hs->multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket);
	curl_multi_setopt(hs->multi, CURLMOPT_SOCKETDATA, hs);
	curl_multi_setopt(hs->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer);
	curl_multi_setopt(hs->multi, CURLMOPT_TIMERDATA, hs);
}

void http_socks_close(struct http_socks *hs)
{
	for (size_t fd = 0; fd < hs->n; fd++)
		sock_free(hs, (curl_socket_t)fd);
	free(hs->all);
	timer_release(&hs->timer);
}
