#include "shoal/base/siphash.h"

#include <endian.h>
#include <string.h>

struct state {
	uint64_t a, b, c, d;
};

static uint64_t turn_left(uint64_t x, int bits)
{
	return x << bits | x >> (64 - bits);
}

static void mix(struct state *s)
{
	s->a += s->b;
	s->c += s->d;
	s->b = turn_left(s->b, 13) ^ s->a;
	s->d = turn_left(s->d, 16) ^ s->c;
	s->a = turn_left(s->a, 32);
	s->c += s->b;
	s->a += s->d;
	s->b = turn_left(s->b, 17) ^ s->c;
	s->d = turn_left(s->d, 21) ^ s->a;
	s->c = turn_left(s->c, 32);
}

static void take(struct state *s, uint64_t word)
{
	s->d ^= word;
	mix(s);
	s->a ^= word;
}

uint64_t siphash(const struct siphash_seed *seed, struct span s)
{
	struct state v = {seed->k[0] ^ 0x736f6d6570736575u, seed->k[1] ^ 0x646f72616e646f6du,
	                  seed->k[0] ^ 0x6c7967656e657261u, seed->k[1] ^ 0x7465646279746573u};
	uint64_t word, last = (uint64_t)s.len << 56;
	size_t i = 0;

	for (; s.len - i >= sizeof(word); i += sizeof(word)) {
		memcpy(&word, s.ptr + i, sizeof(word));
		take(&v, le64toh(word));
	}
	for (int shift = 0; i < s.len; i++, shift += 8)
		last |= (uint64_t)(unsigned char)s.ptr[i] << shift;
	take(&v, last);
	v.c ^= 0xff;
	for (int round = 0; round < 3; round++)
		mix(&v);
	return v.a ^ v.b ^ v.c ^ v.d;
}
