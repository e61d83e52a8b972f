#include "shoal/cli/long_work.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "shoal/base/clock.h"

enum { TERMINAL_MS = 100, LINE_MS = 5000 };

static volatile sig_atomic_t stop_asked;
static unsigned held;

static void on_signal(int number)
{
	(void)number;
	stop_asked = 1;
}

/* SA_RESTART: the question to Redis that is under way gets its answer. */
static void catch_signals(void (*fn)(int))
{
	struct sigaction sa = {.sa_handler = fn, .sa_flags = SA_RESTART | (fn == SIG_DFL ? 0 : (int)SA_RESETHAND)};

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
}

void long_work_hold(void)
{
	if (held++ > 0)
		return;
	stop_asked = 0;
	catch_signals(on_signal);
}

bool long_work_stopping(void)
{
	return stop_asked;
}

void long_work_let_go(void)
{
	if (--held == 0)
		catch_signals(SIG_DFL);
}

void long_work_begin(struct long_work *w, const char *what, int64_t total)
{
	*w = (struct long_work){.what = what, .total = total, .terminal = isatty(STDERR_FILENO)};
	w->shown_ms = clock_ms();
	long_work_hold();
}

static void show(struct long_work *w)
{
	char of[32] = "";

	if (w->total > 0)
		snprintf(of, sizeof(of), " of %lld", (long long)w->total);
	fprintf(stderr, "%s%s: %lld%s%s", w->terminal ? "\r\033[K" : "", w->what, (long long)w->done, of,
	        w->terminal ? "" : "\n");
	fflush(stderr);
	w->shown = true;
}

bool long_work_step(struct long_work *w, int64_t more)
{
	int64_t now = clock_ms();

	w->done += more;
	if (now - w->shown_ms >= (w->terminal ? TERMINAL_MS : LINE_MS)) {
		show(w);
		w->shown_ms = now;
	}
	return !stop_asked;
}

void long_work_end(struct long_work *w)
{
	long_work_let_go();
	if (w->terminal && w->shown)
		fputs("\r\033[K", stderr);
}
