/* shoal cache: its subverbs, and what their operands may be. */
#include "shoal/cli/caches.h"

#include <string.h>

#include "shoal/cli/cli.h"
#include "shoal/cli/sub.h"
#include "shoal/store/cache_key.h"
#include "shoal/store/cache_named.h"
#include "shoal/store/rules.h"

static const struct arg_opt options[] = {
    {"json", false, false}, {"all", false, false}, {"dry-run", false, false}, {"workers", false, false}, {0},
};

/* --- which cache */

static const char *names(struct arena *a)
{
	const char *text = cache_defs[0].name;

	for (int kind = 1; kind < CACHE_NAMED; kind++)
		text = arena_printf(a, "%s, %s", text, cache_defs[kind].name);
	return text;
}

bool caches_operand(struct session *s, enum cache_kind *kind)
{
	const char *operand = s->args->operands[0];

	if (cache_named_find(operand, kind))
		return true;
	session_fail(s, EXIT_NOT_THERE, "there is no cache %s, only: %s", shown(s->a, operand), names(s->a));
	return false;
}

/* --- which key */

static bool is_plain(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7F)
			return false;
	return true;
}

/* What no key of any cache can be. */
static const char *rule_any(struct arena *a, const char *operand)
{
	size_t len = strlen(operand);

	if (len == 0)
		return "a key is empty";
	if (len > CACHE_KEY_BYTES)
		return arena_printf(a, "the key is %s, but must have %d bytes at most", shown(a, operand),
		                    CACHE_KEY_BYTES);
	if (!utf8_valid(span_of(operand)) || !is_plain(operand))
		return arena_printf(a, "the key is %s, but must be UTF-8 without control characters",
		                    shown(a, operand));
	return NULL;
}

bool caches_key_operand(struct session *s, enum cache_kind kind, const char *operand)
{
	const char *why = rule_any(s->a, operand);

	if (why) {
		session_usage(s, "%s", why);
		return false;
	}
	if (cache_named_fits(s->a, kind, operand))
		return true;
	session_fail(s, EXIT_NOT_THERE, "%s is no key of the cache %s: its keys are %s", shown(s->a, operand),
	             cache_defs[kind].name, cache_defs[kind].keys);
	return false;
}

bool caches_pattern_operand(struct session *s, const char *operand)
{
	const char *why = rule_any(s->a, operand), *open = strrchr(operand, '[');

	if (!why && open && !strchr(open, ']'))
		why = arena_printf(s->a, "the pattern %s opens a [ and does not close it", shown(s->a, operand));
	if (!why)
		return true;
	session_usage(s, "%s", why);
	return false;
}

static const struct sub subs[] = {
    {"list", "json", 0, 0, "", caches_list},
    {"stats", "json workers", 0, 0, "", caches_stats},
    {"get", "json", 2, 2, "CACHE KEY", caches_get},
    {"invalidate", "json all dry-run", 1, SIZE_MAX, "CACHE", caches_invalidate},
    {"reload", "json", 1, 1, "CACHE", caches_reload},
    {0},
};

int verb_cache(int argc, char **argv)
{
	return sub_run(argc, argv, options, subs);
}
