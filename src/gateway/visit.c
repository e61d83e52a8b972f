#include "shoal/gateway/visit.h"

#include "shoal/base/json.h"

const struct trace *visit_trace(const struct visit *v)
{
	struct trace *t = arena_new(httpd_arena(v->r), struct trace);

	trace_continue(t, httpd_header_once(v->r, "traceparent"));
	return t;
}

static void count(const struct visit *v, int status)
{
	char word[I64_TEXT_LEN];

	series_add(SERIES(v->requests, v->label, i64_text(word, status).ptr), 1);
}

void visit_answer(const struct visit *v, struct span body)
{
	count(v, 200);
	httpd_reply(v->r, 200, "application/json", body, NULL);
}

void visit_refuse(const struct visit *v, int status, const char *code, const char *message, const char *const *headers)
{
	struct buf b;
	struct json_writer w;

	count(v, status);
	buf_init(&b, 4096);
	json_writer_init(&w, &b);
	json_begin_obj(&w);
	json_key(&w, "error");
	json_begin_obj(&w);
	json_kv_str(&w, "code", code);
	json_kv_str(&w, "message", message);
	json_end_obj(&w);
	json_end_obj(&w);
	httpd_reply(v->r, status, "application/json", buf_span(&b), headers);
	buf_release(&b);
}
