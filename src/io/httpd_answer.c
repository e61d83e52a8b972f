/* What the server writes: answers of the handler, refusals of its own, answers without an end. */
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "shoal/base/clock.h"
#include "shoal/base/json.h"
#include "shoal/io/httpd_conn.h"

#define ERROR_BODY_MAX 4096
#define STREAM_BACKLOG_MAX (256u << 10) /* bytes that a client has not read yet */

static void add_date(struct httpd *h, struct buf *out)
{
	time_t now = (time_t)(clock_wall_ms() / 1000);
	struct tm tm;

	if (now != h->dated) {
		gmtime_r(&now, &tm);
		if (!strftime(h->date, sizeof(h->date), "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &tm))
			h->date[0] = '\0';
		h->dated = now;
	}
	buf_adds(out, h->date);
}

static void add_header(struct buf *out, const char *name, const char *value)
{
	buf_adds(out, name);
	buf_add(out, ": ", 2);
	buf_adds(out, value);
	buf_add(out, "\r\n", 2);
}

static bool header_safe(const char *s)
{
	return s[strcspn(s, "\r\n")] == '\0';
}

static void add_headers(struct buf *out, const char *const *headers)
{
	for (; headers && headers[0]; headers += 2) {
		if (header_safe(headers[0]) && header_safe(headers[1]))
			add_header(out, headers[0], headers[1]);
	}
}

/* length: of the body; below 0: it ends with the connection. */
static void add_head(struct httpd_conn *c, int status, const char *content_type, ssize_t length,
                     const char *const *headers)
{
	struct buf *out = &c->out;
	char number[I64_TEXT_LEN];

	buf_adds(out, "HTTP/1.1 ");
	buf_add_i64(out, status);
	buf_addc(out, ' ');
	buf_adds(out, http_status_text(status));
	buf_add(out, "\r\n", 2);
	add_date(c->h, out);
	if (status != 204 && status != 304) {
		if (content_type)
			add_header(out, "Content-Type", content_type);
		if (length >= 0)
			add_header(out, "Content-Length", i64_text(number, length).ptr);
	}
	add_headers(out, c->h->opts.headers);
	add_headers(out, headers);
	add_header(out, "Connection", c->keep_alive ? "keep-alive" : "close");
	buf_add(out, "\r\n", 2);
}

/* What comes next may be a call of the handler, and so not from here. */
static void send_answer(struct httpd_conn *c)
{
	httpd_conn_enter(c, CONN_WRITING);
	if (!httpd_wire_flush(c))
		return;
	if (c->keep_alive && c->h->listener && !c->eof && c->unread.len == 0)
		httpd_conn_enter(c, CONN_HEAD);
	else
		loop_defer(c->h->loop, &c->go_on);
}

static void answer(struct httpd_conn *c, int status, const char *content_type, struct span body,
                   const char *const *headers, bool head_only)
{
	bool bodiless = status == 204 || status == 304;

	add_head(c, status, content_type, (ssize_t)body.len, headers);
	if (!bodiless && !head_only)
		buf_add(&c->out, body.ptr, body.len);
	send_answer(c);
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
		setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
		httpd_conn_enter(c, CONN_LINGERING);
		httpd_conn_due(c, clock_ms()); /* not here: the handler may have been called for its input */
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
	loop_defer(c->h->loop, &c->go_on);
}

bool httpd_stream_send(struct httpd_request *r, struct span text)
{
	struct httpd_conn *c = r->conn;

	if (!c)
		return false;
	ENSURE(c->state == CONN_STREAMING);
	if (httpd_wire_unsent(c) + text.len > STREAM_BACKLOG_MAX)
		return false;
	buf_add(&c->out, text.ptr, text.len);
	loop_defer(c->h->loop, &c->go_on);
	return true;
}

void httpd_stream_end(struct httpd_request *r)
{
	struct httpd_conn *c = r->conn;

	if (c && c->state == CONN_STREAMING) {
		c->r = NULL;
		send_answer(c);
	}
	httpd_request_free(r);
}
