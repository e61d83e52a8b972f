/* Every parser returns NULL, or what is allowed. */
#include "shoal/base/conf_value.h"

#include <string.h>
#include <strings.h>

enum { MAX_TEXT = 4096 };

static bool has_control(const char *s)
{
	for (; *s; s++) {
		if ((unsigned char)*s < 0x20 || *s == 0x7F)
			return true;
	}
	return false;
}

static bool char_allowed(const char *set, char c)
{
	for (; *set; set++) {
		if (set[1] == '-' && set[2]) {
			if (c >= set[0] && c <= set[2])
				return true;
			set += 2;
		} else if (c == *set) {
			return true;
		}
	}
	return false;
}

static const char *parse_text(struct arena *a, const struct opt *o, const char *text, void *at)
{
	size_t len = strlen(text), max = o->max ? (size_t)o->max : MAX_TEXT, min = o->min ? (size_t)o->min : 1;
	bool good = len >= min && len <= max && !has_control(text) && utf8_valid(span_of(text));

	for (const char *p = text; good && o->chars && *p; p++)
		good = char_allowed(o->chars, *p);
	if (!good)
		return min == max
		           ? arena_printf(a, "exactly %zu characters of %s", min, o->chars)
		           : arena_printf(a, "%zu to %zu characters%s%s", min, max,
		                          o->chars ? " of " : ", no control characters", o->chars ? o->chars : "");
	*(const char **)at = arena_strdup(a, text);
	return NULL;
}

static const char *parse_int(struct arena *a, const struct opt *o, const char *text, void *at)
{
	int64_t v;

	if (!span_i64(span_of(text), &v) || v < o->min || v > o->max)
		return arena_printf(a, "a whole number from %lld to %lld", (long long)o->min, (long long)o->max);
	*(int64_t *)at = v;
	return NULL;
}

static const char *parse_flag(struct arena *a, const struct opt *o, const char *text, void *at)
{
	(void)a;
	(void)o;
	if (strcmp(text, "0") != 0 && strcmp(text, "1") != 0)
		return "0 or 1";
	*(int64_t *)at = text[0] == '1';
	return NULL;
}

struct span conf_value_choice(const char *choices, int n)
{
	for (; n > 0 && *choices; n--) {
		choices += strcspn(choices, "|");
		choices += *choices == '|';
	}
	return (struct span){choices, strcspn(choices, "|")};
}

static const char *list_choices(struct arena *a, const char *choices)
{
	const char *text = "";

	for (int i = 0; conf_value_choice(choices, i).len > 0; i++) {
		struct span c = conf_value_choice(choices, i);
		const char *link = i == 0 ? "" : conf_value_choice(choices, i + 1).len > 0 ? ", " : " or ";

		text = arena_printf(a, "%s%s%.*s", text, link, (int)c.len, c.ptr);
	}
	return text;
}

static int choice_index(const char *choices, struct span name)
{
	for (int i = 0; conf_value_choice(choices, i).len > 0; i++) {
		if (span_eq(conf_value_choice(choices, i), name))
			return i;
	}
	return -1;
}

static const char *parse_choice(struct arena *a, const struct opt *o, const char *text, void *at)
{
	int i = choice_index(o->choices, span_of(text));

	if (i < 0)
		return list_choices(a, o->choices);
	*(int *)at = i;
	return NULL;
}

static const char *parse_list(struct arena *a, const struct opt *o, const char *text, void *at)
{
	unsigned seen = 0;
	const char *p = text;

	for (;;) {
		p += strspn(p, " ");
		size_t len = strcspn(p, ", ");
		int i = choice_index(o->choices, (struct span){p, len});
		if (i < 0 || seen & 1u << i)
			break;
		seen |= 1u << i;
		p += len;
		p += strspn(p, " ");
		if (!*p) {
			*(const char **)at = arena_strdup(a, text);
			return NULL;
		}
		if (*p++ != ',')
			break;
	}
	return arena_printf(a, "a list with commas of %s, each once at most", list_choices(a, o->choices));
}

static const char *parse_rate(struct arena *a, const struct opt *o, const char *text, void *at)
{
	const char *slash = strchr(text, '/');
	struct rate r = {0};

	(void)a;
	(void)o;
	if (strcmp(text, "0") != 0 && (!slash || !span_i64((struct span){text, (size_t)(slash - text)}, &r.count) ||
	                               !span_i64(span_of(slash + 1), &r.seconds) || r.count < 1 || r.count > 1000000 ||
	                               r.seconds < 1 || r.seconds > 86400))
		return "COUNT/SECONDS such as 20/60 (1 to 1000000 in 1 to 86400 seconds), or 0 for no limit";
	*(struct rate *)at = r;
	return NULL;
}

static const char *parse_url(struct arena *a, const struct opt *o, const char *text, void *at)
{
	size_t len = strlen(text), scheme = strncasecmp(text, "http://", 7) == 0 ? 7 : 8;

	(void)o;
	while (len > scheme && text[len - 1] == '/')
		len--;
	if ((scheme == 8 && strncasecmp(text, "https://", 8) != 0) || len <= scheme || len > MAX_TEXT ||
	    strchr("/?#:", text[scheme]) || strpbrk(text, " \"<>\\^`{|}#") || has_control(text) ||
	    !utf8_valid(span_of(text)))
		return "a URL such as https://host or http://host:port/path";
	*(const char **)at = arena_strndup(a, text, len);
	return NULL;
}

static bool is_port(const char *s)
{
	int64_t port;

	return span_i64(span_of(s), &port) && port >= 0 && port <= 65535 && s[0] != '-' && strlen(s) <= 5;
}

static const char *parse_listen(struct arena *a, const struct opt *o, const char *text, void *at)
{
	const char *colon = strrchr(text, ':');
	bool bracketed = text[0] == '[', good;

	good = colon && colon > text && is_port(colon + 1);
	if (good && bracketed) /* [v6]:port */
		good = colon[-1] == ']' && colon - text > 3 &&
		       strspn(text + 1, "0123456789abcdefABCDEF:.") == (size_t)(colon - text) - 2;
	else if (good)
		good = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") ==
		       (size_t)(colon - text);
	if (!good && !(o->zero_off && strcmp(text, "0") == 0))
		return o->zero_off ? "HOST:PORT, [V6]:PORT, or 0 for off" : "HOST:PORT or [V6]:PORT";
	*(const char **)at = arena_strdup(a, text);
	return NULL;
}

static const char *(*const parsers[])(struct arena *, const struct opt *, const char *, void *) = {
    [OPT_TEXT] = parse_text, [OPT_INT] = parse_int, [OPT_FLAG] = parse_flag,     [OPT_CHOICE] = parse_choice,
    [OPT_RATE] = parse_rate, [OPT_URL] = parse_url, [OPT_LISTEN] = parse_listen, [OPT_LIST] = parse_list,
};

const char *conf_value_parse(struct arena *a, const struct opt *o, const char *text, void *at)
{
	return parsers[o->type](a, o, text, at);
}
