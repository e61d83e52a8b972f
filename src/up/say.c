#include "shoal/up/say.h"

#include <langinfo.h>
#include <locale.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool on_terminal, waiting_shown;
static const char *tick = "";

void say_init(void)
{
	on_terminal = isatty(STDOUT_FILENO);
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!on_terminal)
		return;
	setlocale(LC_CTYPE, "");
	tick = strcmp(nl_langinfo(CODESET), "UTF-8") == 0 ? "\xe2\x9c\x93 " : "ok ";
	setlocale(LC_CTYPE, "C"); /* the rest of the program stays in the C locale */
}

void say_waiting(const char *text)
{
	if (!on_terminal || (!text && !waiting_shown))
		return;
	printf("\r\033[K%s%.70s", text ? "  " : "", text ? text : "");
	fflush(stdout);
	waiting_shown = text != NULL;
}

void say_line(const char *fmt, ...)
{
	va_list ap;
	say_waiting(NULL);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

void say_done(const char *fmt, ...)
{
	va_list ap;
	say_waiting(NULL);
	fputs(tick, stdout);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

void say_problem(const char *fmt, ...)
{
	va_list ap;
	say_waiting(NULL);
	fflush(stdout);
	fputs("shoal: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

void say_text(const char *text)
{
	say_waiting(NULL);
	fflush(stdout);
	fputs(text, stderr);
}
