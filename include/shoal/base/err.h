/* One space of errors for the whole program. SQLSTATE, HTTP status, CURLcode and Redis error replies are
 * turned into these once, in their own room under src/io. */
#ifndef SHOAL_BASE_ERR_H
#define SHOAL_BASE_ERR_H

enum err {
	ERR_OK = 0,
	ERR_INVALID,  /* the input breaks a rule; the same input will fail again */
	ERR_TOO_LONG, /* beyond a stated limit */
	ERR_NOT_FOUND,
	ERR_EXISTS,      /* a unique key is taken */
	ERR_CONFLICT,    /* the state changed since it was read; load again */
	ERR_UNREACHABLE, /* the peer is away or not able to serve now; nothing was done, try later */
	ERR_UNKNOWN,     /* sent, but the answer was lost: it may have been done */
	ERR_TIMEOUT,     /* as ERR_UNKNOWN, because time ran out */
	ERR_FULL,        /* the peer has no room (Redis at maxmemory, disk full); try later */
	ERR_LIMITED,     /* a rate limit; try after the time given beside the error */
	ERR_DENIED,      /* wrong or missing credentials */
	ERR_REFUSED,     /* the peer understood and said no for good */
	ERR_PROTOCOL,    /* the peer's answer makes no sense */
	ERR_INTERNAL,    /* a fault of this program */
	ERR_COUNT
};

/* Lower-case words for people and logs, never NULL. */
const char *err_text(enum err err);

/* Prints the message with file and line to stderr and aborts: the program itself is wrong. */
#define BUG(...) err_bug(__FILE__, __LINE__, __VA_ARGS__)
_Noreturn void err_bug(const char *file, int line, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Cheap assertion that stays on in release builds. */
#define ENSURE(cond) ((cond) ? (void)0 : BUG("not true: %s", #cond))

#endif
