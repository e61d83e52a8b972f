/* libcurl's multi interface on the loop: requests and their answers. Handles and where they lead to are
 * http_handle.c's, sockets and timer http_sock.c's. curl never runs inside http_send or its own callbacks, and what is
 * complete waits on a list until the loop delivers it. */
#include "shoal/io/http.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>

#include "shoal/base/arena.h"
#include "shoal/base/log.h"
#include "shoal/base/metrics.h"
#include "shoal/io/http_classify.h"
#include "shoal/io/http_handle.h"
#include "shoal/io/http_memory.h"
#include "shoal/io/http_sock.h"

#define CONNECT_TIMEOUT_MS 10000L
#define EXPECTING_BYTES (1 << 20) /* before so long a body curl asks whether it is welcome, unless told not to */
#define RETRY_AFTER_MAX_S (INT64_C(7) * 24 * 3600)

struct http_call {
	struct http *h;
	struct http_handle handle;  /* none once it is complete */
	struct curl_slist *headers; /* NULL: those of h */
	struct buf body;
	const char *peer;
	http_fn *fn;
	void *arg;
	enum err err;
	bool head_complete; /* curl is content with half a head */
	int status;
	int64_t retry_after_ms;
	const char *const *keep;
	char *kept[HTTP_KEEP_MAX];
	TAILQ_ENTRY(http_call) link; /* on active or ready */
	char request_body[];         /* curl does not copy it */
};
TAILQ_HEAD(call_list, http_call);

struct http {
	struct loop *loop;
	struct http_opts opts;
	char *user_agent; /* the header line */
	CURLM *multi;
	struct task deliver;
	struct call_list active, ready;
	struct http_socks socks;
	struct http_handles handles;
	struct curl_slist *common; /* headers of a request that names none, with a body of JSON */
	int64_t failures_logged;
	unsigned failures_held_back;
};

/* --- what curl tells a call */

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
	struct http_call *c = arg;

	buf_add(&c->body, data, size * n);
	return c->body.failed ? 0 : size * n;
}

static size_t on_header(char *line, size_t size, size_t n, void *arg)
{
	struct http_call *c = arg;

	if (size * n >= 5 && memcmp(line, "HTTP/", 5) == 0)
		c->head_complete = false;
	else if (size * n == 2 && memcmp(line, "\r\n", 2) == 0)
		c->head_complete = true;
	return size * n;
}

static bool has_answered(CURL *e)
{
	const struct http_call *c = NULL;

	curl_easy_getinfo(e, CURLINFO_PRIVATE, (char **)&c);
	return c && c->head_complete;
}

static void set_up(CURL *e, void *arg)
{
	struct http *h = arg;

	curl_easy_setopt(e, CURLOPT_CLOSESOCKETFUNCTION, http_socks_on_close);
	curl_easy_setopt(e, CURLOPT_CLOSESOCKETDATA, &h->socks);
	curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
}

/* --- completion */

