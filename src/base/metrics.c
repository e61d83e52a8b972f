#include "shoal/base/metrics.h"

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shoal/base/arena.h"
#include "shoal/base/err.h"

enum { MAX_LABELS = 4, MAX_SERIES = 512, BUCKETS = 256, RECENT = 256 };

enum metric_type { COUNTER, GAUGE, HISTOGRAM };
static const char *const type_names[] = {"counter", "gauge", "histogram"};

static const double seconds_bounds[] = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.05,
                                        0.1,    0.25,    0.5,    1,     2.5,    5,     10,   30};

struct series {
	struct series *next;    /* in the order of their making */
	struct series *chained; /* in one hash bucket */
	struct metric *metric;
	uint64_t hash;
	char *values[MAX_LABELS];
	double value;     /* counter, gauge; histogram: the sum */
	uint64_t count;   /* histogram */
	uint64_t *counts; /* histogram: one per bound, not cumulated; what is above all is only in count */
};

struct metric {
	struct metric *next;
	enum metric_type type;
	const char *name, *help;
	struct span labels[MAX_LABELS];
	size_t nlabels;
	double *bounds;
	size_t nbounds;
	struct series *first, **last;
	struct series *buckets[BUCKETS];
	size_t nseries;
};

struct hook {
	struct hook *next;
	void (*fn)(void *);
	void *arg;
};

/* Metrics are of the process, as their names say. */
static struct metric *all, **all_last = &all;
static struct hook *hooks, **hooks_last = &hooks;

static void split_labels(struct metric *m, const char *labels)
{
	while (*labels) {
		size_t len = strcspn(labels, ",");

		ENSURE(m->nlabels < MAX_LABELS && len > 0);
		m->labels[m->nlabels++] = (struct span){labels, len};
		labels += len + (labels[len] == ',');
	}
}

static struct metric *find_or_make(enum metric_type type, const char *name, const char *labels, const char *help)
{
	struct metric *m;

	for (m = all; m; m = m->next) {
		if (strcmp(m->name, name) == 0) {
			ENSURE(m->type == type);
			return m;
		}
	}
	m = mem_zalloc(sizeof(*m));
	m->type = type;
	m->name = name;
	m->help = help;
	m->last = &m->first;
	split_labels(m, labels);
	*all_last = m;
	all_last = &m->next;
	return m;
}

struct metric *metric_counter(const char *name, const char *labels, const char *help)
{
	return find_or_make(COUNTER, name, labels, help);
}

struct metric *metric_gauge(const char *name, const char *labels, const char *help)
{
	return find_or_make(GAUGE, name, labels, help);
}

struct metric *metric_histogram(const char *name, const char *labels, const char *help, const double *bounds,
                                unsigned nbounds)
{
	struct metric *m = find_or_make(HISTOGRAM, name, labels, help);

	if (m->bounds)
		return m;
	if (!bounds) {
		bounds = seconds_bounds;
		nbounds = sizeof(seconds_bounds) / sizeof(seconds_bounds[0]);
	}
	m->bounds = mem_zalloc(nbounds * sizeof(*bounds));
	m->nbounds = nbounds;
	for (unsigned i = 0; i < nbounds; i++) {
		ENSURE(i == 0 || bounds[i] > bounds[i - 1]);
		m->bounds[i] = bounds[i];
	}
	return m;
}

/* --- series */

static uint64_t hash_values(const char *const *values, size_t n)
{
	uint64_t h = 14695981039346656037u; /* FNV-1a, the NULs included */

	for (size_t i = 0; i < n; i++) {
		const char *p = values[i];

		do {
			h = (h ^ (unsigned char)*p) * 1099511628211u;
		} while (*p++);
	}
	return h;
}

static bool has_values(const struct series *s, const char *const *values)
{
	size_t i = 0;

	while (i < s->metric->nlabels && strcmp(s->values[i], values[i]) == 0)
		i++;
	return i == s->metric->nlabels;
}

static struct series *find_series(const struct metric *m, const char *const *values, uint64_t hash)
{
	for (struct series *s = m->buckets[hash % BUCKETS]; s; s = s->chained) {
		if (s->hash == hash && has_values(s, values))
			return s;
	}
	return NULL;
}

static struct series *add_series(struct metric *m, const char *const *values, uint64_t hash)
{
	struct series *s = mem_zalloc(sizeof(*s));

	s->metric = m;
	s->hash = hash;
	for (size_t i = 0; i < m->nlabels; i++)
		s->values[i] = mem_strdup(values[i]);
	if (m->type == HISTOGRAM)
		s->counts = mem_zalloc(m->nbounds * sizeof(*s->counts));
	s->chained = m->buckets[hash % BUCKETS];
	m->buckets[hash % BUCKETS] = s;
	*m->last = s;
	m->last = &s->next;
	m->nseries++;
	return s;
}

/* Where a series that was asked for lately may be: most callers give the same literals and names each time, so their
 * addresses tell where to look, and a look tells whether it is the one. */
static struct series **recent_place(const struct metric *m, const char *const *values, size_t n)
{
	static struct series *recent[RECENT];
	uintptr_t h = (uintptr_t)m / 16;

	for (size_t i = 0; i < n; i++)
		h = h * 31 + (uintptr_t)values[i];
	return &recent[(h ^ h >> 8 ^ h >> 16) % RECENT];
}

struct series *metric_series(struct metric *m, ...)
{
	static const char *const others[MAX_LABELS] = {"other", "other", "other", "other"};
	const char *values[MAX_LABELS + 1];
	const char *const *use = values;
	struct series *s, **recent;
	uint64_t hash;
	va_list ap;
	size_t n = 0;

