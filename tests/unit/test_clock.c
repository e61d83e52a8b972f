/* links: base */
#include "check.h"

#include <time.h>

#include "shoal/base/clock.h"

static void times_are_written(void)
{
	char text[32];

	clock_rfc3339(0, text, sizeof(text));
	CHECK_STR(text, "1970-01-01T00:00:00.000Z");
	clock_rfc3339(-1, text, sizeof(text));
	CHECK_STR(text, "1969-12-31T23:59:59.999Z");
	clock_rfc3339(1709210096789, text, sizeof(text)); /* date -ud @1709210096 */
	CHECK_STR(text, "2024-02-29T12:34:56.789Z");
	clock_rfc3339(INT64_MAX, text, sizeof(text));
	CHECK_STR(text, "9999-12-31T23:59:59.999Z");
	clock_rfc3339(INT64_MIN, text, sizeof(text));
	CHECK_STR(text, "0000-01-01T00:00:00.000Z");
}

static void times_are_read(void)
{
	static const struct {
		const char *text;
		int64_t ms;
	} good[] = {
	    {"1970-01-01T00:00:00Z", 0},
	    {"1970-01-01 00:00:00z", 0},
	    {"2024-02-29T12:34:56.789Z", 1709210096789},
	    {"2024-02-29T12:34:56.789999999Z", 1709210096789},
	    {"2024-02-29T12:34:56.7Z", 1709210096700},
	    {"2024-02-29T14:34:56+02:00", 1709210096000},
	    {"2024-02-29T07:04:56-05:30", 1709210096000},
	    {"1969-12-31T23:59:59.999Z", -1},
	    {"2016-12-31T23:59:60Z", 1483228800000},
	};
	static const char *const bad[] = {"",
	                                  "2024-02-29",
	                                  "2024-02-29T12:34:56",
	                                  "2023-02-29T12:34:56Z",
	                                  "1900-02-29T00:00:00Z",
	                                  "2024-13-01T00:00:00Z",
	                                  "2024-00-01T00:00:00Z",
	                                  "2024-01-00T00:00:00Z",
	                                  "2024-04-31T00:00:00Z",
	                                  "2024-01-01T24:00:00Z",
	                                  "2024-01-01T00:60:00Z",
	                                  "2024-01-01T00:00:61Z",
	                                  "2024-01-01T00:00:00.Z",
	                                  "2024-01-01T00:00:00Z ",
	                                  " 2024-01-01T00:00:00Z",
	                                  "2024-1-1T00:00:00Z",
	                                  "2024-01-01T00:00:00+24:00",
	                                  "2024-01-01T00:00:00+0200",
	                                  "tomorrow"};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		int64_t ms = 42;

		CHECK(clock_parse_rfc3339(good[i].text, &ms));
		CHECK_INT(ms, good[i].ms);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int64_t ms = 42;

		if (clock_parse_rfc3339(bad[i], &ms))
			printf("# taken: %s\n", bad[i]);
		CHECK_INT(ms, 42);
	}
}

static void clocks_go_forward(void)
{
	int64_t us = clock_us(), ms = clock_ms();
	const struct timespec nap = {.tv_nsec = 20000000};

	nanosleep(&nap, NULL);
	CHECK(clock_us() - us >= 20000);
	CHECK(clock_ms() - ms >= 19);
	CHECK(clock_wall_ms() / 1000 - (int64_t)time(NULL) <= 1);
}

static void chance_differs_and_stays_in_its_range(void)
{
	char a[65], b[65], none[1] = "x";
	int64_t least = INT64_MAX, most = 0;

	random_hex(a, 32);
	random_hex(b, 32);
	CHECK_INT(strlen(a), 64);
	CHECK_INT(strspn(a, "0123456789abcdef"), 64);
	CHECK(strcmp(a, b) != 0);
	random_hex(none, 0);
	CHECK_STR(none, "");
	for (int i = 0; i < 2000; i++) {
		int64_t ms = jitter_ms(1000);

		least = ms < least ? ms : least;
		most = ms > most ? ms : most;
	}
	CHECK(least >= 750 && least < 800);
	CHECK(most <= 1250 && most > 1200);
	CHECK_INT(jitter_ms(0), 0);
	CHECK_INT(jitter_ms(3), 3);
}

int main(void)
{
	RUN(times_are_written);
	RUN(times_are_read);
	RUN(clocks_go_forward);
	RUN(chance_differs_and_stays_in_its_range);
	DONE();
}
