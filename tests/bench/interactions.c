/* links: base */
/* Discord's side of a load: posts requests that were made and signed beforehand, each when it is due, over connections
 * that stay, and takes the calls that the bot makes meanwhile. One thread; its own delays are measured as well.
 *
 *   interactions GATEWAY_PORT CONNECTIONS API_PORT < REQUESTS > RESULTS
 *
 * REQUESTS: for each, rising by DUE and TOKEN, a line "DUE TOKEN BYTES", then so many bytes of HTTP. DUE is in us from
 * the start, TOKEN the interaction's, a number. RESULTS: for each a line "TOKEN STATUS TYPE POSTED ANSWERED EDITED",
 * times in us after DUE: when a connection took it, when the last byte of the first response was here, when its message
 * was edited by the token; -1: never. It ends when all are answered, and edited where the response promised so, or when
 * nothing has come for a while. */
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <time.h>

#include "shoal/base/arena.h"
#include "shoal/base/err.h"

#define LEAD_US 200000
#define PATIENCE_US 30000000 /* without any news */
#define PROMPT_US 300        /* what is due so soon is posted now: a timer is no finer */

struct request {
	long long due, token, posted, answered, edited;
	int status, type;
	size_t len;
	char *bytes;
	STAILQ_ENTRY(request) link;
};

struct client {
	struct bufferevent *bev;
	struct request *r;
	STAILQ_ENTRY(client) link;
};

static struct event_base *base;
static struct event *tick;
static struct request *requests;
static size_t total, next, answered;
static long long start_us, news_us;
static STAILQ_HEAD(, client) idle = STAILQ_HEAD_INITIALIZER(idle);
static STAILQ_HEAD(, request) waiting = STAILQ_HEAD_INITIALIZER(waiting);

static long long now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000LL + t.tv_nsec / 1000 - start_us;
}

/* ---- what is to be sent */

static void read_requests(void)
{
	long long due, token;
	size_t len, cap = 0;

	while (scanf("%lld %lld %zu", &due, &token, &len) == 3) {
		if (total == cap) {
			cap = cap ? cap * 2 : 1024;
			requests = mem_realloc(requests, cap * sizeof(*requests));
		}
		requests[total] = (struct request){
		    .due = due, .token = token, .posted = -1, .answered = -1, .edited = -1, .len = len};
		requests[total].bytes = mem_alloc(len + 1);
		ENSURE(getchar() == '\n' && fread(requests[total].bytes, 1, len, stdin) == len);
		total++;
	}
	ENSURE(total > 0);
}

/* ---- posting */

static void post(struct client *c, struct request *r)
{
	c->r = r;
	r->posted = now_us();
	bufferevent_write(c->bev, r->bytes, r->len);
}

static void offer(struct request *r)
{
	struct client *c = STAILQ_FIRST(&idle);

	if (!c) {
		STAILQ_INSERT_TAIL(&waiting, r, link);
		return;
	}
	STAILQ_REMOVE_HEAD(&idle, link);
	post(c, r);
}

static void rest(struct client *c)
{
	struct request *r = STAILQ_FIRST(&waiting);

	c->r = NULL;
	if (!r) {
		STAILQ_INSERT_HEAD(&idle, c, link);
		return;
	}
	STAILQ_REMOVE_HEAD(&waiting, link);
	post(c, r);
}

/* A whole answer, of a server that says how long its body is. False: more is to come. */
static bool take_answer(struct client *c, struct evbuffer *in)
{
	size_t have = evbuffer_get_length(in), head;
	const char *text = (const char *)evbuffer_pullup(in, -1), *end, *length, *type;
	size_t body;

	end = have ? memmem(text, have, "\r\n\r\n", 4) : NULL;
	if (!end)
		return false;
	head = (size_t)(end + 4 - text);
	length = memmem(text, head, "\r\nContent-Length: ", 18);
	ENSURE(length && c->r);
	body = strtoul(length + 18, NULL, 10);
	if (have < head + body)
		return false;
	c->r->answered = news_us = now_us();
	c->r->status = atoi(text + 9);
	type = memmem(text + head, body, "\"type\":", 7); /* the first key of every answer */
	c->r->type = type ? atoi(type + 7) : 0;
	evbuffer_drain(in, head + body);
	return true;
}

