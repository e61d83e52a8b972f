#include "shoal/model/fill.h"

#include <string.h>

#include "shoal/model/decision.h"

/* The slot whose name stands in braces at p; *len is what it takes there. */
static const struct slot *slot_at(const char *p, const struct slot *slots, size_t *len)
{
	for (const struct slot *s = slots; s->name; s++) {
		size_t n = strlen(s->name);

		if (strncmp(p + 1, s->name, n) == 0 && p[1 + n] == '}') {
			*len = n + 2;
			return s;
		}
	}
	return NULL;
}

char *text_fill(struct arena *a, const char *html, const struct slot *slots)
{
	struct buf out;
	char *text;

	buf_init(&out, SIZE_MAX / 4);
	for (const char *p = html; *p;) {
		size_t len = strcspn(p, "{");
		const struct slot *s;

		buf_add(&out, p, len);
		p += len;
		if (!*p)
			break;
		s = slot_at(p, slots, &len);
		if (s) {
			buf_adds(&out, s->html ? s->value : text_escape(a, s->value));
			p += len;
		} else {
			buf_addc(&out, *p++);
		}
	}
	text = arena_strdup(a, out.ptr ? out.ptr : "");
	buf_release(&out);
	return text;
}
