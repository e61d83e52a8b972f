/* links: base model bots wire io store worker */
#include "check.h"
#include "standstill.h"

#include "shoal/base/clock.h"
#include "shoal/worker/breaker.h"

static struct loop *loop;
static struct breaker b;
static unsigned probes, changes;
static int64_t opened_ms, probe_ms[16];
static bool answer_good, answers;

static void stop(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

static void run_ms(int64_t ms)
{
	struct timer end;
	timer_init(&end, loop, stop, NULL);
	timer_set(&end, ms);
	loop_run(loop);
	timer_release(&end);
}

static void probe(void *arg)
{
	struct breaker *mine = arg;
	probe_ms[probes++ % 16] = clock_ms() - opened_ms;
	if (answers && answer_good)
		breaker_good(mine);
	else if (answers)
		breaker_failed(mine, "still away");
}

static void changed(void *arg)
{
	(void)arg;
	changes++;
}

static void begin(unsigned failures, int64_t pause_ms)
{
	probes = changes = 0;
	answers = true;
	answer_good = false;
	breaker_init(&b, &(struct breaker_opts){.loop = loop,
	                                        .peer = "peer",
	                                        .trouble = "peer is away",
	                                        .failures = failures,
	                                        .pause_ms = pause_ms,
	                                        .probe = probe,
	                                        .changed = changed,
	                                        .arg = &b});
	opened_ms = clock_ms();
}

static void fail(unsigned n)
{
	while (n-- > 0)
		breaker_failed(&b, "refused");
}

static void opens_after_failures_in_a_row(void)
{
	begin(3, 10000);
	fail(2);
	breaker_good(&b);
	fail(2);
	CHECK(!breaker_is_open(&b) && !breaker_trouble(&b) && changes == 0);
	fail(1);
	CHECK(breaker_is_open(&b) && changes == 1);
	CHECK_STR(breaker_trouble(&b), "peer is away: refused");
	fail(10); /* of what was under way: changes nothing */
	CHECK_INT(changes, 1);
	breaker_good(&b); /* late, and welcome */
	CHECK(!breaker_is_open(&b) && !breaker_trouble(&b) && changes == 2);
	run_ms(1300);
	CHECK_INT(probes, 0);
	breaker_release(&b);
}

static void probes_with_growing_pauses_until_it_serves(void)
{
	begin(1, 1500);
	fail(1);
	while (probes < 3)
		run_ms(20);
	/* after 1 s, 1.5 s and 1.5 s again, each give or take a quarter */
	CHECK(probe_ms[0] >= 740 && probe_ms[1] - probe_ms[0] >= 1110 && probe_ms[2] - probe_ms[1] >= 1110);
	CHECK_STR(breaker_trouble(&b), "peer is away: still away");
	CHECK_INT(changes, 1);
	answer_good = true;
	while (probes < 4)
		run_ms(20);
	CHECK(!breaker_is_open(&b));
	CHECK_INT(changes, 2);
	run_ms(2000);
	CHECK_INT(probes, 4);
	breaker_release(&b);
}

/* ms until it has closed by its probe */
static int64_t time_to_close(void)
{
	int64_t began = clock_ms();
	fail(1);
	while (breaker_is_open(&b) && clock_ms() - began < 20000)
		run_ms(20);
	return clock_ms() - began;
}

static void fails_again_soon_pauses_longer(void)
{
	begin(1, 10000);
	answer_good = true;
	int64_t first = time_to_close(), second = time_to_close();
	CHECK(first >= 740 && first < 20000);
	CHECK(second >= 1490 && second < 20000);
	CHECK_INT(probes, 2);
	breaker_release(&b);
}

static void hurries_on_request(void)
{
	begin(1, 10000);
	breaker_hurry(&b); /* closed: nothing to ask */
	run_ms(50);
	CHECK_INT(probes, 0);
	answers = false;
	fail(1);
	breaker_hurry(&b);
	run_ms(50);
	CHECK_INT(probes, 1);
	breaker_hurry(&b); /* an answer is awaited */
	run_ms(50);
	CHECK_INT(probes, 1);
	breaker_failed(&b, "no");
	breaker_hurry(&b);
	answers = answer_good = true;
	run_ms(50);
	CHECK_INT(probes, 2);
	CHECK(!breaker_is_open(&b));
	breaker_release(&b);
}

int main(void)
{
	loop = loop_new();
	RUN_STEADILY(opens_after_failures_in_a_row);
	RUN_STEADILY(probes_with_growing_pauses_until_it_serves);
	RUN_STEADILY(fails_again_soon_pauses_longer);
	RUN_STEADILY(hurries_on_request);
	loop_free(loop);
	DONE();
}
