#include "shoal/cli/body.h"

#include <string.h>

#include "shoal/cli/out.h"

enum { TEXT_MAX = 1 << 30 };

static void add_line_break(struct buf *b, int depth)
{
	buf_addc(b, '\n');
	while (depth-- > 0)
		buf_adds(b, "  ");
}

/* Compact JSON with line breaks and indents. */
static void add_indented(struct buf *b, struct span json)
{
	bool quoted = false;
	int depth = 0;

	for (size_t i = 0; i < json.len; i++) {
		char c = json.ptr[i], next = i + 1 < json.len ? json.ptr[i + 1] : 0;

		if (quoted || !strchr("{}[],:", c)) {
			quoted ^= c == '"';
			buf_addc(b, c);
			if (c == '\\')
				buf_addc(b, json.ptr[++i]);
			continue;
		}
		if (c == '}' || c == ']')
			add_line_break(b, --depth);
		buf_addc(b, c);
		if ((c == '{' && next == '}') || (c == '[' && next == ']'))
			buf_addc(b, json.ptr[++i]);
		else if (c == '{' || c == '[')
			add_line_break(b, ++depth);
		else if (c == ',')
			add_line_break(b, depth);
		else if (c == ':')
			buf_addc(b, ' ');
	}
}

int body_print(const struct body *body)
{
	struct buf b;
	int code;

	buf_init(&b, TEXT_MAX);
	if (body->json.ptr)
		add_indented(&b, body->json);
	else
		buf_add(&b, body->text.ptr, body->text.len);
	code = out_lines(buf_span(&b));
	buf_release(&b);
	return code;
}
