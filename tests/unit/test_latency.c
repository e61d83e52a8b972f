/* links: base model io wire store */
#include <math.h>

#include "check.h"

#include "shoal/store/latency.h"

static void test_quantiles_are_right_to_a_sixth(void)
{
	static const double quantiles[] = {0.01, 0.5, 0.95, 0.99, 1};

	/* one each of 1, 2, 3 ... us, ms, and so on: the quantile q of n such is q * n */
	for (int64_t unit = 1; unit <= 10000; unit *= 10) {
		struct latency l = {{0}};

		for (int64_t i = 1; i <= 1000; i++)
			latency_add(&l, i * unit);
		CHECK_INT(latency_count(&l), 1000);
		for (size_t i = 0; i < sizeof(quantiles) / sizeof(quantiles[0]); i++) {
			double want = quantiles[i] * 1000 * (double)unit / 1e3,
			       got = latency_quantile_ms(&l, quantiles[i]);

			if (fabs(got - want) > want / 6)
				printf("# %g of unit %lld is %g, want %g\n", quantiles[i], (long long)unit, got, want);
			CHECK(fabs(got - want) <= want / 6);
		}
	}
}

static void test_odd_times(void)
{
	struct latency l = {{0}};

	CHECK(latency_quantile_ms(&l, 0.5) == 0);
	latency_add(&l, 0);
	latency_add(&l, -5);
	CHECK(latency_quantile_ms(&l, 1) <= 0.00125);
	latency_add(&l, INT64_MAX);
	CHECK_INT(latency_count(&l), 3);
	CHECK(latency_quantile_ms(&l, 1) > 50000);
}

static void test_text_goes_there_and_back(void)
{
	struct latency a = {{0}}, b = {{0}}, c = {{0}};
	struct buf text;

	for (int64_t us = 1; us < 100000000; us = us * 5 / 4 + 1)
		latency_add(&a, us);
	a.n[7] = UINT32_MAX;
	buf_init(&text, LATENCY_TEXT_BYTES);
	latency_put(&a, &text);
	CHECK(latency_read(&b, buf_span(&text)));
	CHECK(memcmp(&a, &b, sizeof(a)) == 0);
	CHECK(latency_read(&b, buf_span(&text)));
	latency_merge(&c, &a);
	latency_merge(&c, &a);
	CHECK(memcmp(&b, &c, sizeof(b)) == 0);
	CHECK_INT(c.n[7], UINT32_MAX);

	/* the longest that there can be */
	for (unsigned i = 0; i < LATENCY_BUCKETS; i++)
		a.n[i] = UINT32_MAX;
	buf_clear(&text);
	latency_put(&a, &text);
	CHECK(!text.failed);
	buf_release(&text);
}

static void test_nonsense_is_refused(void)
{
	static const char *const texts[] = {"x",    "1",    "1:",   ":1",           "104:1", "-1:1",
	                                    "1:-1", "1:1,", ",1:1", "1:4294967296", "1 :1",  "1:1 "};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct latency l = {{0}};
		bool read = latency_read(&l, span_of(texts[i]));

		if (read)
			printf("# was read: %s\n", texts[i]);
		CHECK(!read);
	}
}

int main(void)
{
	RUN(test_quantiles_are_right_to_a_sixth);
	RUN(test_odd_times);
	RUN(test_text_goes_there_and_back);
	RUN(test_nonsense_is_refused);
	return check_failed_all != 0;
}
