/* A look at the fleet for people: lines that fit a terminal. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "shoal/base/clock.h"
#include "shoal/base/log.h"
#include "shoal/cli/status.h"

enum { WORKERS_SHOWN = 12, LINE_MAX_BYTES = 1024, LISTED = 8, INDENT = 10 };

struct page {
	struct buf *out;
	struct arena *arena;
	size_t width, height, lines;
	bool styled, ascii;
};

enum style { PLAIN, HEAD, BAD };
static const char *const styles[] = {[PLAIN] = "", [HEAD] = "\033[1m", [BAD] = "\033[31m"};

static void put_line(struct page *p, enum style style, const char *text)
{
	const char *plain = out_plain(p->arena, text); /* ids and errors are others' words */
	struct span s;

	if (p->height > 0 && p->lines == p->height)
		return;
	p->lines++;
	s = out_cut(span_of(plain), p->width);
	if (p->styled && style != PLAIN)
		buf_adds(p->out, styles[style]);
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];

		if (c < 0x80 || !p->ascii)
			buf_addc(p->out, (char)c);
		else if (c >= 0xC0)
			buf_addc(p->out, '?');
	}
	if (p->styled && style != PLAIN)
		buf_adds(p->out, "\033[0m");
	buf_addc(p->out, '\n');
}

static void line(struct page *p, enum style style, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void line(struct page *p, enum style style, const char *fmt, ...)
{
	char text[LINE_MAX_BYTES];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	put_line(p, style, text);
}

/* --- numbers, short enough for a column */

static const char *ms_text(struct arena *a, double ms)
{
	if (ms < 10)
		return arena_printf(a, "%.1f ms", ms);
	if (ms < 10000)
		return arena_printf(a, "%.0f ms", ms);
	return arena_printf(a, "%.1f s", ms / 1e3);
}

static const char *age_text(struct arena *a, int64_t ms)
{
	if (ms < 0)
		return "-";
	if (ms < 60000)
		return arena_printf(a, "%.1f s", (double)ms / 1e3);
	if (ms < 7200000)
		return arena_printf(a, "%lld min", (long long)ms / 60000);
	return arena_printf(a, "%lld h", (long long)ms / 3600000);
}

static const char *quantile_text(struct arena *a, const struct latency *l, double q)
{
	return latency_count(l) ? ms_text(a, latency_quantile_ms(l, q)) : "-";
}

static const char *rate_text(struct arena *a, int64_t hits, int64_t asked)
{
	return asked ? arena_printf(a, "%.1f %%", (double)(hits * 1000 / asked) / 10) : "-";
}

/* --- the parts */

static void put_head(struct page *p, const struct status *s)
{
	char at[32];

	clock_rfc3339(s->at_ms, at, sizeof(at));
	at[10] = ' ';
	at[19] = '\0';
	if (!s->told) {
		line(p, HEAD, "Shoal  %s UTC   workers unknown", at);
		return;
	}
	line(p, HEAD, "Shoal  %s UTC   %zu workers   %.1f updates/s   p95 %s", at, s->workers.n, s->per_second,
	     quantile_text(p->arena, &s->performance.all, 0.95));
}

/* What is wrong shall be read to its end: over several lines. */
static void put_away(struct page *p, const struct status_server *server)
{
	struct span rest = span_of(out_plain(p->arena, arena_printf(p->arena, "%s: %s", server->name, server->why)));
	const char *head = "Away";
	size_t width = p->width > INDENT + 10 ? p->width - INDENT : 10;

	for (struct span part; rest.len > 0; rest = (struct span){rest.ptr + part.len, rest.len - part.len}) {
		part = out_cut(rest, width);
		if (part.len == 0)
			break;
		line(p, BAD, "%-*s%.*s", INDENT, head, (int)part.len, part.ptr);
		head = "";
	}
}

static void put_servers(struct page *p, const struct status *s)
{
	struct buf ok;

	buf_init(&ok, LINE_MAX_BYTES);
	for (size_t i = 0; i < s->nservers; i++)
		if (!s->servers[i].why)
			buf_addf(&ok, "   %s %s", s->servers[i].name, ms_text(p->arena, s->servers[i].ms));
	line(p, PLAIN, "Reached%.*s", (int)ok.len, ok.len ? ok.ptr : "");
	buf_release(&ok);
	for (size_t i = 0; i < s->nservers; i++)
		if (s->servers[i].why)
			put_away(p, &s->servers[i]);
}

static void put_numbers(struct page *p, const char *name, const struct queue_stats *q)
{
	line(p, q->dead > 0 ? BAD : PLAIN, "%-8s%9lld%10lld%10lld%10lld%10lld%10s%9lld", name, (long long)q->length,
	     (long long)(q->pending - q->waiting - q->due), (long long)q->waiting, (long long)q->due,
	     (long long)q->retrying, age_text(p->arena, q->oldest_ms), (long long)q->dead);
}

static bool queue_known(const struct status *s)
{
	unsigned known = 0;

	for (unsigned i = 0; i < s->nshards; i++)
		known += !s->servers[i].why;
	return known > 0;
}

static void put_queue(struct page *p, const struct status *s)
{
	const char *paused = s->total.paused;
	unsigned shown = 0;

	if (!queue_known(s))
		return;
	put_line(p, PLAIN, "");
	line(p, HEAD, "%-8s%9s%10s%10s%10s%10s%10s%9s", "Queue", "length", "in hand", "waiting", "due", "retrying",
	     "oldest", "dead");
	for (unsigned i = 0; i < s->nshards && s->nshards > 1 && shown < LISTED; i++)
		if (!s->servers[i].why) {
			put_numbers(p, arena_printf(p->arena, "%u", i), &s->shards[i]);
			shown++;
		}
	put_numbers(p, s->nshards > 1 ? "all" : "", &s->total);
	if (*paused)
		line(p, BAD, "Paused  %s", *paused == '*' ? "all bots" : paused);
}

/* Stages in the order of an update's way; those that nobody knows come at the end. */
static const char *const stage_names[] = {"decode", "acknowledge", "load", "decide", "commit", "reply"};
enum { STAGES = sizeof(stage_names) / sizeof(stage_names[0]) };

static const struct latency *stage_of(const struct status *s, const char *bot, const char *stage)
{
	static const struct latency none;
	const struct performance_lines *l = &s->performance.stages;

	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->v[i]->bot, bot) == 0 && strcmp(l->v[i]->name, stage) == 0)
			return &l->v[i]->took;
	return &none;
}

