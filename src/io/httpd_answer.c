/* What the server writes: answers of the handler, refusals of its own, answers without an end. */
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "shoal/base/clock.h"
#include "shoal/base/json.h"
#include "shoal/io/httpd_conn.h"

#define ERROR_BODY_MAX 4096
#define STREAM_BACKLOG_MAX (256u << 10) /* bytes that a client has not read yet */

static void add_date(struct evbuffer *out)
{
	char text[64];
	time_t now = (time_t)(clock_wall_ms() / 1000);
	struct tm tm;

	gmtime_r(&now, &tm);
	if (strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &tm))
		evbuffer_add_printf(out, "Date: %s\r\n", text);
}

static bool header_safe(const char *s)
{
	return s[strcspn(s, "\r\n")] == '\0';
}

static void add_headers(struct evbuffer *out, const char *const *headers)
{
	for (; headers && headers[0]; headers += 2) {
		if (header_safe(headers[0]) && header_safe(headers[1]))
			evbuffer_add_printf(out, "%s: %s\r\n", headers[0], headers[1]);
	}
}

/* length: of the body; below 0: it ends with the connection. */
static void add_head(struct httpd_conn *c, int status, const char *content_type, ssize_t length,
                     const char *const *headers)
{
	struct evbuffer *out = bufferevent_get_output(c->bev);

	evbuffer_add_printf(out, "HTTP/1.1 %d %s\r\n", status, http_status_text(status));
	add_date(out);
	if (status != 204 && status != 304) {
		if (content_type)
			evbuffer_add_printf(out, "Content-Type: %s\r\n", content_type);
		if (length >= 0)
			evbuffer_add_printf(out, "Content-Length: %zd\r\n", length);
	}
	add_headers(out, c->h->opts.headers);
	add_headers(out, headers);
	evbuffer_add_printf(out, "Connection: %s\r\n\r\n", c->keep_alive ? "keep-alive" : "close");
}

static void answer(struct httpd_conn *c, int status, const char *content_type, struct span body,
                   const char *const *headers, bool head_only)
{
	bool bodiless = status == 204 || status == 304;

	add_head(c, status, content_type, (ssize_t)body.len, headers);
	if (!bodiless && !head_only && body.len)
		evbuffer_add(bufferevent_get_output(c->bev), body.ptr, body.len);
	httpd_conn_enter(c, CONN_WRITING);
}

static const char *error_body(struct buf *b, const char *code, const char *message)
{
	struct json_writer w;

	json_writer_init(&w, b);
	json_begin_obj(&w);
	json_key(&w, "error");
	json_begin_obj(&w);
	json_kv_str(&w, "code", code);
	json_kv_str(&w, "message", message);
	json_end_obj(&w);
	json_end_obj(&w);
	return "application/json";
}

/* Refuses what did not become a request for the handler, and reads no further request from this client. */
void httpd_conn_refuse(struct httpd_conn *c, int status)
{
	static const struct {
		int status;
		const char *code, *message;
	} reasons[] = {
	    {408, "timeout", "the request did not arrive in time"},
	    {413, "too_long", "the body is too long"},
	    {417, "expectation", "only 100-continue can be expected"},
	    {431, "headers_too_long", "the request line and headers are too long"},
	    {501, "not_implemented", "this method or transfer encoding is not known here"},
	    {505, "version", "HTTP/1.1 is spoken here"},
	    {400, "bad_request", "this is not a well-formed HTTP request"},
	};
	struct buf body;
	size_t i = 0;

	while (reasons[i].status != status && reasons[i].status != 400)
		i++;
	buf_init(&body, ERROR_BODY_MAX);
	c->keep_alive = false;
	c->discard = true;
	const char *type = error_body(&body, reasons[i].code, reasons[i].message);
	bool head_only = c->r && strcmp(c->r->head.method, "HEAD") == 0;
	answer(c, status, type, buf_span(&body), NULL, head_only);
	buf_release(&body);
	if (c->r)
		httpd_request_free(c->r);
	c->r = NULL;
}

void httpd_reply(struct httpd_request *r, int status, const char *content_type, struct span body,
                 const char *const *headers)
{
	struct httpd_conn *c = r->conn;

	ENSURE(r->handled);
	if (c) {
		c->r = NULL;
		if (c->h->winding_down)
			c->keep_alive = false;
		answer(c, status, content_type, body, headers, strcmp(r->head.method, "HEAD") == 0);
	}
	httpd_request_free(r);
}

void httpd_reply_error(struct httpd_request *r, int status, const char *code, const char *message)
{
	struct buf body;

	buf_init(&body, ERROR_BODY_MAX + 8 * strlen(message));
	const char *type = error_body(&body, code, message);
	httpd_reply(r, status, type, buf_span(&body), NULL);
	buf_release(&body);
}

void httpd_drop(struct httpd_request *r)
{
	struct httpd_conn *c = r->conn;
	struct linger hard = {.l_onoff = 1};

	ENSURE(r->handled);
	if (c) {
		c->r = NULL;
		setsockopt(bufferevent_getfd(c->bev), SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
		httpd_conn_enter(c, CONN_LINGERING);
		timer_set(&c->deadline, 0); /* not here: the handler may have been called from conn_read */
	}
	httpd_request_free(r);
}

/* --- an answer without an end */

void httpd_stream_begin(struct httpd_request *r, const char *content_type, const char *const *headers)
{
	struct httpd_conn *c = r->conn;

	ENSURE(r->handled);
	if (!c)
		return;
	ENSURE(c->state == CONN_HANDLING);
	c->keep_alive = false;
	add_head(c, 200, content_type, -1, headers);
	httpd_conn_enter(c, CONN_STREAMING);
}

bool httpd_stream_send(struct httpd_request *r, struct span text)
{
	struct evbuffer *out;

	if (!r->conn)
		return false;
	ENSURE(r->conn->state == CONN_STREAMING);
	out = bufferevent_get_output(r->conn->bev);
	if (evbuffer_get_length(out) + text.len > STREAM_BACKLOG_MAX)
		return false;
	evbuffer_add(out, text.ptr, text.len);
	return true;
}

void httpd_stream_end(struct httpd_request *r)
{
	struct httpd_conn *c = r->conn;

	if (c && c->state == CONN_STREAMING) {
		c->r = NULL;
		httpd_conn_enter(c, CONN_WRITING);
		if (evbuffer_get_length(bufferevent_get_output(c->bev)) == 0)
			timer_set(&c->deadline, 0); /* nothing more will be written */
	}
	httpd_request_free(r);
}