static void on_read(struct bufferevent *bev, void *arg)
{
	struct client *c = arg;

	if (!take_answer(c, bufferevent_get_input(bev)))
		return;
	answered++;
	rest(c);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	(void)bev;
	(void)arg;
	if (what & BEV_EVENT_CONNECTED)
		return;
	fprintf(stderr, "a connection ended\n");
	exit(1);
}

static void connect_one(int port)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	struct client *c = mem_zalloc(sizeof(*c));
	int on = 1;

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	c->bev = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
	bufferevent_setcb(c->bev, on_read, NULL, on_event, c);
	ENSURE(bufferevent_socket_connect(c->bev, (struct sockaddr *)&to, sizeof(to)) == 0);
	setsockopt(bufferevent_getfd(c->bev), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
	STAILQ_INSERT_TAIL(&idle, c, link);
}

/* ---- the bot's calls */

static int by_token(const void *key, const void *one)
{
	const struct request *r = one;
	long long token = *(const long long *)key;

	return (token > r->token) - (token < r->token);
}

/* ".../webhooks/APP/TOKEN/messages/@original"; tokens rise with DUE */
static void on_call(struct evhttp_request *call, void *arg)
{
	const char *path = strstr(evhttp_request_get_uri(call), "/webhooks/"),
	           *app_end = path ? strchr(path + 10, '/') : NULL;
	struct evbuffer *body = evbuffer_new();

	(void)arg;
	if (app_end && evhttp_request_get_command(call) == EVHTTP_REQ_PATCH) {
		long long token = atoll(app_end + 1);
		struct request *r = bsearch(&token, requests, total, sizeof(*requests), by_token);

		if (r && r->edited < 0)
			r->edited = news_us = now_us();
	}
	evbuffer_add_printf(body, "{\"id\":\"5\"}");
	evhttp_add_header(evhttp_request_get_output_headers(call), "Content-Type", "application/json");
	evhttp_send_reply(call, 200, "OK", body);
	evbuffer_free(body);
}

static void listen_for_calls(int port)
{
	struct evhttp *http = evhttp_new(base);

	ENSURE(http && evhttp_bind_socket(http, "127.0.0.1", (uint16_t)port) == 0);
	evhttp_set_allowed_methods(http, EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE |
	                                     EVHTTP_REQ_PATCH);
	evhttp_set_gencb(http, on_call, NULL);
}

/* ---- time */

static bool promised(const struct request *r)
{
	return r->type == 5 || r->type == 6 || r->type == 7;
}

static bool all_done(void)
{
	if (answered < total)
		return false;
	for (size_t i = 0; i < total; i++) {
		if (promised(&requests[i]) && requests[i].edited < 0)
			return false;
	}
	return true;
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	long long now = now_us(), pause = 100000;
	struct timeval tv;

	(void)fd;
	(void)what;
	(void)arg;
	while (next < total && requests[next].due <= now + PROMPT_US)
		offer(&requests[next++]);
	if (next < total)
		pause = requests[next].due - now;
	else if (all_done() ||
	         now > (news_us > requests[total - 1].due ? news_us : requests[total - 1].due) + PATIENCE_US)
		event_base_loopbreak(base);
	tv = (struct timeval){pause / 1000000, pause % 1000000};
	event_add(tick, &tv);
}

static long long since(const struct request *r, long long at)
{
	return at < 0 ? -1 : at < r->due ? 0 : at - r->due;
}

int main(int argc, char **argv)
{
	struct event_config *conf = event_config_new();
	struct timeval soon = {0, LEAD_US};

	if (argc != 4) {
		fprintf(stderr, "usage: interactions GATEWAY_PORT CONNECTIONS API_PORT\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	event_config_set_flag(conf, EVENT_BASE_FLAG_PRECISE_TIMER);
	base = event_base_new_with_config(conf);
	event_config_free(conf);
	listen_for_calls(atoi(argv[3]));
	read_requests();
	for (int n = atoi(argv[2]); n > 0; n--)
		connect_one(atoi(argv[1]));
	tick = event_new(base, -1, 0, on_tick, NULL);
	start_us = now_us() + LEAD_US;
	event_add(tick, &soon);
	event_base_dispatch(base);
	for (size_t i = 0; i < total; i++) {
		const struct request *r = &requests[i];

		printf("%lld %d %d %lld %lld %lld\n", r->token, r->status, r->type, since(r, r->posted),
		       since(r, r->answered), since(r, r->edited));
	}
	return answered == total ? 0 : 1;
}
