/* SipHash-1-3 (Aumasson and Bernstein): a hash for tables whose keys strangers choose. Without the seed nobody can make
 * keys that collide. */
#ifndef SHOAL_BASE_SIPHASH_H
#define SHOAL_BASE_SIPHASH_H

#include <stdint.h>

#include "shoal/base/str.h"

struct siphash_seed {
	uint64_t k[2]; /* random, once for a table */
};

uint64_t siphash(const struct siphash_seed *seed, struct span s);

#endif
