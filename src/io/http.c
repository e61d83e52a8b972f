/* libcurl's multi interface on the loop. curl never runs inside http_send or its own callbacks: its sockets and its
 * timer are events of ours, and what is complete waits on a list until the loop delivers it. */
#include "shoal/io/http.h"

#include <curl/curl.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>
#include <unistd.h>

#include "shoal/base/arena.h"
#include "shoal/base/log.h"
#include "shoal/base/metrics.h"
#include "shoal/io/http_classify.h"
#include "shoal/io/http_memory.h"

#define CONNECT_TIMEOUT_MS 10000L
#define DNS_CACHE_S 30L
#define IDLE_HANDLES_MAX 64
#define BUFFER_BYTES 16383L /* and one more: a power of two, which wastes nothing */
#define TARGETS 8
#define EXPECTING_BYTES (1 << 20) /* before so long a body curl asks whether it is welcome, unless told not to */
#define RETRY_AFTER_MAX_S (INT64_C(7) * 24 * 3600)

/* A URL taken apart: curl would do that again for every request. Where it is given parts and no URL it prints one each
 * time, at a high price for each letter, so it gets both; the path stands apart, as it would be copied several times.
 */
struct target {
	char *url;
	CURLU *parts; /* without path and query; curl reads it while a call is under way */
	char *origin; /* those parts as a URL */
	char *path;   /* with the query */
	unsigned calls;
};

/* One of curl's, and the target for which it was set up last. */
struct handle {
	CURL *easy;
	struct target *target; /* NULL: none that is kept */
};

struct http_call {
	struct http *h;
	struct handle handle;       /* none once it is complete */
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

/* A connection's socket. Between two requests curl wants to hear nothing of it; its event stays as it is, as the next
 * request will want the same: that spares two system calls for each. */
struct sock {
	struct http *h;
	struct event *event;
	short armed; /* what it listens for */
	bool wanted; /* curl wants to hear */
};

struct http {
	struct loop *loop;
	struct http_opts opts;
	char *user_agent; /* the header line */
	CURLM *multi;
	struct timer timer;
	struct task deliver;
	struct call_list active, ready;
	struct sock **socks; /* by descriptor */
	size_t nsocks;
	struct target targets[TARGETS];
	unsigned next_target;      /* to make room */
	struct curl_slist *common; /* headers of a request that names none, with a body of JSON */
	struct handle idle[IDLE_HANDLES_MAX];
	unsigned nidle;
	int64_t failures_logged;
	unsigned failures_held_back;
};

/* --- easy handles: set up once, used again and again */

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

static int on_close(void *arg, curl_socket_t fd);

static const char *named(const char *variable)
{
	const char *value = getenv(variable);

	return value && *value ? value : NULL;
}

/* The roots as all that OpenSSL does finds them: curl does not look into the environment by itself. Where a file has
 * them there is no folder beside it unless one is named: curl keeps what it has read of a file for a day
 * (CURLOPT_CA_CACHE_TIMEOUT), but with a folder it reads all of the file for each connection, which holds the loop up
 * for some 50 ms. */
static void set_roots(CURL *e)
{
	const char *file = named("SSL_CERT_FILE"), *folder = named("SSL_CERT_DIR");
	const char *usual = curl_version_info(CURLVERSION_NOW)->cainfo;

	if (!file && !folder && usual && access(usual, R_OK) == 0)
		file = usual;
	if (file)
		curl_easy_setopt(e, CURLOPT_CAINFO, file);
	if (file || folder)
		curl_easy_setopt(e, CURLOPT_CAPATH, folder);
}

static struct handle handle_new(struct http *h)
{
	CURL *e = curl_easy_init();