static void put_bots(struct page *p, const struct status *s)
{
	const struct performance_lines *bots = &s->performance.bots;

	if (bots->n == 0)
		return;
	put_line(p, PLAIN, "");
	line(p, HEAD, "%-14s%10s%10s%10s%10s   of the last %lld min", "Bot", "updates", "p50", "p95", "p99",
	     (long long)s->performance.window_s / 60);
	for (size_t i = 0; i < bots->n && i < LISTED; i++)
		line(p, PLAIN, "%-14.14s%10llu%10s%10s%10s", bots->v[i]->bot,
		     (unsigned long long)latency_count(&bots->v[i]->took),
		     quantile_text(p->arena, &bots->v[i]->took, 0.5), quantile_text(p->arena, &bots->v[i]->took, 0.95),
		     quantile_text(p->arena, &bots->v[i]->took, 0.99));
	line(p, HEAD, "%-14s%10s%12s%10s%10s%10s%10s", "p95 by stage", stage_names[0], stage_names[1], stage_names[2],
	     stage_names[3], stage_names[4], stage_names[5]);
	for (size_t i = 0; i < bots->n && i < LISTED; i++) {
		const char *t[STAGES];

		for (size_t k = 0; k < STAGES; k++)
			t[k] = quantile_text(p->arena, stage_of(s, bots->v[i]->bot, stage_names[k]), 0.95);
		line(p, PLAIN, "%-14.14s%10s%12s%10s%10s%10s%10s", bots->v[i]->bot, t[0], t[1], t[2], t[3], t[4], t[5]);
	}
}

static const char *text_of(const cJSON *worker, const char *name)
{
	const char *text = json_str(worker, name);

	return text ? text : "-";
}

static void put_workers(struct page *p, const struct status *s)
{
	size_t n = s->workers.n;

	put_line(p, PLAIN, "");
	if (n == 0) {
		put_line(p, BAD,
		         s->told ? "No worker is alive"
		                 : "Whether a worker is alive is not known: the caches are away");
		return;
	}
	line(p, HEAD, "%-34s%-10s%10s%11s%13s", "Worker", "state", "in hand", "per s", "done");
	for (size_t i = 0; i < n && i < WORKERS_SHOWN; i++) {
		const cJSON *w = s->workers.v[i];
		const char *state = text_of(w, "state");
		const char *hand = arena_printf(p->arena, "%lld/%lld", (long long)status_count(w, "in_flight"),
		                                (long long)status_count(w, "in_flight_max"));

		line(p, strcmp(state, "running") == 0 ? PLAIN : BAD, "%-33.33s %-10.10s%10s%11.1f%13lld",
		     text_of(w, "id"), state, hand, status_number(w, "per_second"), (long long)status_count(w, "done"));
	}
	if (n > WORKERS_SHOWN)
		line(p, PLAIN, "and %zu more: %lld running, %lld draining, %lld cut off of all", n - WORKERS_SHOWN,
		     (long long)beacons_in_state(&s->workers, "running"),
		     (long long)beacons_in_state(&s->workers, "draining"),
		     (long long)beacons_in_state(&s->workers, "cut off"));
}

