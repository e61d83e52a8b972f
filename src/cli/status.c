/* shoal status: the whole fleet at a glance, once or again and again. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "shoal/base/clock.h"
#include "shoal/cli/cli.h"
#include "shoal/cli/status.h"

enum { EVERY_MS = 1000, REST_MS = 200, WIDTH = 80, HEIGHT = 24, PAGE_MAX = 8 << 20 };

/* The other screen, so that what stood there before is there again at the end; no cursor. */
#define ENTER "\033[?1049h\033[?25l"
#define LEAVE "\033[?25h\033[?1049l"

/* ---- the terminal, which is put back as it was however this ends */

static struct {
	volatile sig_atomic_t stop, resized;
	bool painting, keys;
	struct termios before;
} screen;

static void screen_restore(void)
{
	if (screen.keys)
		tcsetattr(STDIN_FILENO, TCSANOW, &screen.before);
	if (screen.painting)
		(void)!write(STDOUT_FILENO, LEAVE, sizeof(LEAVE) - 1);
	screen.keys = screen.painting = false;
}

/* The second one does not wait for a server that says nothing. */
static void on_stop(int number)
{
	if (!screen.stop) {
		screen.stop = 1;
		return;
	}
	screen_restore();
	_exit(128 + number);
}

static void on_resize(int number)
{
	(void)number;
	screen.resized = 1;
}

static void screen_enter(bool painting)
{
	struct sigaction stop = {.sa_handler = on_stop}, resize = {.sa_handler = on_resize};
	struct termios raw;

	sigaction(SIGINT, &stop, NULL);
	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGHUP, &stop, NULL);
	if (!painting)
		return;
	sigaction(SIGWINCH, &resize, NULL);
	/* Who is no foreground job must not touch the terminal: that would stop it. */
	screen.keys = tcgetattr(STDIN_FILENO, &screen.before) == 0 && tcgetpgrp(STDIN_FILENO) == getpgrp();
	if (screen.keys) {
		raw = screen.before;
		raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
		raw.c_cc[VMIN] = 0;
		raw.c_cc[VTIME] = 0;
		tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	}
	screen.painting = true;
	(void)!write(STDOUT_FILENO, ENTER, sizeof(ENTER) - 1);
}

static void screen_size(size_t *width, size_t *height)
{
	struct winsize w;
	bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0;

	*width = known && w.ws_col > 0 ? w.ws_col : WIDTH;
	*height = known && w.ws_row > 0 ? w.ws_row : HEIGHT;
}

static bool key_quits(void)
{
	char keys[16];
	ssize_t n = read(STDIN_FILENO, keys, sizeof(keys));

	if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN))
		screen.keys = false; /* nobody types any more */
	return n > 0 && (memchr(keys, 'q', (size_t)n) || memchr(keys, 'Q', (size_t)n) || memchr(keys, 4, (size_t)n));
}

enum waited { LOOK_AGAIN, SHOW_AGAIN, QUIT };

static enum waited wait_until(int64_t due_ms)
{
	int64_t left;

	while (!screen.stop && !screen.resized && (left = due_ms - clock_ms()) > 0) {
		struct pollfd in = {.fd = screen.keys ? STDIN_FILENO : -1, .events = POLLIN};

		if (poll(&in, 1, (int)left) > 0 && key_quits())
			return QUIT;
	}
	return screen.stop ? QUIT : screen.resized ? SHOW_AGAIN : LOOK_AGAIN;
}

/* ---- showing */

static bool write_all(const char *p, size_t n)
{
	while (n > 0) {
		ssize_t done = write(STDOUT_FILENO, p, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return false;
		p += done;
		n -= (size_t)done;
	}
	return true;
}

static bool styled(void)
{
	const char *off = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(off && *off) && term && strcmp(term, "dumb") != 0;
}

/* Over what stands there, line by line: nothing is cleared that is not written anew at once. */
static void paint(const struct status *s, struct buf *out)
{
	size_t width, height;
	struct buf text;

	screen_size(&width, &height);
	buf_init(&text, PAGE_MAX);
	status_text(s, &text, width, height > 1 ? height - 1 : 1, styled());
	buf_adds(out, "\033[H");
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] == '\n')
			buf_adds(out, "\033[K\n");
		else
			buf_addc(out, text.ptr[i]);
	buf_adds(out, "\033[J");
	buf_release(&text);
}

static bool show(const struct session *s, const struct status *now, bool watching)
{
	struct buf out;
	bool good;

	buf_init(&out, PAGE_MAX);
	if (s->json) {
		status_json(now, &out);
		buf_addc(&out, '\n');
	} else if (watching && screen.painting) {
		paint(now, &out);
	} else if (watching) {
		status_line(now, &out);
	} else {
		size_t width, height;

		screen_size(&width, &height);
		status_text(now, &out, isatty(STDOUT_FILENO) ? width : WIDTH, 0, styled());
	}
	good = !out.failed && write_all(out.ptr, out.len);
	buf_release(&out);
	return good;
}

/* ---- once, or again and again */

static int once(struct session *s, struct status_eye *eye)
{
	struct status now;
	const char *why;
	unsigned shard;
	struct arena a;

	arena_init(&a);
	status_look(eye, &a, &now);
	if (!show(s, &now, false))
		session_fail(s, EXIT_FAILED, "cannot write to stdout");
	for (size_t i = 0; i < now.nservers; i++)
		if (now.servers[i].why)
			session_fail(s, EXIT_NO_SERVER, "cannot reach %s: %s", now.servers[i].name, now.servers[i].why);
	if (s->code == EXIT_DONE && (why = status_foreign(eye, &shard, &a)))
		session_fail(s, EXIT_FAILED, "shard %u: %s", shard, why);
	status_release(&now);
	arena_release(&a);
	return s->code;
}

/* A server that is away is shown, and looked for again: no reason to end. */
static int watch(struct session *s, struct status_eye *eye)
{
	enum waited what = LOOK_AGAIN;
	bool good = true;

	screen_enter(isatty(STDOUT_FILENO) && !s->json);
	while (good && what != QUIT) {
		int64_t began = clock_ms(), due;
		struct status now;
		struct arena a;

		arena_init(&a);
		status_look(eye, &a, &now);
		due = clock_ms() + REST_MS; /* also where a server lets us wait: there are keys to be read */
		due = began + EVERY_MS > due ? began + EVERY_MS : due;
		do {
			screen.resized = 0;
			good = screen.stop || show(s, &now, true);
			what = wait_until(due);
		} while (good && what == SHOW_AGAIN);
		status_release(&now);
		arena_release(&a);
	}
	screen_restore();
	return good ? EXIT_DONE : session_fail(s, EXIT_FAILED, "cannot write to stdout");
}

int verb_status(int argc, char **argv)
{
	static const struct arg_opt options[] = {{"json", false, false}, {"watch", false, false}, {0}};
	struct session s;
	struct arena a;
	struct args args;
	int code = EXIT_USAGE;

	arena_init(&a);
	if (args_parse(&args, &a, argc, argv, options) && args_count(&args, 0, 0, "")) {
		struct status_eye *eye;

		session_open(&s, &a, &args);
		eye = status_eye_open(&s);
		code = !eye ? s.code : args_has(&args, "watch") ? watch(&s, eye) : once(&s, eye);
		session_close(&s);
	}
	arena_release(&a);
	return code;
}
