/* links: base io */
/* The HTTP server and the health listener against clients that send what they like. */
#include "check.h"
#include "http_peer.h"

#include <netinet/tcp.h>

#include "shoal/base/log.h"
#include "shoal/base/metrics.h"
#include "shoal/io/health.h"
#include "shoal/io/httpd.h"

#define HOST "Host: x\r\n"
#define MAX_BODY 1000
#define MAX_BODIES 3000
#define POST(headers, body) "POST /p HTTP/1.1\r\n" HOST headers "\r\n" body
#define GET(path) "GET " path " HTTP/1.1\r\n" HOST "\r\n"

static struct httpd *server;
static struct arena arena;
static unsigned handled;
static struct httpd_request *held[64]; /* requests that a test answers by hand */
static unsigned nheld;
static bool hold, stop_within;
static struct raw *comes_within; /* comes while a request is with the handler */
static unsigned head_s;
static unsigned timeout_s = 60; /* of the next server: longer than a machine stands still */

static const char *or_dash(const char *s)
{
	return s ? s : "-";
}

/* Answers with what it understood: method path q=QUERY f=FORM body-length. */
static void handle(void *arg, struct httpd_request *r)
{
	(void)arg;
	handled++;
	if (hold) {
		held[nheld++] = r;
		return;
	}
	const char *text =
	    arena_printf(httpd_arena(r), "%s %s q=%s f=%s n=%zu from %s", httpd_method(r), httpd_path(r),
	                 or_dash(httpd_query(r, "q")), or_dash(httpd_form(r, "f")), httpd_body(r).len, httpd_client(r));
	httpd_reply(r, 200, "text/plain", span_of(text), (const char *const[]){"X-Test", "yes", NULL});
	if (comes_within) {
		raw_open(comes_within, httpd_port(server));
		raw_puts(comes_within, GET("/late"));
		comes_within = NULL;
	}
	if (stop_within)
		httpd_stop_accepting(server);
}

static struct httpd *open_on(const char *listen, unsigned connections, const char **why)
{
	struct httpd_opts opts = {
	    .listen = listen,
	    .variable = "SHOAL_GATEWAY_LISTEN",
	    .max_body = MAX_BODY,
	    .max_bodies = MAX_BODIES,
	    .max_headers = 2000,
	    .max_connections = connections,
	    .timeout_s = timeout_s,
	    .head_s = head_s,
	    .handle = handle,
	};
	return httpd_open(loop, &opts, &arena, why);
}

static void start(unsigned connections)
{
	const char *why = NULL;

	handled = 0;
	nheld = 0;
	hold = false;
	server = open_on(arena_printf(&arena, "127.0.0.1:%d", port_own()), connections, &why);
	if (!server) {
		printf("# %s\n", why);
		exit(1);
	}
}

static void stop(void)
{
	CHECK_INT(httpd_open_requests(server), 0);
	httpd_free(server);
}

/* A server that waits for one second only. */
static void start_impatient(void)
{
	timeout_s = 1;
	start(10);
	timeout_s = 60;
}

static const char *repeat(char c, size_t n)
{
	char *s = arena_alloc(&arena, n + 1);

	memset(s, c, n);
	return s;
}

struct exchange {
	const char *name, *send;
	int status;
	const char *expect; /* in the answer */
	bool stays_open;
};