	va_start(ap, m);
	while (n <= MAX_LABELS && (values[n] = va_arg(ap, const char *)) != NULL)
		n++;
	va_end(ap);
	if (n != m->nlabels)
		BUG("metric %s takes %zu label values, not %zu", m->name, m->nlabels, n);
	recent = recent_place(m, values, n);
	if (*recent && (*recent)->metric == m && has_values(*recent, values))
		return *recent;
	hash = hash_values(values, n);
	s = find_series(m, values, hash);
	if (s)
		return *recent = s;
	/* The last place is kept for what finds no place. */
	if (n > 0 && m->nseries >= MAX_SERIES - 1) {
		use = others;
		hash = hash_values(others, n);
		s = find_series(m, others, hash);
	}
	return s ? s : add_series(m, use, hash);
}

void series_add(struct series *s, double n)
{
	ENSURE(s->metric->type == GAUGE || (s->metric->type == COUNTER && n >= 0));
	s->value += n;
}

void series_set(struct series *s, double v)
{
	ENSURE(s->metric->type != HISTOGRAM);
	s->value = v;
}

void series_observe(struct series *s, double v)
{
	const struct metric *m = s->metric;
	size_t low = 0, high = m->nbounds;

	ENSURE(m->type == HISTOGRAM);
	if (isnan(v))
		return;
	/* The first bound that v does not exceed. */
	while (low < high) {
		size_t middle = (low + high) / 2;

		if (v <= m->bounds[middle])
			high = middle;
		else
			low = middle + 1;
	}
	if (low < m->nbounds)
		s->counts[low]++;
	s->count++;
	s->value += v;
}

double series_value(const struct series *s)
{
	return s->metric->type == HISTOGRAM ? (double)s->count : s->value;
}

/* --- the text */

static void add_number(struct buf *out, double v)
{
	char text[32];

	if (!isfinite(v)) {
		buf_adds(out, isnan(v) ? "NaN" : v > 0 ? "+Inf" : "-Inf");
		return;
	}
	snprintf(text, sizeof(text), "%.15g", v);
	if (strtod(text, NULL) != v)
		snprintf(text, sizeof(text), "%.17g", v);
	buf_adds(out, text);
}

/* Label values also have their quotes escaped, help texts not (exposition format 0.0.4). */
static void add_escaped(struct buf *out, struct span s, bool quotes)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];

		if (c == '\n')
			buf_adds(out, "\\n");
		else if (c == '\\' || (quotes && c == '"'))
			buf_add(out, (const char[]){'\\', c}, 2);
		else
			buf_addc(out, c);
	}
}

static void add_label_value(struct buf *out, const char *value)
{
	struct buf clean;

	buf_init(&clean, SIZE_MAX / 4);
	buf_add_utf8(&clean, span_of(value));
	add_escaped(out, buf_span(&clean), true);
	buf_release(&clean);
}

/* name_suffix{labels,le="..."}, then a space */
static void add_name(struct buf *out, const struct series *s, const char *suffix, const double *le)
{
	const struct metric *m = s->metric;

	buf_adds(out, m->name);
	buf_adds(out, suffix);
	if (m->nlabels > 0 || le) {
		buf_addc(out, '{');
		for (size_t i = 0; i < m->nlabels; i++) {
			if (i > 0)
				buf_addc(out, ',');
			buf_add(out, m->labels[i].ptr, m->labels[i].len);
			buf_adds(out, "=\"");
			add_label_value(out, s->values[i]);
			buf_addc(out, '"');
		}
		if (le) {
			buf_adds(out, m->nlabels > 0 ? ",le=\"" : "le=\"");
			add_number(out, *le);
			buf_addc(out, '"');
		}
		buf_addc(out, '}');
	}
	buf_addc(out, ' ');
}

static void add_count(struct buf *out, uint64_t n)
{
	buf_add_i64(out, (int64_t)n);
	buf_addc(out, '\n');
}

static void render_histogram(struct buf *out, const struct series *s)
{
	const double infinity = HUGE_VAL;
	uint64_t sum = 0;

	for (size_t i = 0; i < s->metric->nbounds; i++) {
		sum += s->counts[i];
		add_name(out, s, "_bucket", &s->metric->bounds[i]);
		add_count(out, sum);
	}
	add_name(out, s, "_bucket", &infinity);
	add_count(out, s->count);
	add_name(out, s, "_sum", NULL);
	add_number(out, s->value);
	buf_addc(out, '\n');
	add_name(out, s, "_count", NULL);
	add_count(out, s->count);
}

static void render_series(struct buf *out, const struct series *s)
{
	if (s->metric->type == HISTOGRAM) {
		render_histogram(out, s);
		return;
	}
	add_name(out, s, "", NULL);
	add_number(out, s->value);
	buf_addc(out, '\n');
}

void metrics_on_render(void (*fn)(void *), void *arg)
{
	struct hook *h = mem_zalloc(sizeof(*h));

	h->fn = fn;
	h->arg = arg;
	*hooks_last = h;
	hooks_last = &h->next;
}

void metrics_render(struct buf *out)
{
	for (struct hook *h = hooks; h; h = h->next)
		h->fn(h->arg);
	for (const struct metric *m = all; m; m = m->next) {
		buf_addf(out, "# HELP %s ", m->name);
		add_escaped(out, span_of(m->help), false);
		buf_addf(out, "\n# TYPE %s %s\n", m->name, type_names[m->type]);
		for (const struct series *s = m->first; s; s = s->next)
			render_series(out, s);
	}
}
