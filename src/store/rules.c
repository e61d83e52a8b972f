#include "shoal/store/rules.h"

#include <stdbool.h>
#include <string.h>

#include "shoal/base/clock.h"
#include "shoal/base/conf.h"
#include "shoal/base/str.h"

enum { CODE_BYTES = 64 };

static bool is_control(unsigned char c)
{
	return c < 0x20 || c == 0x7F;
}

static bool is_of(const char *value, const char *chars)
{
	size_t len = strlen(value);

	return len >= 1 && len <= CODE_BYTES && strspn(value, chars) == len;
}

#define LOWER "abcdefghijklmnopqrstuvwxyz0123456789_-"

const char *rule_code(struct arena *a, const char *value)
{
	if (is_of(value, LOWER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
		return NULL;
	return arena_printf(a, "the code is %s, but must be 1 to 64 characters of A-Z a-z 0-9 _ -", shown(a, value));
}

const char *rule_key(struct arena *a, const char *value)
{
	if (is_of(value, LOWER))
		return NULL;
	return arena_printf(a, "the persona is %s, but must be 1 to 64 characters of a-z 0-9 _ -", shown(a, value));
}

static bool has_control(const char *value)
{
	for (; *value; value++)
		if (is_control((unsigned char)*value) && !strchr("\t\r\n", *value))
			return true;
	return false;
}

const char *rule_text(struct arena *a, const char *what, const char *value, size_t least, size_t most)
{
	struct span s = span_of(value);
	size_t units;

	if (!utf8_valid(s))
		return arena_printf(a, "%s is %s, which is not valid UTF-8", what, shown(a, value));
	if (has_control(value))
		return arena_printf(a, "%s is %s, but must not hold control characters", what, shown(a, value));
	units = utf8_utf16_len(s);
	if (units > most)
		return arena_printf(a, "%s is %s, %zu characters long, but at most %zu are allowed", what,
		                    shown(a, value), units, most);
	if (units < least || (least > 0 && strspn(value, " \t\r\n") == s.len))
		return arena_printf(a, "%s is %s, but must not be empty", what, shown(a, value));
	return NULL;
}

static bool is_decimal(const char *value, int64_t *out)
{
	return value[0] >= '1' && value[0] <= '9' && span_i64(span_of(value), out);
}

const char *rule_max_uses(struct arena *a, const char *value, int64_t *out)
{
	if (is_decimal(value, out))
		return NULL;
	return arena_printf(a, "the number of uses is %s, but must be a whole number from 1 to %lld", shown(a, value),
	                    (long long)INT64_MAX);
}

const char *rule_expires(struct arena *a, const char *value, int64_t *wall_ms)
{
	const int64_t last = 253402300799999; /* the year 9999 */

	if (clock_parse_rfc3339(value, wall_ms) && *wall_ms > 0 && *wall_ms <= last)
		return NULL;
	return arena_printf(a, "the time is %s, but must be RFC 3339, such as 2027-01-31T12:00:00Z", shown(a, value));
}

static const char *rule_id(struct arena *a, const char *platform, const char *value, int64_t *out)
{
	if (is_decimal(value, out))
		return NULL;
	return arena_printf(a, "the %s id is %s, but must be a whole number from 1 to %lld", platform, shown(a, value),
	                    (long long)INT64_MAX);
}

const char *rule_telegram_id(struct arena *a, const char *value, int64_t *out)
{
	return rule_id(a, "Telegram", value, out);
}

const char *rule_discord_id(struct arena *a, const char *value, int64_t *out)
{
	return rule_id(a, "Discord", value, out);
}

const char *rule_bot(struct arena *a, const char *value)
{
	if (!value || conf_knows_bot(value))
		return NULL;
	return arena_printf(a, "the bot is %s, but must be one of %s", shown(a, value), CONF_BOTS);
}
