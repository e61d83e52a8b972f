/* "host:port" to a listening socket. */
#ifndef SHOAL_IO_HTTPD_LISTEN_H
#define SHOAL_IO_HTTPD_LISTEN_H

#include "shoal/base/arena.h"

/* Nonblocking, close-on-exec. -1 with *why (in a), a line that starts with "VARIABLE=LISTEN: ". */
int httpd_listen(const char *listen, const char *variable, unsigned *port, struct arena *a, const char **why);

#endif
