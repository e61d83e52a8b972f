/* links: base io */
/* The HTTP client against servers that answer, hang, refuse, break off and never end. */
#include "check.h"
#include "http_peer.h"

#include <fcntl.h>

#include "shoal/base/log.h"
#include "shoal/base/metrics.h"
#include "shoal/io/http.h"
#include "shoal/io/httpd.h"

#define OK_HI "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

struct outcome {
	int calls;
	enum err err;
	int status;
	int64_t retry_after_ms;
	char body[4096];
};

static struct http *http;

static void note(void *arg, enum err err, const struct http_response *res)
{
	struct outcome *o = arg;

	o->calls++;
	o->err = err;
	CHECK((res != NULL) == (err == ERR_OK));
	if (!res)
		return;
	o->status = res->status;
	o->retry_after_ms = res->retry_after_ms;
	snprintf(o->body, sizeof(o->body), "%s", res->body.ptr);
	CHECK_INT(res->body.ptr[res->body.len], 0);
}

static const char *url_of(unsigned port, const char *path)
{
	static char url[256];

	snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", port, path);
	return url;
}

static struct http_request request(const char *method, const char *url, const char *body)
{
	return (struct http_request){
	    .method = method, .url = url, .body = span_of(body), .timeout_ms = 20000, .peer = "test"};
}

static struct outcome call(const struct http_request *req)
{
	struct outcome o = {0};

	http_send(http, req, note, &o);
	CHECK_INT(o.calls, 0);
	CHECK(SPIN_UNTIL(o.calls) && o.calls == 1);
	return o;
}

static void open_client(unsigned per_host, size_t max_body)
{
	http = http_open(loop, &(struct http_opts){.per_host = per_host, .max_body = max_body, .user_agent = "test"});
}

static void connection_is_reused(void)
{
	struct bad *b = bad_open(OK_HI);

	open_client(4, 4096);
	for (int i = 0; i < 5; i++) {
		struct http_request req = request("POST", url_of(b->port, "/x"), "{}");
		struct outcome o = call(&req);
		CHECK_INT(o.err, ERR_OK);
		CHECK_INT(o.status, 200);
		CHECK_STR(o.body, "hi");
		CHECK_INT(o.retry_after_ms, -1);
	}
	CHECK_INT(b->accepted, 1);
	CHECK_INT(b->requests, 5);
	http_close(http);
	bad_close(b);
}

static void note_headers(void *arg, enum err err, const struct http_response *res)
{
	char *out = arg;

	CHECK_INT(err, ERR_OK);
	for (size_t i = 0; res && i < HTTP_KEEP_MAX; i++) {
		snprintf(out + strlen(out), 1000 - strlen(out), "%s;", res->headers[i] ? res->headers[i] : "-");
	}
}

/* Those that were asked for, and of no other request. */
static void headers_are_kept(void)
{
	static const char *const wanted[] = {"X-One", "X-Two", "X-None", "X-Long", "X-Empty", NULL};
	static char answer[1024];
	char long_value[HTTP_KEPT_BYTES + 2], out[1000] = "";
	struct http_request req = {.method = "GET", .keep = wanted, .timeout_ms = 20000, .peer = "test"};
	struct bad *b;

	memset(long_value, 'l', sizeof(long_value));
	long_value[sizeof(long_value) - 1] = 0;
	snprintf(answer, sizeof(answer),
	         "HTTP/1.1 200 OK\r\nx-one: 1.5\r\nX-Two: a\r\nX-Two: b\r\nX-Long: %s\r\nX-Empty:\r\n"
	         "Content-Length: 0\r\n\r\n",
	         long_value);
	b = bad_open(answer);
	open_client(4, 4096);
	req.url = url_of(b->port, "/");
	http_send(http, &req, note_headers, out);
	CHECK(SPIN_UNTIL(*out));
	CHECK_STR(out, "1.5;b;-;-;;-;-;-;");
	out[0] = 0;
	req.keep = NULL;
	http_send(http, &req, note_headers, out);
	CHECK(SPIN_UNTIL(*out));
	CHECK_STR(out, "-;-;-;-;-;-;-;-;");
	http_close(http);
	bad_close(b);
}

