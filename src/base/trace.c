#include "shoal/base/trace.h"

#include <string.h>

#include "shoal/base/clock.h"
#include "shoal/base/siphash.h"

enum { AT_ID = 3, AT_SPAN = AT_ID + TRACE_ID_LEN + 1, AT_FLAGS = AT_SPAN + TRACE_SPAN_LEN + 1, SAMPLED = 1 };

static bool is_hex(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!(p[i] >= '0' && p[i] <= '9') && !(p[i] >= 'a' && p[i] <= 'f'))
			return false;
	return true;
}

static bool is_id(const char *p, size_t n)
{
	return is_hex(p, n) && strspn(p, "0") < n;
}

static unsigned digit(char c)
{
	return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
}

/* Version 00 ends here; a later one may go on, behind a dash. ff is no version. */
static bool ends_well(struct span s)
{
	if (s.len == TRACEPARENT_LEN)
		return memcmp(s.ptr, "ff", 2) != 0;
	return s.ptr[TRACEPARENT_LEN] == '-' && memcmp(s.ptr, "ff", 2) != 0 && memcmp(s.ptr, "00", 2) != 0;
}

bool trace_read(struct trace *t, struct span s)
{
	const char *p = s.ptr;

	if (!p || s.len < TRACEPARENT_LEN || !is_hex(p, 2) || p[AT_ID - 1] != '-' || !is_id(p + AT_ID, TRACE_ID_LEN) ||
	    p[AT_SPAN - 1] != '-' || !is_id(p + AT_SPAN, TRACE_SPAN_LEN) || p[AT_FLAGS - 1] != '-' ||
	    !is_hex(p + AT_FLAGS, 2) || !ends_well(s))
		return false;
	memcpy(t->id, p + AT_ID, TRACE_ID_LEN);
	memcpy(t->span, p + AT_SPAN, TRACE_SPAN_LEN);
	t->id[TRACE_ID_LEN] = t->span[TRACE_SPAN_LEN] = '\0';
	t->sampled = digit(p[AT_FLAGS + 1]) & SAMPLED;
	return true;
}

/* That all its digits are 0 happens to nobody. */
static void new_span(struct trace *t)
{
	random_hex(t->span, TRACE_SPAN_LEN / 2);
}

void trace_new(struct trace *t)
{
	char both[TRACE_ID_LEN + TRACE_SPAN_LEN + 1];

	random_hex(both, (TRACE_ID_LEN + TRACE_SPAN_LEN) / 2);
	memcpy(t->id, both, TRACE_ID_LEN);
	t->id[TRACE_ID_LEN] = '\0';
	memcpy(t->span, both + TRACE_ID_LEN, TRACE_SPAN_LEN + 1);
	t->sampled = true;
}

void trace_continue(struct trace *t, const char *traceparent)
{
	if (trace_read(t, span_of(traceparent)))
		new_span(t);
	else
		trace_new(t);
}

static void put_hex(char *to, uint64_t v)
{
	for (int i = 15; i >= 0; i--, v >>= 4)
		to[i] = "0123456789abcdef"[v & 15];
}

/* Seeds that are no secret: every program makes the same of the same key. */
static void of_key(struct trace *t, struct span key)
{
	static const struct siphash_seed seeds[] = {{{1, 1}}, {{2, 2}}, {{3, 3}}};

	put_hex(t->id, siphash(&seeds[0], key));
	put_hex(t->id + 16, siphash(&seeds[1], key) | 1);
	put_hex(t->span, siphash(&seeds[2], key) | 1);
	t->id[TRACE_ID_LEN] = t->span[TRACE_SPAN_LEN] = '\0';
	t->sampled = true;
}

void trace_of_entry(struct trace *t, struct span traceparent, struct span key)
{
	if (!trace_read(t, traceparent))
		of_key(t, key);
}

struct trace trace_below(const struct trace *t)
{
	struct trace own = *t;

	new_span(&own);
	return own;
}

void trace_text(const struct trace *t, char *out)
{
	memcpy(out, "00-", AT_ID);
	memcpy(out + AT_ID, t->id, TRACE_ID_LEN);
	out[AT_SPAN - 1] = '-';
	memcpy(out + AT_SPAN, t->span, TRACE_SPAN_LEN);
	memcpy(out + AT_FLAGS - 1, t->sampled ? "-01" : "-00", sizeof("-01"));
}
