/* links: model base */
/* Amounts of money as people write them: the currency's scale, then the text. Held against the same rules on strings of
 * digits, which cannot overflow or round. */
#include "fuzz.h"

#include "shoal/model/amount.h"

static const char most[] = "1000000000000000"; /* AMOUNT_MAX */

/* Its units as digits without zeros before them; NULL: no number. *fine: there is more than the scale has. */
static const char *units(struct arena *a, const char *text, size_t scale, bool *fine)
{
	size_t n = strlen(text), whole = 0, out = 0;
	char *digits = arena_alloc(a, n + scale + 1);

	while (whole < n && text[whole] != '.')
		whole++;
	if (n == 0 || whole + 1 == n) /* nothing, or nothing behind the point */
		return NULL;
	for (size_t i = 0; i < whole; i++)
		digits[out++] = text[i];
	for (size_t i = 0; i < scale; i++)
		digits[out++] = whole + 1 + i < n ? text[whole + 1 + i] : '0';
	digits[out] = '\0';
	*fine = false;
	for (size_t i = whole + 1; i < n; i++) {
		if (text[i] < '0' || text[i] > '9')
			return NULL;
		*fine = *fine || (i - whole > scale && text[i] != '0');
	}
	for (size_t i = 0; i < out; i++)
		if (digits[i] < '0' || digits[i] > '9')
			return NULL;
	while (*digits == '0')
		digits++;
	return digits;
}

static bool too_large(const char *digits)
{
	return strlen(digits) != strlen(most) ? strlen(digits) > strlen(most) : strcmp(digits, most) > 0;
}

static enum amount_fault judge(struct arena *a, const char *text, size_t scale, const char **digits)
{
	bool fine = false;

	*digits = units(a, text, scale, &fine);
	if (!*digits)
		return AMOUNT_UNREADABLE;
	if (too_large(*digits))
		return AMOUNT_TOO_LARGE;
	return fine ? AMOUNT_TOO_FINE : **digits ? AMOUNT_GOOD : AMOUNT_ZERO;
}

/* What stands there is the amount, with two digits behind the point at least and no needless zeros. */
static void formatted(struct arena *a, int64_t amount, int64_t scale)
{
	const char *text = amount_format(a, amount, scale), *p = text + (amount < 0), *point = strchr(text, '.');
	__int128 value = 0;
	int64_t places = point ? (int64_t)strlen(point + 1) : 0;

	MUST((*text == '-') == (amount < 0));
	MUST(scale == 0 ? !point : places >= (scale < 2 ? scale : 2) && places <= scale);
	MUST(places <= 2 || text[strlen(text) - 1] != '0');
	MUST(*p >= '0' && *p <= '9' && (*p != '0' || p[1] == '.' || !p[1]));
	for (; *p; p++)
		value = *p == '.' ? value : value * 10 + (*p - '0');
	for (; places < scale; places++)
		value *= 10;
	MUST((amount < 0 ? -value : value) == amount);
}

static void fuzz(const uint8_t *data, size_t size)
{
	struct food food = food_of(data, size);
	int64_t amount = -1, again = -1, any;
	const char *digits;
	struct arena a;

	arena_init(&a);
	int64_t scale = food_byte(&food) % 9;
	struct span rest = food_rest(&food);
	const char *text =
	    exact(&a, (struct span){arena_strndup(&a, rest.ptr, rest.len), strnlen(rest.ptr, rest.len) + 1}).ptr;
	enum amount_fault fault = amount_parse(text, scale, &amount);
	MUST(fault == judge(&a, text, (size_t)scale, &digits));
	MUST(amount_readable(text) == (fault != AMOUNT_UNREADABLE));
	if (fault == AMOUNT_GOOD) {
		MUST(strcmp(arena_printf(&a, "%lld", (long long)amount), digits) == 0);
		MUST(amount_parse(amount_format(&a, amount, scale), scale, &again) == AMOUNT_GOOD && again == amount);
		formatted(&a, amount, scale);
	} else {
		MUST(amount == -1);
	}
	food = food_of(data, size);
	any = (int64_t)food_u64(&food);
	formatted(&a, any, (int64_t)(size % 19));
	arena_release(&a);
}
