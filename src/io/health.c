/* /healthz, /readyz and /metrics. */
#include "shoal/io/health.h"

#include <stdlib.h>
#include <string.h>

#include "shoal/base/json.h"
#include "shoal/base/metrics.h"

#define SILENT_MAX_MS 10000
#define METRICS_MAX (8u << 20)
#define ANSWER_MAX (64u << 10)

enum check_kind { CHECK_READY, CHECK_NOTE, CHECK_ALIVE };

struct check {
	enum check_kind kind;
	const char *name;
	health_fn *fn;
	void *arg;
};

struct health {
	struct loop *loop;
	struct httpd *httpd;
	struct check *checks;
	unsigned nchecks, room;
};

/* {"ready":false,"checks":{"redis":"ok","postgres":"no connection"}} */
static void answer_checks(struct health *h, struct httpd_request *r, enum check_kind kind, const char *word)
{
	struct buf checks, out;
	struct json_writer w;
	bool good = true;

	buf_init(&checks, ANSWER_MAX);
	json_writer_init(&w, &checks);
	json_begin_obj(&w);
	for (unsigned i = 0; i < h->nchecks; i++) {
		const struct check *c = &h->checks[i];
		bool note = c->kind == CHECK_NOTE && kind == CHECK_READY;
		if (c->kind != kind && !note)
			continue;
		const char *reason = c->fn(c->arg);
		json_kv_str(&w, c->name, reason ? reason : "ok");
		good = good && (note || !reason);
	}
	json_end_obj(&w);
	buf_init(&out, 2 * ANSWER_MAX);
	json_writer_init(&w, &out);
	json_begin_obj(&w);
	json_kv_bool(&w, word, good);
	json_key(&w, "checks");
	json_put_raw(&w, checks.failed ? SPAN("{}") : buf_span(&checks));
	json_end_obj(&w);
	httpd_reply(r, good ? 200 : 503, "application/json", buf_span(&out), NULL);
	buf_release(&checks);
	buf_release(&out);
}

static void answer_healthz(struct health *h, struct httpd_request *r)
{
	answer_checks(h, r, CHECK_ALIVE, "alive");
}

static void answer_readyz(struct health *h, struct httpd_request *r)
{
	answer_checks(h, r, CHECK_READY, "ready");
}

void health_answer_metrics(struct httpd_request *r)
{
	struct buf out;

	buf_init(&out, METRICS_MAX);
	metrics_render(&out);
	if (out.failed)
		httpd_reply_error(r, 500, "too_long", "the metrics do not fit");
	else
		httpd_reply(r, 200, "text/plain; version=0.0.4; charset=utf-8", buf_span(&out), NULL);
	buf_release(&out);
}

static void answer_metrics(struct health *h, struct httpd_request *r)
{
	(void)h;
	health_answer_metrics(r);
}

static void handle(void *arg, struct httpd_request *r)
{
	static const struct {
		const char *path;
		void (*fn)(struct health *h, struct httpd_request *r);
	} pages[] = {
	    {"/healthz", answer_healthz},
	    {"/readyz", answer_readyz},
	    {"/metrics", answer_metrics},
	};

	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
		if (strcmp(httpd_path(r), pages[i].path) != 0)
			continue;
		if (strcmp(httpd_method(r), "GET") != 0 && strcmp(httpd_method(r), "HEAD") != 0)
			httpd_reply_error(r, 405, "method", "only GET is answered here");
		else
			pages[i].fn(arg, r);
		return;
	}
	httpd_reply_error(r, 404, "not_found", "there are /healthz, /readyz and /metrics");
}

static const char *loop_turns(void *arg)
{
	const struct health *h = arg;

	return loop_silent_ms(h->loop) > SILENT_MAX_MS ? "the event loop hangs" : NULL;
}

struct health *health_open(struct loop *l, const char *listen, struct arena *a, const char **why)
{
	struct httpd_opts opts = {
	    .listen = listen,
	    .variable = "SHOAL_METRICS_LISTEN",
	    .max_body = 1024,
	    .max_headers = 8192,
	    .max_connections = 64,
	    .timeout_s = 10,
	    .handle = handle,
	};

	*why = NULL;
	if (strcmp(listen, "0") == 0)
		return NULL;
	struct health *h = mem_zalloc(sizeof(*h));
	h->loop = l;
	opts.arg = h;
	h->httpd = httpd_open(l, &opts, a, why);
	if (!h->httpd) {
		free(h);
		return NULL;
	}
	health_alive(h, "loop", loop_turns, h);
	return h;
}

void health_close(struct health *h)
{
	if (!h)
		return;
	httpd_free(h->httpd);
	free(h->checks);
	free(h);
}

unsigned health_port(const struct health *h)
{
	return h ? httpd_port(h->httpd) : 0;
}

static void add(struct health *h, enum check_kind kind, const char *name, health_fn *fn, void *arg)
{
	if (!h)
		return;
	if (h->nchecks == h->room) {
		h->room = h->room ? 2 * h->room : 16;
		h->checks = mem_realloc(h->checks, h->room * sizeof(*h->checks));
	}
	h->checks[h->nchecks++] = (struct check){kind, name, fn, arg};
}

void health_check(struct health *h, const char *name, health_fn *fn, void *arg)
{
	add(h, CHECK_READY, name, fn, arg);
}

void health_note(struct health *h, const char *name, health_fn *fn, void *arg)
{
	add(h, CHECK_NOTE, name, fn, arg);
}

void health_alive(struct health *h, const char *name, health_fn *fn, void *arg)
{
	add(h, CHECK_ALIVE, name, fn, arg);
}
