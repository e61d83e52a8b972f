/* What Redis answers to SCAN, read with suspicion: whoever is Redis may say anything. */
#ifndef SHOAL_CLI_SCAN_H
#define SHOAL_CLI_SCAN_H

#include <hiredis/hiredis.h>
#include <stdbool.h>

#define SCAN_CURSOR_MAX 32

/* Its keys, an array of strings; cursor becomes that of the next page, "0": there is none. NULL: it is no such answer,
 * and cursor stays. */
const redisReply *scan_keys(const redisReply *r, char cursor[SCAN_CURSOR_MAX]);

#endif