static int64_t retry_after(CURL *e)
{
	struct curl_header *header;
	curl_off_t seconds = 0;
	char *end;

	if (curl_easy_header(e, "Retry-After", 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
		return -1;
	double value = strtod(header->value, &end);
	if (end == header->value || *end != '\0') { /* a date */
		curl_easy_getinfo(e, CURLINFO_RETRY_AFTER, &seconds);
		value = (double)seconds;
	}
	if (!(value >= 0))
		return -1;
	return value > (double)RETRY_AFTER_MAX_S ? RETRY_AFTER_MAX_S * 1000 : (int64_t)(value * 1000);
}

static void keep_headers(struct http_call *c)
{
	struct curl_header *h;
	size_t len;

	for (size_t i = 0; c->keep && c->keep[i]; i++) {
		if (curl_easy_header(c->handle.easy, c->keep[i], 0, CURLH_HEADER, -1, &h) == CURLHE_OK)
			(void)curl_easy_header(c->handle.easy, c->keep[i], h->amount - 1, CURLH_HEADER, -1, &h);
		else
			h = NULL;
		len = h ? strcspn(h->value, "\r\n") : 0; /* of an empty one curl leaves the line's end */
		if (h && len <= HTTP_KEPT_BYTES) {
			c->kept[i] = mem_strdup(h->value);
			c->kept[i][len] = '\0';
		}
	}
}

static void call_ready(struct http_call *c, enum err err)
{
	c->err = err;
	TAILQ_REMOVE(&c->h->active, c, link);
	TAILQ_INSERT_TAIL(&c->h->ready, c, link);
	loop_defer(c->h->loop, &c->h->deliver);
}

/* Takes the handle out of curl's hands. */
static void call_detach(struct http_call *c)
{
	if (!c->handle.easy)
		return;
	curl_multi_remove_handle(c->h->multi, c->handle.easy);
	http_handle_give(&c->h->handles, c->handle);
	c->handle = (struct http_handle){0};
	curl_slist_free_all(c->headers);
	c->headers = NULL;
}

static void call_failed(struct http_call *c, CURLcode code, const struct http_failure *f)
{
	struct http *h = c->h;

	series_add(SERIES(metric_counter("shoal_errors_total", "peer,kind", "Failed calls to other systems."), c->peer,
	                  f->kind),
	           1);
	/* neither the URL nor curl's detailed text: they can hold a token */
	if (!log_due(&h->failures_logged, &h->failures_held_back))
		return;
	log_warn("http request failed", LOG_STR("peer", c->peer), LOG_STR("kind", f->kind),
	         LOG_STR("reason", curl_easy_strerror(code)), LOG_INT("suppressed", h->failures_held_back));
	h->failures_held_back = 0;
}

static void answer_read(struct http_call *c)
{
	long status = 0;

	curl_easy_getinfo(c->handle.easy, CURLINFO_RESPONSE_CODE, &status);
	c->status = (int)status;
	c->retry_after_ms = status < 300 ? -1 : retry_after(c->handle.easy); /* RFC 9110, 10.2.3 */
	keep_headers(c);
}

static void call_complete(struct http_call *c, CURLcode code)
{
	static const struct http_failure too_long = {ERR_TOO_LONG, "too_long"};
	struct http_failure f = {ERR_OK, ""};
	curl_off_t began = 0;
	long sent = 0;

	if (code == CURLE_OK && !c->head_complete)
		code = CURLE_PARTIAL_FILE;
	if (code == CURLE_OK) {
		answer_read(c);
	} else if (c->body.failed) {
		answer_read(c);
		buf_clear(&c->body);
		call_failed(c, code, &too_long);
		f.err = c->status < 300 ? ERR_TOO_LONG : ERR_OK;
	} else {
		curl_easy_getinfo(c->handle.easy, CURLINFO_REQUEST_SIZE, &sent);
		curl_easy_getinfo(c->handle.easy, CURLINFO_PRETRANSFER_TIME_T, &began);
		f = http_classify(code, sent > 0 || began > 0);
		call_failed(c, code, &f);
	}
	/* curl 8.14 loses the name's memory when the handle is used again (its issue 17602; 8.15 does not) */
	c->handle.spent = code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_RESOLVE_PROXY;
	call_detach(c);
	call_ready(c, f.err);
}

static void collect(void *arg)
{
	struct http *h = arg;
	CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(h->multi, &left)) != NULL) {
		struct http_call *c = NULL;
		if (m->msg != CURLMSG_DONE)
			continue;
		CURLcode code = m->data.result; /* m is gone with its handle */
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&c);
		call_complete(c, code);
	}
}

static void call_free(struct http_call *c)
{
	for (size_t i = 0; i < HTTP_KEEP_MAX; i++)
		free(c->kept[i]);
	buf_release(&c->body);
	free(c);
}

static void call_deliver(struct http_call *c)
{
	struct http_response res = {.status = c->status,
	                            .body = c->body.len ? buf_span(&c->body) : SPAN(""),
	                            .retry_after_ms = c->retry_after_ms};

	for (size_t i = 0; i < HTTP_KEEP_MAX; i++)
		res.headers[i] = c->kept[i];
	TAILQ_REMOVE(&c->h->ready, c, link);
	c->fn(c->arg, c->err, c->err == ERR_OK ? &res : NULL);
	call_free(c);
}

/* What these callbacks send and cannot be sent is ready at once, and is told in the next turn. */
static void deliver(void *arg)
{
	struct http *h = arg;
	const struct http_call *c;
	size_t n = 0;

	loop_note(h->loop, "http");
	TAILQ_FOREACH(c, &h->ready, link)
	n++;
	for (; n > 0 && !TAILQ_EMPTY(&h->ready); n--)
		call_deliver(TAILQ_FIRST(&h->ready));
}

/* --- requests */

static bool add_header(struct http_call *c, const char *line)
{
	if (line[strcspn(line, "\r\n")] != '\0')
		return false;
	struct curl_slist *list = curl_slist_append(c->headers, line);
	ENSURE(list);
	c->headers = list;
	return true;
}

static bool set_headers(struct http_call *c, const struct http_request *req)
{
	static const char content_type[] = "Content-Type:";
	bool typed = false;

	if (!(req->headers && *req->headers) && req->body.len && req->body.len < EXPECTING_BYTES) {
		curl_easy_setopt(c->handle.easy, CURLOPT_HTTPHEADER, c->h->common);
		return true;
	}
	for (const char *const *line = req->headers; line && *line; line++) {
		typed = typed || strncasecmp(*line, content_type, sizeof(content_type) - 1) == 0;
		if (!add_header(c, *line))
			return false;
	}
	if (!typed && req->body.len)
		add_header(c, "Content-Type: application/json");
	else if (!typed)
		add_header(c, content_type); /* takes away what curl would claim for an empty POST */
	add_header(c, "Expect:");
	add_header(c, c->h->user_agent);
	curl_easy_setopt(c->handle.easy, CURLOPT_HTTPHEADER, c->headers);
	return true;
}

