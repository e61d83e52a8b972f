/* Host names to addresses without blocking the loop (libevent's evdns), asked anew at every connect, so that a
 * failover that moves a name is followed. Numeric addresses and /etc/hosts names are answered too. */
#ifndef SHOAL_IO_DNS_H
#define SHOAL_IO_DNS_H

#include "shoal/base/err.h"
#include "shoal/io/loop.h"

struct dns_query;
/* addr: a numeric address as text, valid during the call; NULL with an error: ERR_INVALID (no host name),
 * ERR_NOT_FOUND (no such name), ERR_UNREACHABLE (no name server answered), ERR_TIMEOUT.
 * Of several addresses one is picked by chance, IPv4 before IPv6. localhost is always 127.0.0.1 (RFC 6761). */
typedef void dns_fn(void *arg, enum err err, const char *addr);
/* Never completes inside this call. Times out after 5 s. Changes of /etc/resolv.conf and /etc/hosts are noticed. */
struct dns_query *dns_resolve(struct loop *l, const char *host, dns_fn *fn, void *arg);
void dns_cancel(struct dns_query *q); /* fn is not called any more */

#endif
