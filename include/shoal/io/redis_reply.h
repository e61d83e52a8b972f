/* What is believed of an answer before it has come: memory is asked for by what a peer says will follow. */
#ifndef SHOAL_IO_REDIS_REPLY_H
#define SHOAL_IO_REDIS_REPLY_H

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stddef.h>

#if HIREDIS_MAJOR >= 1
typedef size_t redis_count;
#else
typedef int redis_count;
#endif

/* An array of so many that no answer here has them, or deeper in others than any is. */
bool redis_array_is_absurd(const redisReadTask *t, redis_count n);

/* Answers of c are refused as soon as they are so: it is broken then, with REDIS_ERR_OOM. Else they stay as hiredis
 * makes them. */
void redis_replies_bounded(redisContext *c);

#endif