static const struct exchange exchanges[] = {
    {"plain", GET("/a"), 200, "GET /a q=- f=- n=0 from 127.0.0.1", true},
    {"headers of the answer", GET("/a"), 200, "\r\nX-Test: yes\r\nConnection: keep-alive\r\n\r\n", true},
    {"escapes", GET("/a%20b%2Fc?q=x%26y+z"), 200, "GET /a b/c q=x&y z", true},
    {"second query field", GET("/?a=1&q=2&q=3"), 200, "q=2 ", true},
    {"empty query", GET("/?"), 200, "GET / q=-", true},
    {"absolute form", "GET http://evil/a?q=1 HTTP/1.1\r\n" HOST "\r\n", 200, "GET /a q=1", true},
    {"leading empty line", "\r\n" GET("/a"), 200, "GET /a", true},
    {"put", "PUT /x HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc", 200, "PUT /x q=- f=- n=3", true},
    {"delete with a body", "DELETE /x HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc", 200, "n=3", true},
    {"patch", "PATCH /x HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", 200, "PATCH /x", true},
    {"options", "OPTIONS * HTTP/1.1\r\n" HOST "\r\n", 200, "OPTIONS *", true},
    {"head", "HEAD /x HTTP/1.1\r\n" HOST "\r\n", 200, "Content-Length: 34\r\n", true},
    {"http/1.0", "GET /x HTTP/1.0\r\n\r\n", 200, "Connection: close", false},
    {"http/1.0 keep-alive", "GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 200, "keep-alive", true},
    {"close is asked", "GET /x HTTP/1.1\r\n" HOST "Connection: foo, CLOSE\r\n\r\n", 200, "Connection: close", false},
    {"same length twice", POST("Content-Length: 2\r\ncontent-length: 2\r\n", "hi"), 200, "n=2", true},
    {"chunked", POST("Transfer-Encoding: Chunked\r\n", "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: v\r\n\r\n"), 200, "n=5",
     true},
    {"form", POST("Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 9\r\n", "f=a%2Bb+c"), 200,
     "f=a+b c ", true},
    {"form with a bad escape",
     POST("Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 5\r\n", "f=%zz"), 200, "f=- ", true},
    {"multipart",
     POST("Content-Type: multipart/form-data; boundary=\"B\"\r\nContent-Length: 137\r\n",
          "--B\r\nContent-Disposition: form-data; name=\"g\"; filename=\"f\"\r\n\r\nfile\r\n"
          "--B\r\nContent-Disposition: form-data; name=\"f\"\r\n\r\ntwo\r\nlines\r\n--B--\r\n"),
     200, "f=two\r\nlines ", true},
    {"multipart without an end",
     POST("Content-Type: multipart/form-data; boundary=B\r\nContent-Length: 56\r\n",
          "--B\r\nContent-Disposition: form-data; name=\"f\"\r\n\r\nvalue\r\n"),
     200, "f=- ", true},
    {"continue", POST("Expect: 100-continue\r\nContent-Length: 2\r\n", ""), 100, "HTTP/1.1 100 Continue\r\n\r\n", true},

    {"zero in the path", GET("/a%00b"), 400, "bad_request", false},
    {"bad escape", GET("/a%zz"), 400, "bad_request", false},
    {"cut escape", GET("/a%2"), 400, "", false},
    {"bad escape in the query", GET("/a?q=%g0"), 400, "", false},
    {"zero in the query", GET("/a?q=%00"), 400, "", false},
    {"fragment", GET("/a#b"), 400, "", false},
    {"no slash", GET("a"), 400, "", false},
    {"8-bit path", GET("/\xc3\xa4"), 400, "", false},
    {"two spaces", "GET  / HTTP/1.1\r\n" HOST "\r\n", 400, "", false},
    {"no version", "GET /\r\n" HOST "\r\n", 400, "", false},
    {"no host", "GET / HTTP/1.1\r\n\r\n", 400, "", false},
    {"two hosts", "GET / HTTP/1.1\r\n" HOST HOST "\r\n", 400, "", false},
    {"http/2", "GET / HTTP/2.0\r\n" HOST "\r\n", 505, "", false},
    {"trace", "TRACE / HTTP/1.1\r\n" HOST "\r\n", 501, "", false},
    {"lower case", "get / HTTP/1.1\r\n" HOST "\r\n", 501, "", false},
    {"tls hello", "\x16\x03\x01\x02\r\n\r\n", 400, "", false},
    {"bare line feeds", "GET / HTTP/1.1\nHost: x\n\n\r\n\r\n", 400, "", false},
    {"bare return", "GET / HTTP/1.1\r\nHost: x\rX: y\r\n\r\n", 400, "", false},
    {"folded header", "GET / HTTP/1.1\r\n" HOST "X: a\r\n b\r\n\r\n", 400, "", false},
    {"space before the colon", "GET / HTTP/1.1\r\n" HOST "X : a\r\n\r\n", 400, "", false},
    {"header without a colon", "GET / HTTP/1.1\r\n" HOST "X\r\n\r\n", 400, "", false},
    {"length and chunked", POST("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400, "", false},
    {"chunked and length on get",
     "GET / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", 400, "", false},
    {"two lengths", POST("Content-Length: 2\r\nContent-Length: 3\r\n", "abc"), 400, "", false},
    {"length list", POST("Content-Length: 2, 2\r\n", "hi"), 400, "", false},
    {"length below zero", POST("Content-Length: -1\r\n", ""), 400, "", false},
    {"length with a plus", POST("Content-Length: +1\r\n", "a"), 400, "", false},
    {"length in hex", POST("Content-Length: 0x1\r\n", "a"), 400, "", false},
    {"empty length", POST("Content-Length: \r\n", ""), 400, "", false},
    {"huge length", POST("Content-Length: 99999999999999999999999\r\n", ""), 400, "", false},
    {"other encoding", POST("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), 501, "", false},
    {"chunked twice", POST("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400, "",
     false},
    {"blanks before an extension", POST("Transfer-Encoding: chunked\r\n", "3 \t;x\r\nabc\r\n0\r\n\r\n"), 200, "n=3",
     true},
    {"the same length twice", POST("Content-Length: 3\r\nContent-Length: 3\r\n", "abc"), 200, "n=3", true},
    {"blank behind a chunk size", POST("Transfer-Encoding: chunked\r\n", "3 \r\nabc\r\n0\r\n\r\n"), 400, "", false},
    {"blank behind the last chunk's size", POST("Transfer-Encoding: chunked\r\n", "0\t\r\n\r\n"), 400, "", false},
    {"bad chunk size", POST("Transfer-Encoding: chunked\r\n", "zz\r\n"), 400, "", false},
    {"chunk below zero", POST("Transfer-Encoding: chunked\r\n", "-1\r\n"), 400, "", false},
    {"chunk longer than said", POST("Transfer-Encoding: chunked\r\n", "2\r\nabc\r\n"), 400, "", false},
    {"chunk with a bare feed", POST("Transfer-Encoding: chunked\r\n", "2\nab\n"), 400, "", false},
    {"chunks too long", POST("Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n3e6\r\nabc"), 413, "too_long", false},
    {"other expectation", POST("Expect: tea\r\nContent-Length: 2\r\n", "hi"), 417, "", false},
    {"body too long", POST("Content-Length: 1001\r\n", ""), 413, "too_long", false},
    {"body too long, asked first", POST("Expect: 100-continue\r\nContent-Length: 1001\r\n", ""), 413, "", false},
};

static void try_exchange(const struct exchange *x)
{
	struct raw r;
	int failed = check_failed_here;

	raw_open(&r, httpd_port(server));
	raw_puts(&r, x->send);
	CHECK(raw_wait(&r, x->status == 100 || strncmp(x->send, "HEAD", 4) == 0 ? "\r\n\r\n" : x->expect, PATIENCE_MS));
	raw_wait(&r, NULL, x->stays_open ? 20 : PATIENCE_MS);
	CHECK_INT(raw_status(&r), x->status);
	CHECK(strstr(r.text, x->expect));
	CHECK_INT(r.closed, !x->stays_open);
	CHECK(!strstr(r.text, "Server:"));
	char *body = strstr(r.text, "\r\n\r\n");
	if (strncmp(x->send, "HEAD", 4) == 0)
		CHECK(body && body[4] == '\0');
	char *second = body ? strstr(body, "Date:") : NULL;
	CHECK(second == NULL);
	if (check_failed_here > failed)
		printf("# %s: %s\n", x->name, r.text);
	raw_close(&r);
}

static void what_is_answered_to_what(void)
{
	start(10);
	for (size_t i = 0; i < sizeof(exchanges) / sizeof(exchanges[0]); i++)
		try_exchange(&exchanges[i]);
	stop();
}

/* The same bytes one by one must mean the same. */
static void dripped_requests(void)
{
	struct raw r;

	start(10);
	for (size_t i = 0; i < sizeof(exchanges) / sizeof(exchanges[0]); i++) {
		const struct exchange *x = &exchanges[i];
		if (!x->stays_open || x->status != 200)
			continue;
		raw_open(&r, httpd_port(server));
		int on = 1;
		setsockopt(r.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		for (const char *p = x->send; *p; p++) {
			raw_send(&r, p, 1);
			spin(0);
		}
		CHECK(raw_wait(&r, "\r\n\r\n", PATIENCE_MS));
		raw_wait(&r, NULL, 5);
		CHECK_INT(raw_status(&r), x->status);
		CHECK(strstr(r.text, x->expect));
		raw_close(&r);
	}
	stop();
}

/* The whole body is sent before the answer is read, and the answer still arrives: if that takes less time than the
 * server gives such a client. */
static bool answered_in_the_end(void)
{
	struct raw r;

	raw_open(&r, httpd_port(server));
	raw_puts(&r, POST("Content-Length: 3000000\r\n", ""));
	spin(20); /* it is refused by now */
	bool good = raw_send(&r, repeat('b', 3000000), 3000000) && raw_wait(&r, "too_long", PATIENCE_MS) &&
	            raw_status(&r) == 413;
	raw_close(&r);
	return good;
}

static void too_big(void)
{
	struct raw r;

	start(10);
	raw_open(&r, httpd_port(server));
	raw_puts(&r, arena_printf(&arena, "GET /%s HTTP/1.1\r\n" HOST "\r\n", repeat('a', 3000)));
	CHECK(raw_wait(&r, "headers_too_long", PATIENCE_MS));
	CHECK_INT(raw_status(&r), 431);
	raw_close(&r);

	raw_open(&r, httpd_port(server));
	raw_puts(&r, repeat('a', 3000)); /* no end in sight */
	CHECK(raw_wait(&r, "headers_too_long", PATIENCE_MS));
	raw_close(&r);

	raw_open(&r, httpd_port(server));
	raw_puts(&r, "GET / HTTP/1.1\r\n" HOST);
	for (int i = 0; i < 101; i++)
		raw_puts(&r, "a:b\r\n");
	raw_puts(&r, "\r\n");
	CHECK(raw_wait(&r, "headers_too_long", PATIENCE_MS));
	raw_close(&r);

	int tries = 1;
	while (!answered_in_the_end() && tries < 5)
		tries++;
	CHECK(tries < 5);

	raw_open(&r, httpd_port(server));
	raw_puts(&r, POST("Transfer-Encoding: chunked\r\n", "fffff\r\n"));
	raw_send(&r, repeat('b', 2000), 2000);
	CHECK(raw_wait(&r, "too_long", PATIENCE_MS));
	CHECK_INT(raw_status(&r), 413);
	raw_close(&r);

	raw_open(&r, httpd_port(server));
	raw_puts(&r, POST("Content-Length: 1000\r\n", ""));
	raw_send(&r, repeat('b', 1000), 1000);
	CHECK(raw_wait(&r, "n=1000", PATIENCE_MS));
	raw_close(&r);
	CHECK_INT(handled, 1);
	stop();
}

static void pipelined_requests_keep_their_order(void)
{
	struct raw r;

	start(10);
	hold = true;
	raw_open(&r, httpd_port(server));
	raw_puts(&r, GET("/1") POST("Content-Length: 9\r\n", "GET / HTT") GET("/3"));
	shutdown(r.fd, SHUT_WR); /* it sends no more, but reads */
	for (unsigned i = 0; i < 3; i++) {
		CHECK(SPIN_UNTIL(nheld > i));
		spin(20);
		CHECK_INT(nheld, i + 1); /* one at a time */
		httpd_reply(held[i], 200, "text/plain", span_of(httpd_path(held[i])), NULL);
	}
	CHECK(raw_wait(&r, NULL, PATIENCE_MS));
	char *one = strstr(r.text, "/1"), *two = strstr(r.text, "/p"), *three = strstr(r.text, "/3");
	CHECK(one && two && three && one < two && two < three);
	raw_close(&r);
	stop();
}

/* In two pieces, wherever the first ends: what of it is no whole request waits for the second. */
static void requests_cut_anywhere(void)
{
	static const char text[] = GET("/1") POST("Content-Length: 3\r\n", "abc") "\r\n" GET("/3");
	struct raw r;
	int on = 1;

	start(10);
	raw_open(&r, httpd_port(server));
	setsockopt(r.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	for (size_t cut = 1; cut < sizeof(text) - 1; cut++) {
		raw_send(&r, text, cut);
		spin(2);
		raw_puts(&r, text + cut);
		CHECK(raw_wait(&r, "GET /3", PATIENCE_MS));
		char *one = strstr(r.text, "GET /1 "), *two = strstr(r.text, "POST /p q=- f=- n=3");
		CHECK(one && two && one < two && two < strstr(r.text, "GET /3 "));
		r.len = 0;
	}
	CHECK_INT(handled, 3 * (sizeof(text) - 2));
	raw_close(&r);
	stop();
}

/* More than the server wants to read ahead waits in the kernel, and nothing is lost. */
static void a_flood_of_pipelined_requests(void)
{
	struct raw r;
	size_t got = 0, bytes = 0;
	ssize_t n;

	start(10);
	hold = true;
	raw_open(&r, httpd_port(server));
	const char *one = GET("/1");
	for (int i = 0; i < 5000; i++) { /* or as many as the kernel takes */
		n = send(r.fd, one, strlen(one), MSG_DONTWAIT);
		bytes += n > 0 ? (size_t)n : 0;
		if (n != (ssize_t)strlen(one))
			break;
	}
	unsigned whole = (unsigned)(bytes / strlen(one));
	CHECK(whole > 500); /* more than is read ahead */
	CHECK(SPIN_UNTIL(nheld));
	spin(50);
	CHECK_INT(nheld, 1);
	hold = false;
	httpd_reply_error(held[0], 429, "limited", "\"slow\" down\n");
	for (int64_t end = clock_ms() + PATIENCE_MS; clock_ms() < end && handled < whole && !r.closed;) {
		r.len = 0;
		raw_wait(&r, NULL, 2);
		got += r.len;
	}
	CHECK_INT(handled, whole);
	CHECK(got > 0);
	raw_close(&r);
	stop();
}

/* What clients do until the server has had enough. Each returns what it has to say then. */
static const char *drip(struct raw *r, const char *begin)
{
	raw_puts(r, begin);
	for (int64_t end = clock_ms() + 3000; !raw_wait(r, "408", 100) && clock_ms() < end;)
		raw_puts(r, "a");
	return "408";
}

static const char *two_pieces(struct raw *r, const char *begin)
{
	raw_puts(r, begin);
	spin(600);
	raw_puts(r, HOST "Content-Length: 9\r\n\r\n");
	return "408";
}

static const char *nothing(struct raw *r, const char *begin)
{
	(void)begin;
	CHECK(raw_wait(r, NULL, PATIENCE_MS));
	CHECK_INT(r->len, 0);
	return "";
}

/* Never ended too early; late now and then, where the machine stands still, but not each time. */
static void ended_after_a_second(const char *(*client)(struct raw *, const char *), const char *begin)
{
	struct raw r;
	int64_t took = INT64_MAX;

	for (int i = 0; i < 10 && took >= 1500; i++) {
		raw_open(&r, httpd_port(server));
		int64_t begun = clock_ms();
		CHECK(raw_wait(&r, client(&r, begin), PATIENCE_MS));
		took = clock_ms() - begun;
		CHECK(took >= 900);
		raw_close(&r);
	}
	CHECK(took < 1500);
}

static void slow_clients(void)
{
	struct raw r;

	start_impatient();
	/* a byte now and then does not buy more time */
	ended_after_a_second(drip, "GET /a HTTP/1.1\r\nHost: x\r\nX: ");
	ended_after_a_second(drip, POST("Content-Length: 900\r\n", ""));
	ended_after_a_second(two_pieces, "POST /p HTTP/1.1\r\n"); /* head and body share one deadline */
	ended_after_a_second(nothing, NULL);                      /* idle: closed without a word */
	hold = true;                                              /* the handler may take its time */
	raw_open(&r, httpd_port(server));
	raw_puts(&r, GET("/late"));
	CHECK(!raw_wait(&r, NULL, 1500));
	CHECK_INT(nheld, 1);
	httpd_reply(held[0], 204, NULL, SPAN(""), NULL);
	CHECK(raw_wait(&r, "\r\n\r\n", PATIENCE_MS));
	CHECK_INT(raw_status(&r), 204);
	CHECK(!strstr(r.text, "Content-Length"));
	raw_close(&r);
	stop();
	head_s = 1; /* a head has less time than a body */
	start(10);
	head_s = 0;
	ended_after_a_second(drip, "GET /a HTTP/1.1\r\nHost: x\r\nX: ");
	raw_open(&r, httpd_port(server));
	raw_puts(&r, POST("Content-Length: 3\r\n", "ab"));
	CHECK(!raw_wait(&r, NULL, 1500));
	raw_puts(&r, "c");
	CHECK(raw_wait(&r, "POST /p", PATIENCE_MS));
	raw_close(&r);
	stop();
}

/* Does not read its answer: the server gives up on it. */
static void a_client_that_does_not_read(void)
{
	struct raw r;
	size_t size = 20000000;

	start_impatient();
	hold = true;
	raw_open(&r, httpd_port(server));
	raw_puts(&r, GET("/big"));
	CHECK(SPIN_UNTIL(nheld == 1));
	httpd_reply(held[0], 200, "text/plain", (struct span){repeat('x', size), size}, NULL);
	spin(1300);
	size_t got = 0;
	while (!r.closed) {
		r.len = 0;
		raw_take(&r);
		got += r.len;
		spin(0);
	}
	CHECK(got < size);
	raw_close(&r);
	stop();
}

/* Takes so much and no more, and compares it with what repeats itself after 251 bytes. */
static bool takes(struct raw *r, size_t from, size_t n)
{
	bool same = true;

	for (int64_t end = clock_ms() + PATIENCE_MS; n > 0 && !r->closed && clock_ms() < end; spin(0)) {
		char piece[30000];
		ssize_t got = recv(r->fd, piece, n < sizeof(piece) ? n : sizeof(piece), MSG_DONTWAIT);

		for (ssize_t i = 0; i < got; i++)
			same &= (unsigned char)piece[i] == from++ % 251;
		n -= got > 0 ? (size_t)got : 0;
		r->closed = got == 0;
	}
	return same && n == 0;
}

/* What the kernel does not take at once follows as the client reads, none of it lost or twice. */
static void a_client_that_reads_slowly(void)
{
	const size_t size = 8000000;
	unsigned char *body = arena_alloc(&arena, size);
	size_t taken = 0, sent = 0;
	struct raw r;

	for (size_t i = 0; i < size; i++)
		body[i] = (unsigned char)(i % 251);
	start(10);
	hold = true;
	raw_open(&r, httpd_port(server));
	for (unsigned i = 0; i < 2; i++) { /* the second time as a stream */
		raw_puts(&r, GET("/big"));
		CHECK(SPIN_UNTIL(nheld == i + 1));
		if (i == 0)
			httpd_reply(held[i], 200, "text/plain", (struct span){(char *)body, size}, NULL);
		else
			httpd_stream_begin(held[i], "text/plain", NULL);
		char head[400] = "", *end = head; /* up to the empty line, and not a byte of the body */
		for (int64_t until = clock_ms() + PATIENCE_MS; !strstr(head, "\r\n\r\n") && clock_ms() < until;) {
			ssize_t n = recv(r.fd, end, 1, MSG_DONTWAIT);
			end += n > 0 ? n : 0;
			if (n <= 0)
				spin(1);
		}
		if (i == 0)
			CHECK(takes(&r, 0, size));
	}
	while (taken < size) {
		while (sent < size && httpd_stream_send(held[1], (struct span){(char *)body + sent, 10000}))
			sent += 10000;
		size_t half = (sent - taken + 1) / 2;
		CHECK(takes(&r, taken, half));
		taken += half;
		if (r.closed)
			break;
	}
	CHECK_INT(taken, size);
	httpd_stream_end(held[1]);
	CHECK(raw_wait(&r, NULL, PATIENCE_MS));
	raw_close(&r);
	stop();
}

/* Held requests, as streams. */
static struct httpd_request *stream_open(struct raw *r)
{
	unsigned n = nheld;

	raw_open(r, httpd_port(server));
	raw_puts(r, GET("/s"));
	CHECK(SPIN_UNTIL(nheld == n + 1));
	httpd_stream_begin(held[n], "text/x", (const char *const[]){"X-Own", "1", NULL});
	return held[n];
}

static void streams(void)
{
	struct raw r;
	struct httpd_request *s;
	const char *text = repeat('x', 1000);
	size_t sent = 0;

	start_impatient();
	hold = true;
	s = stream_open(&r); /* an end, which the client sees; longer than the patience for an answer */
	CHECK(raw_wait(&r, "X-Own: 1\r\nConnection: close\r\n\r\n", PATIENCE_MS));
	CHECK(strstr(r.text, "Content-Type: text/x\r\n") && !strstr(r.text, "Content-Length"));
	spin(1300);
	CHECK(httpd_stream_send(s, SPAN("one")));
	CHECK(raw_wait(&r, "one", PATIENCE_MS));
	CHECK(httpd_stream_send(s, SPAN("two")));
	httpd_stream_end(s);
	CHECK(raw_wait(&r, NULL, PATIENCE_MS));
	CHECK(strstr(r.text, "onetwo"));
	raw_close(&r);

	s = stream_open(&r); /* an end with nothing left to write */
	CHECK(raw_wait(&r, "\r\n\r\n", PATIENCE_MS));
	httpd_stream_end(s);
	CHECK(raw_wait(&r, NULL, PATIENCE_MS));
	raw_close(&r);

	s = stream_open(&r); /* the client leaves */
	raw_close(&r);
	CHECK(SPIN_UNTIL(!httpd_stream_send(s, SPAN("late"))));
	httpd_stream_end(s);

	s = stream_open(&r); /* the client does not read: so much is kept for it, and no more */
	while (sent < 100000000 && httpd_stream_send(s, (struct span){text, 1000})) {
		sent += 1000;
		spin(0);
	}
	CHECK(sent > 100000 && sent < 100000000);
	httpd_stream_end(s);
	CHECK_INT(httpd_open_requests(server), 0);
	raw_close(&r);

	s = stream_open(&r); /* the server goes first */
	httpd_free(server);
	CHECK(!httpd_stream_send(s, SPAN("late")));
	httpd_stream_end(s);
	raw_close(&r);
}

static void headers_of_every_answer(void)
{
	static const char *const headers[] = {"X-All", "yes", NULL};
	struct httpd_opts opts = {.listen = arena_printf(&arena, "127.0.0.1:%d", port_own()),
	                          .variable = "X",
	                          .max_body = MAX_BODY,
	                          .max_headers = 2000,
	                          .max_connections = 10,
	                          .timeout_s = timeout_s,
	                          .headers = headers,
	                          .handle = handle};
	static const char *const requests[] = {GET("/a"), "nonsense\r\n\r\n", POST("Content-Length: 9999\r\n", "")};
	const char *why = NULL;
	struct raw r;

	hold = false;
	server = httpd_open(loop, &opts, &arena, &why);
	CHECK(server != NULL);
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		raw_open(&r, httpd_port(server));
		raw_puts(&r, requests[i]);
		CHECK(raw_wait(&r, "\r\n\r\n", PATIENCE_MS));
		CHECK(strstr(r.text, "\r\nX-All: yes\r\n"));
		raw_close(&r);
	}
	stop();
}

static void served(struct raw *r, const char *path)
{
	raw_open(r, httpd_port(server));
	raw_puts(r, arena_printf(&arena, "GET %s HTTP/1.1\r\n" HOST "\r\n", path));
	CHECK(raw_wait(r, arena_printf(&arena, "GET %s", path), PATIENCE_MS));
}

/* Newcomers take the place of who keeps the server waiting longest: idle, dripping a head or a body, not reading. */
static void a_full_house(void)
{
	struct raw idle, head, body, latecomer[3];

	start(3);
	served(&idle, "/idle");
	raw_open(&head, httpd_port(server));
	raw_puts(&head, "GET /half HTTP/1.1\r\nHos");
	spin(20);
	raw_open(&body, httpd_port(server));
	raw_puts(&body, POST("Content-Length: 10\r\n", "abc"));
	spin(20);
	served(&latecomer[0], "/first");
	CHECK(raw_wait(&idle, NULL, PATIENCE_MS));
	raw_take(&head);
	raw_take(&body);
	CHECK(!head.closed && !body.closed);
	served(&latecomer[1], "/second");
	CHECK(raw_wait(&head, NULL, PATIENCE_MS));
	raw_take(&body);
	CHECK(!body.closed);
	served(&latecomer[2], "/third");
	CHECK(raw_wait(&body, NULL, PATIENCE_MS));
	struct raw *all[] = {&idle, &head, &body, &latecomer[0], &latecomer[1], &latecomer[2]};
	for (int i = 0; i < 6; i++) {
		CHECK_INT(all[i]->closed, i < 3);
		raw_close(all[i]);
	}
	stop();
}

/* More half-open requests than there are places, and again and again: others are served all the while. */
static void half_open_requests_keep_nobody_out(void)
{
	struct raw half[40], good;

	start(8);
	for (int i = 0; i < 40; i++) {
		raw_open(&half[i], httpd_port(server));
		raw_puts(&half[i], "POST /p HTTP/1.1\r\nHost: x\r\nX-Drip: ");
		if (i % 4)
			continue;
		served(&good, "/good");
		raw_close(&good);
	}
	CHECK_INT(handled, 10);
	for (int i = 0; i < 40; i++)
		raw_close(&half[i]);
	stop();
}

/* Bodies that are not whole share what all may have: who has let us wait longest goes for another one's bytes. */
static void half_sent_bodies_keep_nobody_out(void)
{
	struct raw half[4];

	start(10);
	for (int i = 0; i < 4; i++) {
		bool chunked = i % 2;
		raw_open(&half[i], httpd_port(server));
		raw_puts(&half[i], chunked ? POST("Transfer-Encoding: chunked\r\n", "384\r\n")
		                           : POST("Content-Length: 1000\r\n", ""));
		raw_puts(&half[i], repeat('x', 900));
		spin(20);
	}
	CHECK(raw_wait(&half[0], NULL, PATIENCE_MS));
	CHECK_INT(half[0].len, 0);
	for (int i = 1; i < 4; i++) {
		CHECK(!half[i].closed);
		raw_puts(&half[i], i % 2 ? "\r\n0\r\n\r\n" : repeat('y', 100));
		CHECK(raw_wait(&half[i], i % 2 ? "n=900 " : "n=1000 ", PATIENCE_MS));
	}
	CHECK_INT(handled, 3);
	for (int i = 0; i < 4; i++)
		raw_close(&half[i]);
	for (int i = 0; i < 8; i++) { /* what was whole, or was given up, counts no more */
		raw_open(&half[0], httpd_port(server));
		raw_puts(&half[0], POST("Content-Length: 1000\r\n", ""));
		raw_puts(&half[0], repeat('x', 900));
		spin(5);
		raw_close(&half[0]);
		spin(5);
	}
	raw_open(&half[0], httpd_port(server));
	raw_puts(&half[0], POST("Content-Length: 1000\r\n", ""));
	raw_puts(&half[0], repeat('x', 1000));
	CHECK(raw_wait(&half[0], "n=1000 ", PATIENCE_MS));
	raw_close(&half[0]);
	stop();
}

/* What is with the handler is nobody's to close: then, and only then, the newcomer goes. */
static void connection_cap(void)
{
	struct raw r[3];

	start(2);
	hold = true;
	for (int i = 0; i < 2; i++) {
		raw_open(&r[i], httpd_port(server));
		raw_puts(&r[i], GET("/a"));
		CHECK(SPIN_UNTIL(nheld == (unsigned)i + 1));
	}
	raw_open(&r[2], httpd_port(server));
	CHECK(raw_wait(&r[2], NULL, PATIENCE_MS));
	CHECK_INT(r[2].len, 0);
	for (int i = 0; i < 2; i++) {
		httpd_reply(held[i], 204, NULL, SPAN(""), NULL);
		CHECK(raw_wait(&r[i], "\r\n\r\n", PATIENCE_MS));
	}
	for (int i = 0; i < 3; i++)
		raw_close(&r[i]);
	hold = false;
	served(&r[0], "/again");
	raw_close(&r[0]);
	stop();
}

/* Until a request is with the handler: there is no room before the server has seen others go. */
static void open_until_held(struct raw *r, unsigned want)
{
	r->fd = -1;
	for (int64_t end = clock_ms() + PATIENCE_MS; nheld < want && clock_ms() < end;) {
		raw_open(r, httpd_port(server));
		raw_puts(r, GET("/a"));
		while (nheld < want && !r->closed && clock_ms() < end)
			raw_wait(r, NULL, 2);
		if (nheld < want)
			raw_close(r);
	}
}

static void the_client_leaves_first(void)
{
	struct linger reset = {.l_onoff = 1, .l_linger = 0};
	struct raw r;

	start(2);
	hold = true;
	for (int i = 0; i < 6; i++) { /* by reset and by plain close */
		open_until_held(&r, (unsigned)i + 1);
		if (i % 2)
			setsockopt(r.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		raw_close(&r);
		spin(10);
		CHECK_INT(nheld, (unsigned)i + 1);
		CHECK_INT(httpd_open_requests(server), 1);
		CHECK_STR(httpd_path(held[i]), "/a");
		CHECK_STR(httpd_client(held[i]), "127.0.0.1");
		httpd_reply(held[i], 200, "text/plain", SPAN("too late"), NULL);
		CHECK_INT(httpd_open_requests(server), 0);
		spin(10);
	}
	raw_open(&r, httpd_port(server)); /* in the middle of a body */
	raw_puts(&r, POST("Content-Length: 10\r\n", "abc"));
	spin(10);
	raw_close(&r);
	CHECK_INT(handled, 6);
	stop();
}

static void stopping(void)
{
	struct raw busy, idle, late;

	start(10);
	hold = true;
	raw_open(&busy, httpd_port(server));
	raw_puts(&busy, GET("/a"));
	raw_open(&idle, httpd_port(server));
	CHECK(SPIN_UNTIL(nheld == 1));
	httpd_stop_accepting(server);
	raw_open(&late, httpd_port(server));
	CHECK(late.closed);
	CHECK(raw_wait(&idle, NULL, PATIENCE_MS));
	httpd_reply(held[0], 200, "text/plain", SPAN("bye"), NULL);
	CHECK(raw_wait(&busy, NULL, PATIENCE_MS));
	CHECK(strstr(busy.text, "Connection: close\r\n\r\nbye"));
	raw_close(&busy);
	raw_close(&idle);
	raw_close(&late);
	stop();

	start(10);
	hold = true;
	raw_open(&busy, httpd_port(server));
	raw_puts(&busy, GET("/a"));
	CHECK(SPIN_UNTIL(httpd_open_requests(server) == 1));
	httpd_free(server);
	CHECK_STR(httpd_path(held[0]), "/a");
	httpd_reply(held[0], 200, "text/plain", SPAN("nobody listens"), NULL);
	CHECK(raw_wait(&busy, NULL, PATIENCE_MS));
	CHECK_INT(busy.len, 0);
	raw_close(&busy);
}

/* What was sent before is answered, also where nothing of it was looked at yet. */
static void stopping_unread(void)
{
	struct raw known, unknown;

	start(10);
	raw_open(&known, httpd_port(server));
	raw_puts(&known, GET("/first"));
	CHECK(SPIN_UNTIL(handled == 1));
	spin(10);
	hold = true;
	raw_puts(&known, GET("/a"));
	raw_open(&unknown, httpd_port(server));
	raw_puts(&unknown, GET("/b"));
	httpd_stop_accepting(server);
	CHECK(SPIN_UNTIL(nheld == 2));
	for (unsigned i = 0; i < nheld; i++)
		httpd_reply(held[i], 200, "text/plain", SPAN("bye"), NULL);
	CHECK(raw_wait(&known, NULL, PATIENCE_MS));
	CHECK(raw_wait(&unknown, NULL, PATIENCE_MS));
	CHECK(strstr(known.text, "Connection: close\r\n\r\nbye"));
	CHECK(strstr(unknown.text, "Connection: close\r\n\r\nbye"));
	raw_close(&known);
	raw_close(&unknown);
	stop();
}

/* Told so by the handler itself, whose client has been answered and is idle already. */
static void stopping_within(void)
{
	struct raw asks, idle;

	start(10);
	raw_open(&idle, httpd_port(server));
	raw_open(&asks, httpd_port(server));
	stop_within = true;
	raw_puts(&asks, GET("/a"));
	CHECK(raw_wait(&asks, NULL, PATIENCE_MS));
	CHECK_INT(raw_status(&asks), 200);
	CHECK(raw_wait(&idle, NULL, PATIENCE_MS));
	CHECK_INT(handled, 1);
	raw_close(&asks);
	raw_close(&idle);
	stop();

	start(1); /* somebody waits for the place of who is with the handler */
	raw_open(&asks, httpd_port(server));
	comes_within = &idle;
	raw_puts(&asks, GET("/a"));
	CHECK(raw_wait(&asks, NULL, PATIENCE_MS));
	CHECK_INT(raw_status(&asks), 200);
	CHECK(raw_wait(&idle, NULL, PATIENCE_MS));
	CHECK_INT(raw_status(&idle), 200);
	CHECK_INT(handled, 2);
	CHECK(!httpd_accepting(server));
	stop_within = false;
	raw_close(&asks);
	raw_close(&idle);
	stop();
}

/* Told to end while others still come: they are served, each on its last connection, until none has come for a second.
 */
static void winding_down(void)
{
	struct raw known, later;

	start(10);
	raw_open(&known, httpd_port(server));
	raw_puts(&known, GET("/first"));
	CHECK(SPIN_UNTIL(handled == 1));
	spin(1100); /* however quiet it was before */
	httpd_wind_down(server, 60000);
	CHECK(httpd_accepting(server));
	raw_puts(&known, GET("/second"));
	CHECK(raw_wait(&known, NULL, PATIENCE_MS)); /* closed by us */
	CHECK(strstr(known.text, "Connection: keep-alive"));
	CHECK(strstr(known.text, "Connection: close"));
	raw_open(&later, httpd_port(server));
	raw_puts(&later, GET("/third"));
	CHECK(raw_wait(&later, NULL, PATIENCE_MS));
	CHECK_INT(raw_status(&later), 200);
	CHECK_INT(handled, 3);
	CHECK(SPIN_UNTIL(!httpd_accepting(server)));
	raw_close(&known);
	raw_close(&later);
	stop();

	start(10); /* nobody has ever come */
	httpd_wind_down(server, 60000);
	CHECK(!httpd_accepting(server));
	stop();

	start(10); /* they do not stop coming */
	raw_open(&known, httpd_port(server));
	raw_puts(&known, GET("/first"));
	CHECK(SPIN_UNTIL(handled == 1));
	CHECK(httpd_accepting(server));
	httpd_wind_down(server, 0);
	CHECK(!httpd_accepting(server));
	raw_close(&known);
	stop();
}

static void addresses(void)
{
	const char *why = NULL;

	start(10);
	const char *taken = arena_printf(&arena, "127.0.0.1:%u", httpd_port(server));
	CHECK(open_on(taken, 1, &why) == NULL);
	CHECK_STR(why, arena_printf(&arena, "SHOAL_GATEWAY_LISTEN=%s: address already in use", taken));
	stop();
	struct httpd *again = open_on(taken, 1, &why); /* at once, whatever connections linger */
	CHECK(again);
	httpd_free(again);

	static const char *const bad[] = {"",         "8080",          "localhost",  "::1:80",   "[::1]",
	                                  "1.2.3.4:", "1.2.3.4:65536", "1.2.3.4:-1", "1.2.3.4:x"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CHECK(open_on(bad[i], 1, &why) == NULL);
		CHECK_STR(why, arena_printf(&arena, "SHOAL_GATEWAY_LISTEN=%s: must be host:port or [v6-address]:port",
		                            bad[i]));
	}
	CHECK(open_on("203.0.113.7:0", 1, &why) == NULL);
	CHECK_STR(why, "SHOAL_GATEWAY_LISTEN=203.0.113.7:0: cannot assign requested address");

	int probe = socket(AF_INET6, SOCK_STREAM, 0);
	struct sockaddr_in6 sa = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	bool v6 = probe >= 0 && bind(probe, (struct sockaddr *)&sa, sizeof(sa)) == 0;
	close(probe);
	if (!v6) {
		printf("# no IPv6 here\n");
		return;
	}
	struct httpd *six = open_on("[::1]:0", 1, &why);
	CHECK(six);
	CHECK(httpd_port(six) != 0);
	httpd_free(six);
}

static const char *trouble;

static const char *check_database(void *arg)
{
	(void)arg;
	return trouble;
}

static void ask(unsigned port, const char *path, int status, const char *expect)
{
	struct raw r;

	raw_open(&r, port);
	raw_puts(&r, arena_printf(&arena, "GET %s HTTP/1.1\r\n" HOST "\r\n", path));
	CHECK(raw_wait(&r, expect, PATIENCE_MS));
	CHECK_INT(raw_status(&r), status);
	if (!strstr(r.text, expect))
		printf("# %s: %s\n", path, r.text);
	raw_close(&r);
}

static void health(void)
{
	const char *why = "unset";

	CHECK(health_open(loop, "0", &arena, &why) == NULL);
	CHECK(why == NULL);
	health_check(NULL, "x", check_database, NULL);
	health_close(NULL);
	CHECK(health_open(loop, "nonsense", &arena, &why) == NULL);
	CHECK_STR(why, "SHOAL_METRICS_LISTEN=nonsense: must be host:port or [v6-address]:port");

	struct health *h = health_open(loop, "127.0.0.1:0", &arena, &why);
	CHECK(h);
	unsigned port = health_port(h);
	health_check(h, "postgres", check_database, NULL);
	health_alive(h, "queue", check_database, NULL);
	series_add(SERIES(metric_counter("test_things_total", "kind", "Things."), "a\"b"), 3);
	ask(port, "/healthz", 200, "{\"alive\":true,\"checks\":{\"loop\":\"ok\",\"queue\":\"ok\"}}");
	ask(port, "/readyz", 200, "{\"ready\":true,\"checks\":{\"postgres\":\"ok\"}}");
	trouble = "no \"connection\"";
	ask(port, "/healthz", 503,
	    "{\"alive\":false,\"checks\":{\"loop\":\"ok\",\"queue\":\"no \\\"connection\\\"\"}}");
	ask(port, "/readyz", 503, "{\"ready\":false,\"checks\":{\"postgres\":\"no \\\"connection\\\"\"}}");
	ask(port, "/metrics", 200, "test_things_total{kind=\"a\\\"b\"} 3\n");
	ask(port, "/metrics", 200, "Content-Type: text/plain; version=0.0.4");
	ask(port, "/nothing", 404, "not_found");
	health_close(h);
}

int main(void)
{
	log_init(LOG_ERROR, LOG_JSON, "test", "1");
	arena_init(&arena);
	loop = loop_new();
	RUN(what_is_answered_to_what);
	RUN(dripped_requests);
	RUN(too_big);
	RUN(pipelined_requests_keep_their_order);
	RUN(requests_cut_anywhere);
	RUN(a_flood_of_pipelined_requests);
	RUN(slow_clients);
	RUN(a_client_that_does_not_read);
	RUN(a_client_that_reads_slowly);
	RUN(streams);
	RUN(headers_of_every_answer);
	RUN(a_full_house);
	RUN(half_open_requests_keep_nobody_out);
	RUN(half_sent_bodies_keep_nobody_out);
	RUN(connection_cap);
	RUN(the_client_leaves_first);
	RUN(stopping);
	RUN(stopping_unread);
	RUN(stopping_within);
	RUN(winding_down);
	RUN(addresses);
	RUN(health);
	loop_free(loop);
	arena_release(&arena);
	DONE();
}
