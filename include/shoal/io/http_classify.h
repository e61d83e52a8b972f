/* CURLcode to err: the one place for it. */
#ifndef SHOAL_IO_HTTP_CLASSIFY_H
#define SHOAL_IO_HTTP_CLASSIFY_H

#include <curl/curl.h>
#include <stdbool.h>

#include "shoal/base/err.h"

struct http_failure {
	enum err err;
	const char *kind; /* for shoal_errors_total{kind} */
};

/* sent: some of the request may have left. */
struct http_failure http_classify(CURLcode code, bool sent);

#endif
