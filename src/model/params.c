#include <string.h>

#include "shoal/base/clock.h"
#include "shoal/model/decision.h"

static void add(struct params *p, struct span v)
{
	ENSURE(p->n < PARAMS_MAX);
	p->v[p->n++] = v;
}

void params_i64(struct params *p, int64_t v)
{
	add(p, span_of(arena_i64(p->arena, v)));
}

void params_id(struct params *p, int64_t id)
{
	if (id)
		params_i64(p, id);
	else
		params_null(p);
}

void params_text(struct params *p, const char *s)
{
	add(p, s ? arena_span(p->arena, span_of(s)) : (struct span){0});
}

void params_bool(struct params *p, bool v)
{
	add(p, v ? SPAN("t") : SPAN("f"));
}

void params_time(struct params *p, int64_t wall_ms)
{
	char text[32];

	clock_rfc3339(wall_ms, text, sizeof(text));
	params_text(p, text);
}

void params_null(struct params *p)
{
	add(p, (struct span){0});
}
