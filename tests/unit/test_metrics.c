/* links: base */
#include "check.h"

#include "shoal/base/metrics.h"

static struct buf page;

static const char *rendered(void)
{
	buf_clear(&page);
	metrics_render(&page);
	return page.ptr;
}

static bool shows(const char *lines)
{
	bool found = strstr(rendered(), lines) != NULL;

	if (!found)
		printf("# not in:\n%s", page.ptr);
	return found;
}

static void counters_and_gauges_are_shown(void)
{
	struct metric *m = metric_counter("t_total", "bot,kind", "Things.\nA back\\slash and a \"quote\".");
	struct series *s = SERIES(m, "persona", "text");

	series_add(s, 1);
	series_add(s, 2);
	series_set(SERIES0(metric_gauge("t_gauge", "", "A level.")), -0.5);
	CHECK(SERIES(m, "persona", "text") == s);
	CHECK(SERIES(m, "personat", "ext") != s);
	CHECK(metric_counter("t_total", "bot,kind", "again") == m);
	CHECK(series_value(s) == 3);
	CHECK(shows("# HELP t_total Things.\\nA back\\\\slash and a \"quote\".\n# TYPE t_total counter\n"
	            "t_total{bot=\"persona\",kind=\"text\"} 3\n"));
	CHECK(shows("# HELP t_gauge A level.\n# TYPE t_gauge gauge\nt_gauge -0.5\n"));
	series_add(s, 9007199254740989.0);
	CHECK(shows("t_total{bot=\"persona\",kind=\"text\"} 9007199254740992\n"));
}

static void label_values_are_escaped(void)
{
	struct metric *m = metric_gauge("t_escape", "v", "Hostile.");

	series_set(SERIES(m, "a\"b\\c\nd\xFF"), 1);
	series_set(SERIES(m, ""), 2);
	CHECK(shows("t_escape{v=\"a\\\"b\\\\c\\nd\xEF\xBF\xBD\"} 1\nt_escape{v=\"\"} 2\n"));
}

static void values_are_copied(void)
{
	struct metric *m = metric_gauge("t_copy", "v", "Copies.");
	char value[] = "first";

	series_set(SERIES(m, value), 1);
	value[0] = 'X';
	CHECK(shows("t_copy{v=\"first\"} 1\n"));
}

static void series_are_bounded(void)
{
	struct metric *m = metric_counter("t_bounded", "user", "Many.");
	size_t lines = 0;
	struct series *first = SERIES(m, "user 0");
	char value[32];

	for (int i = 0; i < 5000; i++) {
		snprintf(value, sizeof(value), "user %d", i);
		series_add(SERIES(m, value), 1);
	}
	CHECK(SERIES(m, "user 0") == first && series_value(first) == 1);
	CHECK(series_value(SERIES(m, "user 510")) == 1);
	CHECK(SERIES(m, "user 511") == SERIES(m, "other"));
	CHECK_INT(series_value(SERIES(m, "other")), 5000 - 511);
	for (const char *p = rendered(); (p = strstr(p, "t_bounded{")) != NULL; p++)
		lines++;
	CHECK_INT(lines, 512);
}

static void histograms_cumulate(void)
{
	static const double bounds[] = {1, 2.5, 10};
	struct metric *m = metric_histogram("t_hist", "k", "Sizes.", bounds, 3);
	struct series *s = SERIES(m, "x");

	series_observe(s, 1);
	series_observe(s, 1.5);
	series_observe(s, 2.5);
	series_observe(s, 11);
	series_observe(s, -3);
	CHECK_INT(series_value(s), 5);
	CHECK(shows("# TYPE t_hist histogram\nt_hist_bucket{k=\"x\",le=\"1\"} 2\nt_hist_bucket{k=\"x\",le=\"2.5\"} 4\n"
	            "t_hist_bucket{k=\"x\",le=\"10\"} 4\nt_hist_bucket{k=\"x\",le=\"+Inf\"} 5\nt_hist_sum{k=\"x\"} 13\n"
	            "t_hist_count{k=\"x\"} 5\n"));
}

static void seconds_reach_from_100us_to_30s(void)
{
	struct series *s = SERIES0(metric_histogram("t_seconds", "", "Durations.", NULL, 0));

	series_observe(s, 0.0001);
	series_observe(s, 30);
	series_observe(s, 31);
	CHECK(shows("t_seconds_bucket{le=\"0.0001\"} 1\n"));
	CHECK(shows("t_seconds_bucket{le=\"30\"} 2\nt_seconds_bucket{le=\"+Inf\"} 3\n"));
}

static void set_late(void *arg)
{
	series_set(SERIES0(metric_gauge("t_late", "", "Late.")), *(int *)arg);
}

static void hooks_run_before_each_rendering(void)
{
	static int value = 7;

	metrics_on_render(set_late, &value);
	CHECK(shows("t_late 7\n"));
	value = 8;
	CHECK(shows("t_late 8\n"));
}

int main(void)
{
	buf_init(&page, 1 << 20);
	RUN(counters_and_gauges_are_shown);
	RUN(label_values_are_escaped);
	RUN(values_are_copied);
	RUN(series_are_bounded);
	RUN(histograms_cumulate);
	RUN(seconds_reach_from_100us_to_30s);
	RUN(hooks_run_before_each_rendering);
	buf_release(&page);
	DONE();
}