static void methods_on_one_handle(void)
{
	static const struct {
		const char *method, *body, *first, *length;
	} rows[] = {
	    {"GET", NULL, "GET /p HTTP/1.1\r\n", NULL},
	    {"POST", "{\"a\":1}", "POST /p HTTP/1.1\r\n", "Content-Length: 7\r\n"},
	    {"GET", NULL, "GET /p HTTP/1.1\r\n", NULL},
	    {"POST", NULL, "POST /p HTTP/1.1\r\n", "Content-Length: 0\r\n"},
	    {"PATCH", "{}", "PATCH /p HTTP/1.1\r\n", "Content-Length: 2\r\n"},
	    {"PUT", "{}", "PUT /p HTTP/1.1\r\n", "Content-Length: 2\r\n"},
	    {"DELETE", NULL, "DELETE /p HTTP/1.1\r\n", NULL},
	    {"GET", NULL, "GET /p HTTP/1.1\r\n", NULL},
	};
	struct bad *b = bad_open(OK_HI);

	open_client(4, 4096);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct http_request req = request(rows[i].method, url_of(b->port, "/p"), rows[i].body);
		CHECK_INT(call(&req).err, ERR_OK);
		CHECK(strncmp(b->last, rows[i].first, strlen(rows[i].first)) == 0);
		if (rows[i].length)
			CHECK(strstr(b->last, rows[i].length));
		else
			CHECK(!strstr(b->last, "Content-Length"));
		CHECK((strstr(b->last, "Content-Type: application/json\r\n") != NULL) == (rows[i].body != NULL));
		CHECK(!rows[i].body || strstr(b->last, rows[i].body));
		CHECK(!strstr(b->last, "Expect"));
	}
	struct http_request typed = request("POST", url_of(b->port, "/p"), "a=b");
	typed.headers = (const char *const[]){"content-type: text/plain", "X-Test: 1", NULL};
	CHECK_INT(call(&typed).err, ERR_OK);
	CHECK(strstr(b->last, "content-type: text/plain\r\n") && !strstr(b->last, "application/json"));
	CHECK(strstr(b->last, "X-Test: 1\r\n"));
	http_close(http);
	bad_close(b);
}

