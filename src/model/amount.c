#include "shoal/model/amount.h"

#include <string.h>

#include "shoal/base/err.h"

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Digits, a point, digits. No sign, no commas, no spaces: what may be read in two ways is not read at all. */
bool amount_readable(const char *text)
{
	size_t whole = strspn(text, "0123456789"), fraction;

	if (text[whole] != '.')
		return whole > 0 && !text[whole];
	fraction = strspn(text + whole + 1, "0123456789");
	return fraction > 0 && !text[whole + 1 + fraction];
}

/* One more digit; false beyond the limit. */
static bool push(int64_t *amount, int digit)
{
	*amount = *amount * 10 + digit;
	return *amount <= AMOUNT_MAX;
}

enum amount_fault amount_parse(const char *text, int64_t scale, int64_t *out)
{
	const char *p = text;
	int64_t amount = 0;

	if (!amount_readable(text))
		return AMOUNT_UNREADABLE;
	for (; is_digit(*p); p++) {
		if (!push(&amount, *p - '0'))
			return AMOUNT_TOO_LARGE;
	}
	p += *p == '.';
	for (int64_t i = 0; i < scale; i++) {
		if (!push(&amount, is_digit(*p) ? *p++ - '0' : 0))
			return AMOUNT_TOO_LARGE;
	}
	if (p[strspn(p, "0")])
		return AMOUNT_TOO_FINE;
	if (amount == 0)
		return AMOUNT_ZERO;
	*out = amount;
	return AMOUNT_GOOD;
}

char *amount_format(struct arena *a, int64_t amount, int64_t scale)
{
	uint64_t rest = amount < 0 ? 0 - (uint64_t)amount : (uint64_t)amount;
	char digits[48];
	size_t at = sizeof(digits);
	bool shown = false; /* a digit behind the point that is not a zero at the end */

	ENSURE(scale >= 0 && scale <= 18);
	digits[--at] = '\0';
	for (int64_t place = scale; place > 0; place--, rest /= 10) {
		shown = shown || rest % 10 != 0 || place <= 2;
		if (shown)
			digits[--at] = (char)('0' + rest % 10);
	}
	if (scale > 0)
		digits[--at] = '.';
	do {
		digits[--at] = (char)('0' + rest % 10);
		rest /= 10;
	} while (rest > 0);
	if (amount < 0)
		digits[--at] = '-';
	return arena_strdup(a, digits + at);
}
