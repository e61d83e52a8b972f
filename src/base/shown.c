#include "shoal/base/shown.h"

#include <string.h>

#include "shoal/base/str.h"

enum { SHOWN_BYTES = 60 };

bool char_is_unseen(const char *p, size_t n)
{
	unsigned c = utf8_code(p, n);

	return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x061C || c == 0x200E || c == 0x200F ||
	       (c >= 0x2028 && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069) || c == 0xFFFE || c == 0xFFFF;
}

const char *shown(struct arena *a, const char *value)
{
	size_t len = strlen(value), i = 0;
	struct buf b;
	const char *text;

	buf_init(&b, 8 * SHOWN_BYTES);
	buf_addc(&b, '"');
	while (i < len && i < SHOWN_BYTES) {
		size_t n = utf8_char_len(value + i, len - i);

		if (n == 0 || char_is_unseen(value + i, n)) {
			n = n ? n : 1;
			for (size_t k = 0; k < n; k++)
				buf_addf(&b, "\\x%02x", (unsigned char)value[i + k]);
		} else {
			buf_add(&b, value + i, n);
		}
		i += n;
	}
	buf_addc(&b, '"');
	if (i < len)
		buf_addf(&b, "... (%zu bytes)", len);
	text = arena_strndup(a, b.ptr, b.len);
	buf_release(&b);
	return text;
}