static void set_method(struct http_call *c, const struct http_request *req)
{
	bool get = strcmp(req->method, "GET") == 0, post = strcmp(req->method, "POST") == 0;
	bool has_body = req->body.len || !(get || strcmp(req->method, "DELETE") == 0);

	if (has_body) {
		if (req->body.len)
			memcpy(c->request_body, req->body.ptr, req->body.len);
		curl_easy_setopt(c->handle.easy, CURLOPT_POST, 1L);
		curl_easy_setopt(c->handle.easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)req->body.len);
		curl_easy_setopt(c->handle.easy, CURLOPT_POSTFIELDS, (const char *)c->request_body);
	} else {
		curl_easy_setopt(c->handle.easy, CURLOPT_HTTPGET, 1L);
	}
	curl_easy_setopt(c->handle.easy, CURLOPT_CUSTOMREQUEST, (has_body ? post : get) ? NULL : req->method);
}

struct http_call *http_send(struct http *h, const struct http_request *req, http_fn *fn, void *arg)
{
	struct http_call *c = mem_zalloc(sizeof(*c) + req->body.len + 1);
	long timeout = req->timeout_ms ? (long)req->timeout_ms : 1L;

	c->h = h;
	c->handle = http_handle_take(&h->handles, req->url);
	c->peer = req->peer;
	c->keep = req->keep;
	c->fn = fn;
	c->arg = arg;
	c->retry_after_ms = -1;
	buf_init(&c->body, h->opts.max_body);
	for (size_t i = 0; c->keep && c->keep[i]; i++)
		ENSURE(i < HTTP_KEEP_MAX);
	TAILQ_INSERT_TAIL(&h->active, c, link);
	set_method(c, req);
	curl_easy_setopt(c->handle.easy, CURLOPT_TIMEOUT_MS, timeout);
	curl_easy_setopt(c->handle.easy, CURLOPT_CONNECTTIMEOUT_MS,
	                 timeout < CONNECT_TIMEOUT_MS ? timeout : CONNECT_TIMEOUT_MS);
	curl_easy_setopt(c->handle.easy, CURLOPT_WRITEDATA, c);
	curl_easy_setopt(c->handle.easy, CURLOPT_HEADERDATA, c);
	curl_easy_setopt(c->handle.easy, CURLOPT_PRIVATE, c);
	if (!set_headers(c, req)) {
		call_detach(c);
		call_ready(c, ERR_INVALID);
	} else if (curl_multi_add_handle(h->multi, c->handle.easy) != CURLM_OK) {
		call_detach(c);
		call_ready(c, ERR_INTERNAL);
	}
	return c;
}

void http_cancel(struct http_call *c)
{
	TAILQ_REMOVE(c->handle.easy ? &c->h->active : &c->h->ready, c, link);
	call_detach(c);
	call_free(c);
}

static char *user_agent_line(const char *name)
{
	struct buf line;

	buf_init(&line, SIZE_MAX / 4);
	buf_addf(&line, "User-Agent: %s", name);
	return line.ptr;
}

struct http *http_open(struct loop *l, const struct http_opts *opts)
{
	struct http *h = mem_zalloc(sizeof(*h));

	ENSURE(http_memory_init());
	ENSURE(opts->max_body && opts->per_host);
	h->loop = l;
	h->opts = *opts;
	TAILQ_INIT(&h->active);
	TAILQ_INIT(&h->ready);
	h->deliver = (struct task){.fn = deliver, .arg = h};
	h->user_agent = user_agent_line(opts->user_agent ? opts->user_agent : "shoal");
	h->common = curl_slist_append(curl_slist_append(NULL, "Content-Type: application/json"), h->user_agent);
	h->multi = curl_multi_init();
	ENSURE(h->multi && h->common);
	h->handles.set_up = set_up;
	h->handles.arg = h;
	h->socks =
	    (struct http_socks){.loop = l, .multi = h->multi, .acted = collect, .has_answered = has_answered, .arg = h};
	http_socks_open(&h->socks);
	curl_multi_setopt(h->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
	curl_multi_setopt(h->multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)opts->per_host);
	curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, (long)opts->per_host * 2 + 8);
	return h;
}

void http_close(struct http *h)
{
	struct http_call *c;

	if (!h)
		return;
	while ((c = TAILQ_FIRST(&h->active)) != NULL) {
		call_detach(c);
		call_ready(c, ERR_UNKNOWN);
	}
	while (!TAILQ_EMPTY(&h->ready))
		deliver(h);
	task_cancel(&h->deliver);
	http_handles_close(&h->handles);
	curl_multi_cleanup(h->multi);
	http_socks_close(&h->socks);
	curl_slist_free_all(h->common);
	free(h->user_agent);
	free(h);
}