static void answers_of_all_kinds(void)
{
	static const struct {
		const char *answer;
		bool close;
		enum err err;
		int status;
		int64_t retry_after_ms;
	} rows[] = {
	    {"HTTP/1.1 429 No\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n", false, ERR_OK, 429, 7000},
	    {"HTTP/1.1 429 No\r\nRetry-After: 0.5\r\nContent-Length: 0\r\n\r\n", false, ERR_OK, 429, 500},
	    {"HTTP/1.1 429 No\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n", false, ERR_OK, 429, 0},
	    {"HTTP/1.1 429 No\r\nRetry-After: -3\r\nContent-Length: 0\r\n\r\n", false, ERR_OK, 429, -1},
	    {"HTTP/1.1 503 No\r\nRetry-After: 9999999999999\r\nContent-Length: 0\r\n\r\n", false, ERR_OK, 503,
	     604800000},
	    {"HTTP/1.1 302 See\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n", false, ERR_OK, 302, -1},
	    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", false, ERR_OK, 200, -1},
	    {"HTTP/1.1 200 OK\r\n\r\nhi", true, ERR_OK, 200, -1},
	    {"HTTP/1.1 204 None\r\n\r\n", false, ERR_OK, 204, -1},
	    {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhi", true, ERR_UNKNOWN, 0, 0},
	    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhi", true, ERR_UNKNOWN, 0, 0},
	    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhi", false, ERR_UNKNOWN, 0, 0},
	    {"HTTP/1.1 200 OK\r\nContent-Le", true, ERR_UNKNOWN, 0, 0},
	    {NULL, true, ERR_UNKNOWN, 0, 0},
	    {"complete and utter nonsense\r\n\r\n", true, ERR_UNKNOWN, 0, 0},
	    {"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n", false, ERR_TIMEOUT, 0, 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct bad *b = bad_open(rows[i].answer);
		b->close_after = rows[i].close;
		open_client(4, 8192);
		struct http_request req = request("POST", url_of(b->port, "/x"), "{}");
		if (rows[i].err == ERR_TIMEOUT)
			req.timeout_ms = 500;
		struct outcome o = call(&req);
		if (o.err != rows[i].err)
			printf("# answer %zu\n", i);
		CHECK_INT(o.err, rows[i].err);
		if (o.err == ERR_OK) {
			CHECK_INT(o.status, rows[i].status);
			CHECK_INT(o.retry_after_ms, rows[i].retry_after_ms);
			CHECK_INT(b->requests, 1);
		}
		http_close(http);
		bad_close(b);
	}
}

static void too_long_and_endless(void)
{
	struct bad *b = bad_open("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n");

	b->endless = true;
	open_client(4, 100000);
	struct http_request req = request("GET", url_of(b->port, "/x"), NULL);
	CHECK_INT(call(&req).err, ERR_TOO_LONG);
	http_close(http);
	bad_close(b);
	b = bad_open("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
	open_client(4, 5);
	req = request("GET", url_of(b->port, "/x"), NULL);
	CHECK_INT(call(&req).err, ERR_OK);
	http_close(http);
	open_client(4, 4);
	CHECK_INT(call(&req).err, ERR_TOO_LONG);
	http_close(http);
	bad_close(b);
}

/* No success: its status says what there is to know, though a page of any length comes with it. */
static void trouble_told_at_length(void)
{
	static const int statuses[] = {302, 400, 401, 429, 500, 503};
	char answer[200];

	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
		snprintf(answer, sizeof(answer), "HTTP/1.1 %d X\r\nRetry-After: 7\r\n\r\n", statuses[i]);
		struct bad *b = bad_open(answer);
		b->endless = true;
		open_client(4, 100000);
		struct http_request req = request("POST", url_of(b->port, "/x"), "{}");
		struct outcome o = call(&req);
		CHECK_INT(o.err, ERR_OK);
		CHECK_INT(o.status, statuses[i]);
		CHECK_INT(o.retry_after_ms, 7000);
		CHECK_STR(o.body, "");
		http_close(http);
		bad_close(b);
	}
}

/* Two calls for one connection, the second of which is never sent. Returns the time that they took. */
static int64_t two_that_hang(struct outcome *first, struct outcome *second, unsigned *sent)
{
	struct bad *b = bad_open(NULL);
	int64_t start = clock_ms();

	*first = *second = (struct outcome){0};
	open_client(1, 4096);
	struct http_request req = request("POST", url_of(b->port, "/x"), "{}");
	req.timeout_ms = 300;
	http_send(http, &req, note, first);
	http_send(http, &req, note, second);
	CHECK(SPIN_UNTIL(first->calls && second->calls));
	int64_t took = clock_ms() - start;
	*sent = b->requests;
	http_close(http);
	bad_close(b);
	return took;
}

/* Where the machine stands still for longer than the timeout it is tried again. */
static void a_hang_is_a_timeout(void)
{
	struct outcome first, second;
	unsigned sent = 0;
	int64_t took = 0;

	for (int i = 0; i < 10 && (i == 0 || took >= 2000 || first.err != ERR_TIMEOUT); i++) {
		took = two_that_hang(&first, &second, &sent);
		CHECK(took >= 290);
		CHECK_INT(first.calls + second.calls, 2);
	}
	CHECK(took < 2000);
	CHECK_INT(first.err, ERR_TIMEOUT);
	CHECK_INT(second.err, ERR_UNREACHABLE);
	CHECK_INT(sent, 1);
}

static void nobody_there(void)
{
	struct bad *b = bad_open(NULL);
	struct series *refused = SERIES(metric_counter("shoal_errors_total", "peer,kind", ""), "test", "connect");
	double before = series_value(refused);

	open_client(1, 4096);
	struct http_request req = request("POST", url_of(b->port, "/x"), "{}");
	bad_close(b);
	CHECK_INT(call(&req).err, ERR_UNREACHABLE);
	CHECK(series_value(refused) == before + 1);
	req.url = "http://nobody.invalid/x";
	req.timeout_ms = 3000; /* a resolver may be silent */
	CHECK_INT(call(&req).err, ERR_UNREACHABLE);
	req.url = "file:///etc/passwd";
	CHECK_INT(call(&req).err, ERR_INVALID);
	req.url = "http://";
	CHECK_INT(call(&req).err, ERR_INVALID);
	req.url = "http://127.0.0.1:1/\r\nX: y";
	CHECK_INT(call(&req).err, ERR_INVALID);
	req.url = "http://127.0.0.1:1/";
	req.headers = (const char *const[]){"X: a\r\nY: b", NULL};
	CHECK_INT(call(&req).err, ERR_INVALID);
	http_close(http);
}

static unsigned refusals, others;

static void on_other(void *arg)
{
	others++;
	(void)arg;
}

static struct task other = {.fn = on_other};

/* Sends what cannot be sent again and again; others have their turn in between. */
static void again(void *arg, enum err err, const struct http_response *res)
{
	(void)res;
	CHECK_INT(err, ERR_INVALID);
	CHECK_INT(others, refusals);
	loop_defer(loop, &other);
	if (++refusals < 20)
		http_send(http, arg, again, arg);
	else
		loop_stop(loop);
}

static void what_callbacks_send_has_another_turn(void)
{
	struct http_request req = request("GET", "http://127.0.0.1:1/", NULL);

	req.headers = (const char *const[]){"X: a\r\nY: b", NULL}; /* refused before curl has it */
	open_client(1, 4096);
	http_send(http, &req, again, &req);
	loop_run(loop);
	CHECK_INT(refusals, 20);
	http_close(http);
	task_cancel(&other);
}

static void a_server_that_closed_the_idle_connection(void)
{
	struct bad *b = bad_open(OK_HI);

	b->close_after = true;
	open_client(4, 4096);
	for (int i = 0; i < 3; i++) {
		struct http_request req = request("POST", url_of(b->port, "/x"), "{}");
		CHECK_INT(call(&req).err, ERR_OK);
		spin(10);
	}
	CHECK_INT(b->requests, 3);
	http_close(http);
	bad_close(b);
}

static void cancel_and_close(void)
{
	struct bad *b = bad_open(NULL);
	struct outcome a = {0}, c = {0}, d = {0};

	open_client(4, 4096);
	struct http_request req = request("POST", url_of(b->port, "/x"), "{}");
	struct http_call *first = http_send(http, &req, note, &a);
	http_cancel(first);
	struct http_call *second = http_send(http, &req, note, &c);
	CHECK(SPIN_UNTIL(b->requests == 1));
	http_cancel(second);
	spin(20);
	http_send(http, &req, note, &d);
	CHECK(SPIN_UNTIL(b->requests == 2));
	CHECK_INT(a.calls + c.calls + d.calls, 0);
	http_close(http);
	CHECK_INT(a.calls + c.calls, 0);
	CHECK_INT(d.calls, 1);
	CHECK_INT(d.err, ERR_UNKNOWN);
	bad_close(b);
}

/* --- a hundred at once, against our own server */

#define AT_ONCE 10

static struct httpd_request *held[100];
static unsigned nheld, held_most;
static struct timer answer_timer;

static void answer_all(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < nheld; i++)
		httpd_reply(held[i], 200, "text/plain", httpd_body(held[i]), NULL);
	nheld = 0;
}

/* Answers when as many are there as may be, and a moment has passed for one more. */
static void echo_later(void *arg, struct httpd_request *r)
{
	(void)arg;
	held[nheld++] = r;
	if (nheld > held_most)
		held_most = nheld;
	if (nheld == AT_ONCE)
		timer_set(&answer_timer, 10);
}

static void hundred_in_parallel(void)
{
	static struct outcome o[100];
	struct arena a;
	const char *why = NULL;
	int done = 0;

	arena_init(&a);
	struct httpd *h = httpd_open(loop,
	                             &(struct httpd_opts){.listen = "127.0.0.1:0",
	                                                  .variable = "X",
	                                                  .max_body = 1000,
	                                                  .max_headers = 4096,
	                                                  .max_connections = 2 * AT_ONCE,
	                                                  .timeout_s = 60,
	                                                  .handle = echo_later},
	                             &a, &why);
	CHECK(h);
	timer_init(&answer_timer, loop, answer_all, NULL);
	open_client(AT_ONCE, 4096);
	for (int i = 0; i < 100; i++) {
		char body[16];
		snprintf(body, sizeof(body), "%d", i);
		struct http_request req = request("POST", url_of(httpd_port(h), "/echo"), body);
		http_send(http, &req, note, &o[i]);
	}
	for (int64_t end = clock_ms() + PATIENCE_MS; done < 100 && clock_ms() < end;) {
		spin(5);
		done = 0;
		for (int i = 0; i < 100; i++)
			done += o[i].calls;
	}
	CHECK_INT(done, 100);
	for (int i = 0; i < 100; i++) {
		CHECK_INT(o[i].err, ERR_OK);
		CHECK_INT(atoi(o[i].body), i);
	}
	CHECK_INT(held_most, AT_ONCE);
	timer_release(&answer_timer);
	http_close(http);
	httpd_free(h);
	arena_release(&a);
}

static void answer_where(void *arg, struct httpd_request *r)
{
	char body[128];

	(void)arg;
	snprintf(body, sizeof(body), "%s %s q=%s", httpd_header(r, "Host"), httpd_path(r), httpd_query(r, "q"));
	httpd_reply(r, 200, "text/plain", span_of(body), NULL);
}

/* More URLs than are kept, so those of some make room while others are under way: each call goes where it should. */
static void each_call_goes_to_its_own_url(void)
{
	enum { PATHS = 21, TOGETHER = 15, ROUNDS = 12 };
	struct arena a;
	const char *why = NULL;
	struct httpd_opts opts = {.listen = "127.0.0.1:0",
	                          .variable = "X",
	                          .max_body = 1000,
	                          .max_headers = 4096,
	                          .max_connections = 100,
	                          .timeout_s = 60,
	                          .handle = answer_where};

	arena_init(&a);
	struct httpd *h = httpd_open(loop, &opts, &a, &why);
	CHECK(h);
	open_client(TOGETHER, 4096);
	for (int round = 0; round < ROUNDS; round++) {
		struct outcome o[TOGETHER] = {0};
		char want[TOGETHER][128], url[128];
		int n = round % 3 ? TOGETHER : 2, done = 0;

		for (int i = 0; i < n; i++) {
			const char *host = i % 4 == 3 ? "localhost" : "127.0.0.1";
			int path = (round * 5 + i * i) % PATHS;

			snprintf(url, sizeof(url), "http://%s:%u/p%d?q=%d", host, httpd_port(h), path, path % 3);
			snprintf(want[i], sizeof(want[i]), "%s:%u /p%d q=%d", host, httpd_port(h), path, path % 3);
			struct http_request req = request("POST", url, "{}");
			http_send(http, &req, note, &o[i]);
		}
		for (int64_t end = clock_ms() + PATIENCE_MS; done < n && clock_ms() < end;) {
			spin(2);
			done = 0;
			for (int i = 0; i < n; i++)
				done += o[i].calls;
		}
		for (int i = 0; i < n; i++)
			CHECK_STR(o[i].body, want[i]);
	}
	http_close(http);
	httpd_free(h);
	arena_release(&a);
}

static void the_url_is_never_logged(void)
{
	char path[] = "/tmp/shoal-test-http-XXXXXX", text[8192] = "";
	int file = mkstemp(path), saved = dup(2);

	open_client(4, 4096);
	fflush(stderr);
	dup2(file, 2);
	spin(1100); /* past the log's rate limit */
	struct http_request req = request("POST", "http://127.0.0.1:1/bot123:SECRETTOKEN/sendMessage", "{}");
	CHECK_INT(call(&req).err, ERR_UNREACHABLE);
	http_close(http);
	open_client(4, 4096);
	req.url = "http://user:SECRETTOKEN@127.0.0.1:1:2:3/bot123:SECRETTOKEN/sendMessage";
	CHECK_INT(call(&req).err, ERR_INVALID);
	fflush(stderr);
	dup2(saved, 2);
	CHECK(pread(file, text, sizeof(text) - 1, 0) > 0);
	CHECK(strstr(text, "http request failed"));
	CHECK(!strstr(text, "SECRETTOKEN"));
	http_close(http);
	close(saved);
	close(file);
	unlink(path);
}

int main(void)
{
	log_init(LOG_WARN, LOG_JSON, "test", "1");
	loop = loop_new();
	RUN(connection_is_reused);
	RUN(headers_are_kept);
	RUN(methods_on_one_handle);
	RUN(answers_of_all_kinds);
	RUN(too_long_and_endless);
	RUN(trouble_told_at_length);
	RUN(a_hang_is_a_timeout);
	RUN(nobody_there);
	RUN(what_callbacks_send_has_another_turn);
	RUN(a_server_that_closed_the_idle_connection);
	RUN(cancel_and_close);
	RUN(hundred_in_parallel);
	RUN(each_call_goes_to_its_own_url);
	RUN(the_url_is_never_logged);
	loop_free(loop);
	DONE();
}
