/* libcurl's easy handles: set up once, used again and again, each with the target that it was set up for last. For the
 * HTTP client alone. */
#ifndef SHOAL_IO_HTTP_HANDLE_H
#define SHOAL_IO_HTTP_HANDLE_H

#include <curl/curl.h>
#include <stdbool.h>

#define HTTP_TARGETS 8
#define HTTP_IDLE_HANDLES 64

/* A URL taken apart: curl would do that again for every request. Where it is given parts and no URL it prints one each
 * time, at a high price for each letter, so it gets both; the path stands apart, as it would be copied several times.
 */
struct http_target {
	char *url;      /* NULL: none */
	CURLU *parts;   /* without path and query; curl reads it while a call is under way */
	char *origin;   /* those parts as a URL */
	char *path;     /* with the query */
	unsigned calls; /* handles taken for it and not given back: so long it stays */
};

struct http_handle {
	CURL *easy;                 /* NULL: none */
	struct http_target *target; /* NULL: none that is kept */
	bool spent;                 /* not to be used again */
};

/* Zero before use, but for the first two. */
struct http_handles {
	void (*set_up)(CURL *e, void *arg); /* what every new one needs */
	void *arg;
	/* the module's own */
	struct http_target targets[HTTP_TARGETS];
	unsigned next_target; /* to make room */
	struct http_handle idle[HTTP_IDLE_HANDLES];
	unsigned nidle;
};

/* One that knows how to get to the URL. The caller sets method, headers, body, times, CURLOPT_PRIVATE and the data of
 * the callbacks, each time, and gives it back once. */
struct http_handle http_handle_take(struct http_handles *hs, const char *url);
/* After curl_multi_remove_handle(3). */
void http_handle_give(struct http_handles *hs, struct http_handle hd);
/* Once all are back. */
void http_handles_close(struct http_handles *hs);

#endif
