/* What both kinds of Redis connections know of scripts. */
#ifndef SHOAL_IO_REDIS_SCRIPT_H
#define SHOAL_IO_REDIS_SCRIPT_H

#include "shoal/io/redis.h"

/* Fills text and sha at first use. A script that is not in the program is a BUG(). */
void redis_script_prepare(struct redis_script *s);

#endif
