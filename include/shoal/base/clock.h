/* The clocks and the source of randomness. Bots never call these: time and chance reach them as facts. */
#ifndef SHOAL_BASE_CLOCK_H
#define SHOAL_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

/* CLOCK_BOOTTIME: never steps, counts suspend. For durations and deadlines inside one process. */
int64_t clock_ms(void);
int64_t clock_us(void);
/* CLOCK_REALTIME: ms since 1970, may step. For what people and other machines see. */
int64_t clock_wall_ms(void);

/* RFC 3339 in UTC, "2026-01-31T12:00:00.000Z"; out holds at least 25 bytes. */
void clock_rfc3339(int64_t wall_ms, char *out, size_t size);
/* Reads RFC 3339 (date, 'T' or space, time, optional fraction, 'Z' or offset). False if it is anything else. */
_Bool clock_parse_rfc3339(const char *s, int64_t *wall_ms);

/* From the kernel's generator; ends the process where there is none. */
void random_bytes(void *p, size_t len);
uint64_t random_u64(void);
/* Lower-case hex of len random bytes; out holds 2 * len + 1 bytes. */
void random_hex(char *out, size_t len);
/* ms, give or take up to a quarter: for backoff that does not march in step. */
int64_t jitter_ms(int64_t ms);

#endif
