/* How often an address, and all of them together, may try tokens that are wrong. Pure: time is given. Bounded in memory
 * whatever strangers do; what it forgets when there are very many addresses is what the common limit is for. */
#ifndef SHOAL_ADMIN_LOGIN_LIMIT_H
#define SHOAL_ADMIN_LOGIN_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

struct login_limit;

struct login_limit *login_limit_new(void);
void login_limit_free(struct login_limit *l);

/* 0: it may try now; else ms to wait. An address that a right token came from lately is not held back by what others
 * tried. address: as of httpd_client; those of one /64 of IPv6 are one. */
int64_t login_limit_wait(struct login_limit *l, const char *address, int64_t now_ms);
/* What became of the try. */
void login_limit_wrong(struct login_limit *l, const char *address, int64_t now_ms);
void login_limit_right(struct login_limit *l, const char *address, int64_t now_ms);

#endif