static void put_caches(struct page *p, const struct status *s)
{
	if (s->workers.n == 0)
		return;
	put_line(p, PLAIN, "");
	line(p, HEAD, "%-14s%12s%12s%16s%12s%14s", "Cache", "memory hit", "Redis hit", "asked Postgres", "entries",
	     "bytes");
	for (int kind = 0; kind < CACHE_NAMED; kind++) {
		const struct cache_report *r = &s->caches[kind];

		line(p, PLAIN, "%-14s%12s%12s%16lld%12lld%14lld", cache_defs[kind].name,
		     rate_text(p->arena, r->layer[CACHE_MEMORY].hits, r->layer[CACHE_MEMORY].asked),
		     rate_text(p->arena, r->layer[CACHE_REDIS].hits, r->layer[CACHE_REDIS].asked),
		     (long long)r->layer[CACHE_POSTGRES].asked, (long long)r->entries, (long long)r->bytes);
	}
}

static void put_rest(struct page *p, const struct status *s)
{
	if (s->workers.n == 0)
		return;
	put_line(p, PLAIN, "");
	line(p, PLAIN, "Flood budget   %lld wait for it; %lld waits since the workers began",
	     (long long)s->flood_waiting, (long long)s->flood_waits);
	line(p, HEAD, "%-16s%-18s%12s%10s", "Job", "last ended", "runs", "failed");
	for (size_t i = 0; i < s->njobs; i++) {
		const struct status_job *j = &s->jobs[i];
		const char *when =
		    j->running ? "running"
		    : j->ended_ms > 0
		        ? arena_printf(p->arena, "%s ago",
		                       age_text(p->arena, s->at_ms > j->ended_ms ? s->at_ms - j->ended_ms : 0))
		        : "-";

		line(p, j->failed > 0 ? BAD : PLAIN, "%-16.16s%-18s%12lld%10lld", j->name, when,
		     (long long)(j->done + j->failed), (long long)j->failed);
	}
}

void status_text(const struct status *s, struct buf *out, size_t width, size_t height, bool styled)
{
	struct page p = {
	    .out = out, .arena = s->arena, .width = width, .height = height, .styled = styled, .ascii = !log_utf8()};

	put_head(&p, s);
	put_servers(&p, s);
	put_queue(&p, s);
	put_bots(&p, s);
	put_workers(&p, s);
	put_caches(&p, s);
	put_rest(&p, s);
}

static const char *workers_words(const struct status *s)
{
	if (!s->told)
		return "workers unknown";
	return arena_printf(s->arena, "workers %zu, %.1f/s, p95 %s, in hand %lld/%lld", s->workers.n, s->per_second,
	                    quantile_text(s->arena, &s->performance.all, 0.95), (long long)s->in_flight,
	                    (long long)s->in_flight_max);
}

static const char *queue_words(const struct status *s)
{
	const struct queue_stats *q = &s->total;

	if (!queue_known(s))
		return "queue unknown";
	return arena_printf(s->arena, "queue %lld, oldest %s, waiting %lld, retrying %lld, dead %lld%s%s",
	                    (long long)q->length, age_text(s->arena, q->oldest_ms), (long long)q->waiting,
	                    (long long)q->retrying, (long long)q->dead, *q->paused ? ", paused " : "",
	                    *q->paused == '*' ? "all" : q->paused);
}

void status_line(const struct status *s, struct buf *out)
{
	struct page p = {.out = out, .arena = s->arena, .width = SIZE_MAX, .ascii = !log_utf8()};
	char at[32];

	clock_rfc3339(s->at_ms, at, sizeof(at));
	line(&p, PLAIN, "%s %s, %s", at, workers_words(s), queue_words(s));
	for (size_t i = 0; i < s->nservers; i++)
		if (s->servers[i].why)
			line(&p, PLAIN, "%s cannot reach %s: %s", at, s->servers[i].name, s->servers[i].why);
}
