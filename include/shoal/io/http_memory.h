/* What libcurl takes memory from: for each request it takes and gives back some thirty pieces of the same sizes. */
#ifndef SHOAL_IO_HTTP_MEMORY_H
#define SHOAL_IO_HTTP_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

#include "shoal/base/asan.h"

#define HTTP_MEMORY_KEPT (4u << 20) /* bytes of what was given back and waits to be taken again */

/* curl_global_init(3) with that memory, by the thread that will run curl. May be called again. False: it failed. */
bool http_memory_init(void);

#ifndef ASAN
/* What curl is given there, as in the C library; SIZE_MAX / 2 at most. */
void *http_memory_take(size_t size);
void http_memory_give(void *mem);
void *http_memory_again(void *old, size_t size);
void *http_memory_zeroed(size_t n, size_t size);
char *http_memory_text(const char *text);
/* Bytes that wait now. */
size_t http_memory_waiting(void);
#endif

#endif