	ENSURE(e);
	curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(e, CURLOPT_BUFFERSIZE, BUFFER_BYTES);
	curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
	curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(e, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	curl_easy_setopt(e, CURLOPT_DNS_CACHE_TIMEOUT, DNS_CACHE_S);
	curl_easy_setopt(e, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	curl_easy_setopt(e, CURLOPT_CLOSESOCKETFUNCTION, on_close);
	curl_easy_setopt(e, CURLOPT_CLOSESOCKETDATA, h);
	curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
	set_roots(e);
	return (struct handle){.easy = e};
}

/* One that knows the target, where there is one. */
static struct handle handle_take(struct http *h, const struct target *t)
{
	if (!h->nidle)
		return handle_new(h);
	unsigned last = h->nidle - 1, i = last;
	while (i > 0 && h->idle[i].target != t)
		i--;
	if (h->idle[i].target != t)
		i = last;
	struct handle found = h->idle[i];
	h->idle[i] = h->idle[last];
	h->nidle = last;
	return found;
}

static void handle_forget_target(struct handle *hd)
{
	curl_easy_setopt(hd->easy, CURLOPT_CURLU, NULL);
	curl_easy_setopt(hd->easy, CURLOPT_URL, NULL);
	curl_easy_setopt(hd->easy, CURLOPT_REQUEST_TARGET, NULL);
	hd->target = NULL;
}

static void handle_give(struct http *h, struct handle hd)
{
	CURL *e = hd.easy;

	if (h->nidle == IDLE_HANDLES_MAX) {
		curl_easy_cleanup(e);
		return;
	}
	/* nothing of the last request may stay behind in it but its target: most requests go to few */
	curl_easy_setopt(e, CURLOPT_HTTPGET, 1L);
	curl_easy_setopt(e, CURLOPT_POSTFIELDS, NULL);
	curl_easy_setopt(e, CURLOPT_HTTPHEADER, NULL);
	curl_easy_setopt(e, CURLOPT_PRIVATE, NULL);
	curl_easy_setopt(e, CURLOPT_WRITEDATA, NULL);
	curl_easy_setopt(e, CURLOPT_HEADERDATA, NULL);
	if (!hd.target)
		handle_forget_target(&hd);
	h->idle[h->nidle++] = hd;
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
	if (c->handle.target)
		c->handle.target->calls--;
	handle_give(c->h, c->handle);
	c->handle = (struct handle){0};
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
	call_detach(c);
	call_ready(c, f.err);
}

static void collect(struct http *h)
{
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

/* --- curl's sockets and timer */

static void sock_listen(struct sock *s, curl_socket_t fd, short events);

static void on_socket(evutil_socket_t fd, short what, void *arg)
{
	struct sock *s = arg;
	struct http *h = s->h; /* s may go inside the call */
	int running;

	loop_note(h->loop, "curl");
	if (!s->wanted) { /* the other side hangs up; curl looks before it uses the connection again */
		sock_listen(s, fd, 0);
		return;
	}
	int flags = (what & EV_READ ? CURL_CSELECT_IN : 0) | (what & EV_WRITE ? CURL_CSELECT_OUT : 0);
	curl_multi_socket_action(h->multi, fd, flags, &running);
	collect(h);
}

static void on_timer(void *arg)
{
	struct http *h = arg;
	int running;

	loop_note(h->loop, "curl");
	curl_multi_socket_action(h->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	collect(h);
}

static void sock_listen(struct sock *s, curl_socket_t fd, short events)
{
	if (events == s->armed)
		return;
	event_del(s->event);
	s->armed = events;
	if (events) {
		event_assign(s->event, loop_base(s->h->loop), fd, events | EV_PERSIST, on_socket, s);
		event_add(s->event, NULL);
	}
}

static struct sock *sock_of(struct http *h, curl_socket_t fd)
{
	return (size_t)fd < h->nsocks ? h->socks[fd] : NULL;
}

static struct sock *sock_new(struct http *h, curl_socket_t fd)
{
	struct sock *s = mem_zalloc(sizeof(*s));
	size_t n = (size_t)fd + 1;

	if (n > h->nsocks) {
		h->socks = mem_realloc(h->socks, n * sizeof(struct sock *));
		memset(h->socks + h->nsocks, 0, (n - h->nsocks) * sizeof(struct sock *));
		h->nsocks = n;
	}
	s->h = h;
	s->event = event_new(loop_base(h->loop), fd, EV_PERSIST, on_socket, s);
	ENSURE(s->event);
	return h->socks[fd] = s;
}

static void sock_free(struct http *h, curl_socket_t fd)
{
	struct sock *s = sock_of(h, fd);

	if (!s)
		return;
	event_free(s->event);
	free(s);
	h->socks[fd] = NULL;
}

/* Of what it has not yet talked over curl closes the socket without a word (on_close). */
static bool has_answered(CURL *e)
{
	const struct http_call *c = NULL;

	curl_easy_getinfo(e, CURLINFO_PRIVATE, (char **)&c);
	return c && c->head_complete;
}

static int on_curl_socket(CURL *e, curl_socket_t fd, int what, void *arg, void *assigned)
{
	struct http *h = arg;
	struct sock *s = sock_of(h, fd);

	(void)assigned;
	if (what != CURL_POLL_REMOVE) {
		s = s ? s : sock_new(h, fd);
		s->wanted = true;
		sock_listen(s, fd, (what & CURL_POLL_IN ? EV_READ : 0) | (what & CURL_POLL_OUT ? EV_WRITE : 0));
	} else if (s && has_answered(e)) {
		s->wanted = false;
		sock_listen(s, fd, s->armed & EV_READ);
	} else {
		sock_free(h, fd);
	}
	return 0;
}

static int on_close(void *arg, curl_socket_t fd)
{
	sock_free(arg, fd);
	return close(fd);
}

static int on_curl_timer(CURLM *multi, long ms, void *arg)
{
	struct http *h = arg;

	(void)multi;
	if (ms < 0)
		timer_stop(&h->timer);
	else
		timer_set(&h->timer, ms);
	return 0;
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

static bool is_loopback(const char *host)
{
	static const char *const names[] = {"localhost", "127.", "[::1]", NULL};
	size_t len = strcspn(host, "/?#");
	const char *at = memchr(host, '@', len);

	host = at ? at + 1 : host;
	for (const char *const *n = names; *n; n++) {
		if (strncasecmp(host, *n, strlen(*n)) == 0)
			return true;
	}
	return false;
}

static void target_release(struct http *h, struct target *t)
{
	for (unsigned i = 0; i < h->nidle; i++) {
		if (h->idle[i].target == t)
			handle_forget_target(&h->idle[i]);
	}
	curl_url_cleanup(t->parts);
	curl_free(t->origin);
	free(t->path);
	free(t->url);
	*t = (struct target){0};
}

/* Takes path and query out of the parts. */
static char *cut_path(CURLU *parts)
{
	char *path, *query = NULL;
	struct buf whole;

	ENSURE(curl_url_get(parts, CURLUPART_PATH, &path, 0) == CURLUE_OK);
	(void)curl_url_get(parts, CURLUPART_QUERY, &query, 0);
	buf_init(&whole, SIZE_MAX / 4);
	buf_addf(&whole, "%s%s%s", path, query ? "?" : "", query ? query : "");
	curl_free(path);
	curl_free(query);
	ENSURE(curl_url_set(parts, CURLUPART_PATH, "/", 0) == CURLUE_OK);
	curl_url_set(parts, CURLUPART_QUERY, NULL, 0);
	curl_url_set(parts, CURLUPART_FRAGMENT, NULL, 0);
	return whole.ptr;
}

/* NULL: it cannot be taken apart, or all places are in use. */
static struct target *target_of(struct http *h, const char *url)
{
	struct target *t;
	CURLU *parts;

	for (t = h->targets; t < h->targets + TARGETS; t++)
		if (t->url && strcmp(t->url, url) == 0)
			return t;
	t = &h->targets[h->next_target++ % TARGETS];
	if (t->calls)
		return NULL;
	parts = curl_url();
	ENSURE(parts);
	if (curl_url_set(parts, CURLUPART_URL, url, 0) != CURLUE_OK) {
		curl_url_cleanup(parts);
		return NULL;
	}
	target_release(h, t);
	*t = (struct target){.url = mem_strdup(url), .parts = parts, .path = cut_path(parts)};
	ENSURE(curl_url_get(parts, CURLUPART_URL, &t->origin, 0) == CURLUE_OK);
	return t;
}

/* The environment's proxy is for the world outside: https, and not this machine. */
static void set_route(struct http_call *c, struct target *t, const char *url)
{
	bool https = strncasecmp(url, "https://", 8) == 0;
	CURL *e = c->handle.easy;

	if (t)
		t->calls++;
	if (t && t == c->handle.target)
		return;
	c->handle.target = t;
	curl_easy_setopt(e, CURLOPT_CURLU, t ? t->parts : NULL);
	curl_easy_setopt(e, CURLOPT_URL, t ? t->origin : url);
	curl_easy_setopt(e, CURLOPT_REQUEST_TARGET, t ? t->path : NULL);
	curl_easy_setopt(e, CURLOPT_PROXY, https && !is_loopback(url + 8) ? NULL : "");
	curl_easy_setopt(e, CURLOPT_NOPROXY, https ? NULL : "*"); /* else it looks for a list in the environment */
	curl_easy_setopt(e, CURLOPT_PIPEWAIT, https ? 1L : 0L);
}

struct http_call *http_send(struct http *h, const struct http_request *req, http_fn *fn, void *arg)
{
	struct http_call *c = mem_zalloc(sizeof(*c) + req->body.len + 1);
	long timeout = req->timeout_ms ? (long)req->timeout_ms : 1L;
	struct target *t =
	    target_of(h, req->url); /* before a handle is taken: those of one that makes room forget it */

	c->h = h;
	c->handle = handle_take(h, t);
	c->peer = req->peer;
	c->keep = req->keep;
	c->fn = fn;
	c->arg = arg;
	c->retry_after_ms = -1;
	buf_init(&c->body, h->opts.max_body);
	for (size_t i = 0; c->keep && c->keep[i]; i++)
		ENSURE(i < HTTP_KEEP_MAX);
	TAILQ_INSERT_TAIL(&h->active, c, link);
	set_route(c, t, req->url);
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
	timer_init(&h->timer, l, on_timer, h);
	h->user_agent = user_agent_line(opts->user_agent ? opts->user_agent : "shoal");
	h->common = curl_slist_append(curl_slist_append(NULL, "Content-Type: application/json"), h->user_agent);
	h->multi = curl_multi_init();
	ENSURE(h->multi && h->common);
	curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket);
	curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
	curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer);
	curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
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
	while (h->nidle)
		curl_easy_cleanup(h->idle[--h->nidle].easy);
	curl_multi_cleanup(h->multi);
	for (size_t fd = 0; fd < h->nsocks; fd++)
		sock_free(h, (curl_socket_t)fd);
	free(h->socks);
	for (struct target *t = h->targets; t < h->targets + TARGETS; t++)
		target_release(h, t);
	curl_slist_free_all(h->common);
	timer_release(&h->timer);
	free(h->user_agent);
	free(h);
}
