#include "shoal/base/clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "shoal/base/err.h"

static struct timespec now(clockid_t id)
{
	struct timespec t;

	if (clock_gettime(id, &t) != 0)
		BUG("clock_gettime(%d) failed", (int)id);
	return t;
}

int64_t clock_us(void)
{
	struct timespec t = now(CLOCK_BOOTTIME);

	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t clock_ms(void)
{
	return clock_us() / 1000;
}

int64_t clock_wall_ms(void)
{
	struct timespec t = now(CLOCK_REALTIME);

	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* The years that RFC 3339 can write: 0000-01-01 to 9999-12-31. */
#define FIRST_MS (-62167219200000)
#define LAST_MS 253402300799999

void clock_rfc3339(int64_t wall_ms, char *out, size_t size)
{
	static char text[32]; /* of the second that was asked for last: a log asks for the same one again and again */
	static time_t text_of = -1;
	int64_t ms;
	struct tm tm;
	time_t s;

	ENSURE(size >= 25);
	if (wall_ms < FIRST_MS)
		wall_ms = FIRST_MS;
	if (wall_ms > LAST_MS)
		wall_ms = LAST_MS;
	ms = (wall_ms % 1000 + 1000) % 1000;
	s = (time_t)((wall_ms - ms) / 1000);
	if (s != text_of || !text[0]) {
		ENSURE(gmtime_r(&s, &tm));
		snprintf(text, sizeof(text), "%04u-%02u-%02uT%02u:%02u:%02u.000Z",
		         (unsigned)(tm.tm_year + 1900) % 10000, (unsigned)(tm.tm_mon + 1) % 100,
		         (unsigned)tm.tm_mday % 100, (unsigned)tm.tm_hour % 100, (unsigned)tm.tm_min % 100,
		         (unsigned)tm.tm_sec % 100);
		text_of = s;
	}
	memcpy(out, text, 25);
	for (char *digit = out + 22; digit > out + 19; digit--, ms /= 10)
		*digit = (char)('0' + ms % 10);
}

/* Takes exactly n digits off *s. */
static bool take_digits(const char **s, int n, int *out)
{
	*out = 0;
	for (; n > 0; n--, (*s)++) {
		if (**s < '0' || **s > '9')
			return false;
		*out = *out * 10 + (**s - '0');
	}
	return true;
}

static bool take_char(const char **s, const char *any_of)
{
	if (**s == '\0' || !strchr(any_of, **s))
		return false;
	(*s)++;
	return true;
}

static int days_in_month(int year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap);
}

/* ".123456": the first three digits count, the rest is only checked. */
static bool take_fraction(const char **s, int *ms)
{
	int scale = 100, n = 0;

	*ms = 0;
	if (**s != '.')
		return true;
	for ((*s)++; **s >= '0' && **s <= '9'; (*s)++, n++, scale /= 10)
		*ms += (**s - '0') * scale;
	return n > 0;
}

static bool take_offset(const char **s, int *minutes)
{
	int sign = **s == '-' ? -1 : 1, h, m;

	*minutes = 0;
	if (take_char(s, "Zz"))
		return true;
	if (!take_char(s, "+-") || !take_digits(s, 2, &h) || !take_char(s, ":") || !take_digits(s, 2, &m))
		return false;
	*minutes = sign * (h * 60 + m);
	return h <= 23 && m <= 59;
}

bool clock_parse_rfc3339(const char *s, int64_t *wall_ms)
{
	int year, month, day, hour, min, sec, ms, offset;
	struct tm tm = {0};

	if (!take_digits(&s, 4, &year) || !take_char(&s, "-") || !take_digits(&s, 2, &month) || !take_char(&s, "-") ||
	    !take_digits(&s, 2, &day) || !take_char(&s, "Tt ") || !take_digits(&s, 2, &hour) || !take_char(&s, ":") ||
	    !take_digits(&s, 2, &min) || !take_char(&s, ":") || !take_digits(&s, 2, &sec) || !take_fraction(&s, &ms) ||
	    !take_offset(&s, &offset) || *s)
		return false;
	/* 60 is a leap second: the same instant as the next minute's 00. */
	if (month < 1 || month > 12 || day < 1 || day > days_in_month(year, month) || hour > 23 || min > 59 || sec > 60)
		return false;
	tm = (struct tm){
	    .tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day, .tm_hour = hour, .tm_min = min, .tm_sec = sec};
	*wall_ms = ((int64_t)timegm(&tm) - (int64_t)offset * 60) * 1000 + ms;
	return true;
}

static void fresh_bytes(void *p, size_t len)
{
	char *at = p;

	while (len > 0) {
		ssize_t n = getrandom(at, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			BUG("getrandom: %s", strerror(errno));
		at += n;
		len -= (size_t)n;
	}
}

/* Asked of the kernel in larger pieces: an update wants a few bytes, and each question is a system call. What was given
 * out is wiped; a child starts with nothing. */
static struct {
	unsigned char bytes[512];
	size_t left;
	bool watched;
} store;

static void store_forget(void)
{
	store.left = 0;
}

void random_bytes(void *p, size_t len)
{
	if (len > sizeof(store.bytes) / 4) {
		fresh_bytes(p, len);
		return;
	}
	if (!store.watched)
		ENSURE(pthread_atfork(NULL, NULL, store_forget) == 0);
	store.watched = true;
	if (store.left < len) {
		fresh_bytes(store.bytes, sizeof(store.bytes));
		store.left = sizeof(store.bytes);
	}
	store.left -= len;
	memcpy(p, store.bytes + store.left, len);
	explicit_bzero(store.bytes + store.left, len);
}

uint64_t random_u64(void)
{
	uint64_t v;

	random_bytes(&v, sizeof(v));
	return v;
}

void random_hex(char *out, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	unsigned char *bytes = (unsigned char *)out + len; /* the second half of out: read before it is written over */

	random_bytes(bytes, len);
	for (size_t i = 0; i < len; i++) {
		unsigned char c = bytes[i];

		out[2 * i] = digits[c >> 4];
		out[2 * i + 1] = digits[c & 15];
	}
	out[2 * len] = '\0';
}

int64_t jitter_ms(int64_t ms)
{
	int64_t quarter = ms / 4;

	if (quarter <= 0)
		return ms;
	return ms - quarter + (int64_t)(random_u64() % (uint64_t)(2 * quarter + 1));
}
