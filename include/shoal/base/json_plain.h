/* What stands in a JSON string as it is, eight bytes at a time. */
#ifndef SHOAL_BASE_JSON_PLAIN_H
#define SHOAL_BASE_JSON_PLAIN_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* True for eight bytes without a quote, a backslash or a control character (DEL is one here). */
static inline bool json_plain8(const char *p)
{
	const uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;
	uint64_t w, quote, slash, del;

	memcpy(&w, p, sizeof(w));
	quote = w ^ (ones * '"');
	slash = w ^ (ones * '\\');
	del = w ^ (ones * 0x7F);
	/* Each term's high bit shows a zero byte (quote, backslash) or one below 0x20; a borrow can only add alarms. */
	return !(
	    (((quote - ones) & ~quote) | ((slash - ones) & ~slash) | ((del - ones) & ~del) | ((w - ones * 0x20) & ~w)) &
	    highs);
}

#endif
