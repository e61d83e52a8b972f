/* What stands in a JSON string as it is, eight bytes at a time. */
#ifndef SHOAL_BASE_JSON_PLAIN_H
#define SHOAL_BASE_JSON_PLAIN_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

/* How many of eight bytes come before a quote, a backslash or a control character (DEL is one here). */
static inline unsigned json_plain8(const char *p)
{
	const uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;
	uint64_t w, quote, slash, del;

	memcpy(&w, p, sizeof(w));
	w = le64toh(w);
	quote = w ^ (ones * '"');
	slash = w ^ (ones * '\\');
	del = w ^ (ones * 0x7F);
	/* Each term's high bit shows a zero byte (quote, backslash) or one below 0x20; a borrow can only add alarms, in
	 * bytes that are more significant than the first true one. */
	w = (((quote - ones) & ~quote) | ((slash - ones) & ~slash) | ((del - ones) & ~del) | ((w - ones * 0x20) & ~w)) &
	    highs;
	return w ? (unsigned)__builtin_ctzll(w) / 8 : 8;
}

#endif
