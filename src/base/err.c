#include "shoal/base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "shoal/base/log.h"

static const char *const texts[ERR_COUNT] = {
    [ERR_OK] = "ok",
    [ERR_INVALID] = "not valid",
    [ERR_TOO_LONG] = "too long",
    [ERR_NOT_FOUND] = "not found",
    [ERR_EXISTS] = "exists already",
    [ERR_CONFLICT] = "changed meanwhile",
    [ERR_UNREACHABLE] = "not reachable",
    [ERR_UNKNOWN] = "answer lost",
    [ERR_TIMEOUT] = "timed out",
    [ERR_FULL] = "full",
    [ERR_LIMITED] = "rate limited",
    [ERR_DENIED] = "access denied",
    [ERR_REFUSED] = "refused",
    [ERR_PROTOCOL] = "answer makes no sense",
    [ERR_INTERNAL] = "internal fault",
};

const char *err_text(enum err err)
{
	if ((unsigned)err >= ERR_COUNT)
		return "no such error";
	return texts[err];
}

void err_bug(const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	log_flush(); /* what led to it */
	fprintf(stderr, "BUG at %s:%d: ", file, line);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	abort();
}
