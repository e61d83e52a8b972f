/* libcurl's sockets and its timer as events of the loop. For the HTTP client alone. */
#ifndef SHOAL_IO_HTTP_SOCK_H
#define SHOAL_IO_HTTP_SOCK_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>

#include "shoal/io/loop.h"

struct http_sock;

struct http_socks {
	struct loop *loop;
	CURLM *multi;
	void (*acted)(void *arg);     /* curl has run: requests may be complete */
	bool (*has_answered)(CURL *); /* the request whose connection curl wants to hear nothing of now */
	void *arg;
	/* the module's own */
	struct timer timer;
	struct http_sock **all; /* by descriptor */
	size_t n;
};

/* With all above set, before the multi handle gets its first request. */
void http_socks_open(struct http_socks *hs);
/* CURLOPT_CLOSESOCKETFUNCTION, with hs as its data. */
int http_socks_on_close(void *hs, curl_socket_t fd);
/* After curl_multi_cleanup(3), which still closes sockets. */
void http_socks_close(struct http_socks *hs);

#endif
