/* The server: who may connect, who has to go for others, and how it ends. */
#include "shoal/io/httpd.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shoal/base/clock.h"
#include "shoal/base/log.h"
#include "shoal/io/httpd_conn.h"
#include "shoal/io/httpd_listen.h"

#define ACCEPT_PAUSE_MS 100
#define SPARED_MAX 8  /* who has just spoken is spared where others are not far behind */
#define QUIET_MS 1000 /* nobody has come for so long: they know where else to go */

/* Makes room at the cost of who lets us wait longest: an idle connection, a request that drips, an answer that nobody
 * reads. So nobody keeps others out by holding connections open. (By address would not do: behind a proxy all clients
 * have one.) False: all are ours to answer. */
static bool make_room(struct httpd *h)
{
	struct httpd_conn *c = TAILQ_FIRST(&h->waiting);

	for (unsigned i = 0; c && i < SPARED_MAX && httpd_conn_unread(c); i++)
		c = TAILQ_NEXT(c, wait);
	if (!c)
		c = TAILQ_FIRST(&h->waiting);
	if (!c)
		return false;
	httpd_conn_free(c);
	h->made_room++;
	return true;
}

static void complain_of_crowd(struct httpd *h)
{
	if (!log_due(&h->refusals_logged, &h->refusals_held_back))
		return;
	log_warn("http connections or bodies are at their limit", LOG_STR("variable", h->opts.variable),
	         LOG_INT("max", h->opts.max_connections), LOG_INT("connections", h->connections),
	         LOG_INT("closed_for_others", h->made_room), LOG_INT("suppressed", h->refusals_held_back));
	h->refusals_held_back = 0;
	h->made_room = 0;
}

void httpd_count_body(struct httpd_conn *c)
{
	struct httpd *h = c->h;
	struct httpd_conn *other, *next;

	h->body_bytes += c->r->body.len - c->r->counted;
	c->r->counted = c->r->body.len;
	for (other = TAILQ_FIRST(&h->waiting); other; other = next) {
		if (!h->opts.max_bodies || h->body_bytes <= h->opts.max_bodies)
			return;
		next = TAILQ_NEXT(other, wait);
		if (other != c && other->state == CONN_BODY && other->r->counted) {
			httpd_conn_free(other);
			h->made_room++;
			complain_of_crowd(h);
		}
	}
}

static void on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *sa, int len, void *arg)
{
	struct httpd *h = arg;

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
	httpd_conn_new(h, fd, sa);
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

static void stop_accepting(void *arg)
{
	struct httpd *h = arg;
	struct httpd_conn *c;

	if (!h->listener)
		return;
	LIST_FOREACH(c, &h->conns, link)
	{
		if (httpd_conn_idle(c))
			httpd_conn_due(c, clock_ms());
	}
	accept_waiting(h);
	evconnlistener_free(h->listener);
	h->listener = NULL;
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
	h->inbox = mem_alloc(HTTPD_READ_MAX);
	timer_init(&h->accept_pause, l, accept_again, h);
	timer_init(&h->wind_down, l, wind_down, h);
	h->stop = (struct task){.fn = stop_accepting, .arg = h};
	h->listener =
	    evconnlistener_new(loop_base(l), on_accept, h, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
	ENSURE(h->listener);
	evconnlistener_set_error_cb(h->listener, on_accept_error);
	return h;
}

void httpd_wind_down(struct httpd *h, int64_t most_ms)
{
	int64_t now = clock_ms();

	h->winding_down = true;
	h->last_ms = now + most_ms;
	if (h->came_ms >= 0)
		h->came_ms = now; /* they hear of it from now on: how long it was quiet before says nothing */
	if (h->listener)
		wind_down(h);
}

bool httpd_accepting(const struct httpd *h)
{
	return h->listener != NULL;
}

/* Connections go for those who wait to be accepted: not while one of them has called the handler. */
void httpd_stop_accepting(struct httpd *h)
{
	h->winding_down = true;
	if (h->handling)
		loop_defer(h->loop, &h->stop);
	else
		stop_accepting(h);
}

void httpd_free(struct httpd *h)
{
	struct httpd_conn *c, *next;
	struct httpd_request *r;

	if (!h)
		return;
	httpd_stop_accepting(h);
	for (c = LIST_FIRST(&h->conns); c; c = next) {
		next = LIST_NEXT(c, link);
		httpd_conn_free(c);
	}
	while ((r = LIST_FIRST(&h->requests)) != NULL) {
		LIST_REMOVE(r, link);
		r->h = NULL;
	}
	task_cancel(&h->stop);
	timer_release(&h->accept_pause);
	timer_release(&h->wind_down);
	free(h->inbox);
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
