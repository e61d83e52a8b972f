#include "shoal/worker/responder.h"

#include <stdlib.h>

#include "shoal/base/json.h"
#include "shoal/base/log.h"
#include "shoal/worker/reach.h"
#include "shoal/worker/worker.h"

#define REQUEST_MAX (1 << 20)

struct asked {
	struct reach *reach;
	struct arena *arena;
	const struct trace *trace;
	void (*fn)(void *arg, const char *answer);
	void *arg;
};

static const char *content_of(struct arena *a, struct span body)
{
	const char *why = NULL;
	const cJSON *choices = json_arr(json_parse(a, body, &why), "choices");
	const char *text = json_str(json_obj(cJSON_GetArrayItem(choices, 0), "message"), "content");
	return text && *text ? text : NULL;
}

static void answered(void *arg, enum err err, const struct http_response *res)
{
	static int64_t last;
	static unsigned suppressed;
	struct asked ask = *(struct asked *)arg;
	free(arg);
	const char *answer = NULL;
	if (err == ERR_OK && res->status == 200)
		answer = content_of(ask.arena, res->body);
	reach_heard_responder(ask.reach, answer);
	if (!answer && log_due(&last, &suppressed))
		log_warn("the responder gave no answer", LOG_STR("trace_id", ask.trace->id),
		         LOG_STR("why", err_text(err)), LOG_INT("status", err == ERR_OK ? res->status : 0),
		         LOG_INT("suppressed", suppressed));
	ask.fn(ask.arg, answer);
}

static void message(struct json_writer *w, const char *role, const char *content)
{
	json_begin_obj(w);
	json_kv_str(w, "role", role);
	json_kv_str(w, "content", content);
	json_end_obj(w);
}

static bool too_long(const struct buf *body, const struct trace *trace)
{
	static int64_t last;
	static unsigned suppressed;
	if (body->failed && log_due(&last, &suppressed))
		log_warn("the question to the responder is too long: is the persona's prompt?",
		         LOG_STR("trace_id", trace->id), LOG_INT("bytes_max", REQUEST_MAX),
		         LOG_INT("suppressed", suppressed));
	return body->failed;
}

bool responder_ask(struct worker *w, const struct update *u, const struct facts *f, const struct trace *trace,
                   struct arena *a, void (*fn)(void *arg, const char *answer), void *arg)
{
	struct buf body;
	struct json_writer out;
	buf_init(&body, REQUEST_MAX);
	json_writer_init(&out, &body);
	json_begin_obj(&out);
	if (w->conf.responder_model)
		json_kv_str(&out, "model", w->conf.responder_model);
	json_key(&out, "messages");
	json_begin_arr(&out);
	if (f->persona.prompt)
		message(&out, "system", f->persona.prompt);
	for (size_t i = 0; i < f->history.n; i++)
		message(&out, f->history.lines[i].out ? "assistant" : "user", f->history.lines[i].text);
	message(&out, "user", update_line(u, a));
	json_end_arr(&out);
	json_end_obj(&out);

	if (too_long(&body, trace) || !reach_responder(w->reach)) {
		buf_release(&body);
		return false;
	}
	const struct trace own = trace_below(trace);
	char traceparent[TRACEPARENT_LEN + 1];
	trace_text(&own, traceparent);
	const char *headers[] = {"Content-Type: application/json", arena_printf(a, "traceparent: %s", traceparent),
	                         NULL, NULL};
	if (w->conf.responder_key)
		headers[2] = arena_printf(a, "Authorization: Bearer %s", w->conf.responder_key);
	struct asked *ask = mem_alloc(sizeof(*ask));
	*ask = (struct asked){w->reach, a, trace, fn, arg};
	struct http_request req = {.method = "POST",
	                           .url = w->conf.responder_url,
	                           .headers = headers,
	                           .body = buf_span(&body),
	                           .timeout_ms = (unsigned)w->conf.responder_timeout_s * 1000,
	                           .peer = "responder"};
	http_send(w->http, &req, answered, ask);
	buf_release(&body);
	return true;
}
