/* TLS for Redis connections, where the build has hiredis_ssl (-DSHOAL_REDIS_TLS; hiredis 1.0 and later). */
#ifndef SHOAL_IO_REDIS_TLS_H
#define SHOAL_IO_REDIS_TLS_H

#include <hiredis/hiredis.h>
#include <stdbool.h>

bool redis_tls_available(void);
/* Starts TLS on a connected context; the certificate must be valid for host. false: the reason is in c->errstr. */
bool redis_tls_start(redisContext *c, const char *host);

#endif
