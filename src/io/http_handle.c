#include "shoal/io/http_handle.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "shoal/base/arena.h"
#include "shoal/base/err.h"
#include "shoal/base/str.h"

#define BUFFER_BYTES 16383L /* and one more: a power of two, which wastes nothing */
#define DNS_CACHE_S 30L

static const char *named(const char *variable)
{
	const char *value = getenv(variable);

	return value && *value ? value : NULL;
}

/* The roots as all that OpenSSL does finds them: curl does not look into the environment by itself. Where a file has
 * them there is no folder beside it unless one is named: curl keeps what it has read of a file for a day
 * (CURLOPT_CA_CACHE_TIMEOUT), but with a folder it reads all of the file for each connection, which holds the loop up
 * for some 50 ms. */
static void set_roots(CURL *e)
{
	const char *file = named("SSL_CERT_FILE"), *folder = named("SSL_CERT_DIR");
	const char *usual = curl_version_info(CURLVERSION_NOW)->cainfo;

	if (!file && !folder && usual && access(usual, R_OK) == 0)
		file = usual;
	if (file)
		curl_easy_setopt(e, CURLOPT_CAINFO, file);
	if (file || folder)
		curl_easy_setopt(e, CURLOPT_CAPATH, folder);
}

static struct http_handle handle_new(struct http_handles *hs)
{
	CURL *e = curl_easy_init();

	ENSURE(e);
	curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(e, CURLOPT_BUFFERSIZE, BUFFER_BYTES);
	curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
	curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(e, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	curl_easy_setopt(e, CURLOPT_DNS_CACHE_TIMEOUT, DNS_CACHE_S);
	curl_easy_setopt(e, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	set_roots(e);
	hs->set_up(e, hs->arg);
	return (struct http_handle){.easy = e};
}

/* One that knows the target, where there is one. */
static struct http_handle take_idle(struct http_handles *hs, const struct http_target *t)
{
	if (!hs->nidle)
		return handle_new(hs);
	unsigned last = hs->nidle - 1, i = last;
	while (i > 0 && hs->idle[i].target != t)
		i--;
	if (hs->idle[i].target != t)
		i = last;
	struct http_handle found = hs->idle[i];
	hs->idle[i] = hs->idle[last];
	hs->nidle = last;
	return found;
}

static void handle_forget_target(struct http_handle *hd)
{
	curl_easy_setopt(hd->easy, CURLOPT_CURLU, NULL);
	curl_easy_setopt(hd->easy, CURLOPT_URL, NULL);
	curl_easy_setopt(hd->easy, CURLOPT_REQUEST_TARGET, NULL);
	hd->target = NULL;
}

/* --- targets */

static bool is_loopback(const char *host)
{
	static const char *const names[] = {"localhost", "127.", "[::1]", NULL};
	size_t len = strcspn(host, "/?#");
	const char *at = memchr(host, '@', len);

	host = at ? at + 1 : host;
	for (const char *const *n = names; *n; n++) {
		if (strncasecmp(host, *n, strlen(*n)) == 0)
			return true;
	}
	return false;
}

static void target_release(struct http_handles *hs, struct http_target *t)
{
	for (unsigned i = 0; i < hs->nidle; i++) {
		if (hs->idle[i].target == t)
			handle_forget_target(&hs->idle[i]);
	}
	curl_url_cleanup(t->parts);
	curl_free(t->origin);
	free(t->path);
	free(t->url);
	*t = (struct http_target){0};
}

/* Takes path and query out of the parts. */
static char *cut_path(CURLU *parts)
{
	char *path, *query = NULL;
	struct buf whole;

	ENSURE(curl_url_get(parts, CURLUPART_PATH, &path, 0) == CURLUE_OK);
	(void)curl_url_get(parts, CURLUPART_QUERY, &query, 0);
	buf_init(&whole, SIZE_MAX / 4);
	buf_addf(&whole, "%s%s%s", path, query ? "?" : "", query ? query : "");
	curl_free(path);
	curl_free(query);
	ENSURE(curl_url_set(parts, CURLUPART_PATH, "/", 0) == CURLUE_OK);
	curl_url_set(parts, CURLUPART_QUERY, NULL, 0);
	curl_url_set(parts, CURLUPART_FRAGMENT, NULL, 0);
	return whole.ptr;
}

/* NULL: it cannot be taken apart, or all places are in use. */
static struct http_target *target_of(struct http_handles *hs, const char *url)
{
	struct http_target *t;
	CURLU *parts;

	for (t = hs->targets; t < hs->targets + HTTP_TARGETS; t++)
		if (t->url && strcmp(t->url, url) == 0)
			return t;
	t = &hs->targets[hs->next_target++ % HTTP_TARGETS];
	if (t->calls)
		return NULL;
	parts = curl_url();
	ENSURE(parts);
	if (curl_url_set(parts, CURLUPART_URL, url, 0) != CURLUE_OK) {
		curl_url_cleanup(parts);
		return NULL;
	}
	target_release(hs, t);
	*t = (struct http_target){.url = mem_strdup(url), .parts = parts, .path = cut_path(parts)};
	ENSURE(curl_url_get(parts, CURLUPART_URL, &t->origin, 0) == CURLUE_OK);
	return t;
}

/* The environment's proxy is for the world outside: https, and not this machine. */
static void set_route(struct http_handle *hd, struct http_target *t, const char *url)
{
	bool https = strncasecmp(url, "https://", 8) == 0;
	CURL *e = hd->easy;

	if (t)
		t->calls++;
	if (t && t == hd->target)
		return;
	hd->target = t;
	curl_easy_setopt(e, CURLOPT_CURLU, t ? t->parts : NULL);
	curl_easy_setopt(e, CURLOPT_URL, t ? t->origin : url);
	curl_easy_setopt(e, CURLOPT_REQUEST_TARGET, t ? t->path : NULL);
	curl_easy_setopt(e, CURLOPT_PROXY, https && !is_loopback(url + 8) ? NULL : "");
	curl_easy_setopt(e, CURLOPT_NOPROXY, https ? NULL : "*"); /* else it looks for a list in the environment */
	curl_easy_setopt(e, CURLOPT_PIPEWAIT, https ? 1L : 0L);
}

struct http_handle http_handle_take(struct http_handles *hs, const char *url)
{
	struct http_target *t = target_of(hs, url); /* first: one that makes room is forgotten by its handles */
	struct http_handle hd = take_idle(hs, t);

	set_route(&hd, t, url);
	return hd;
}

void http_handle_give(struct http_handles *hs, struct http_handle hd)
{
	CURL *e = hd.easy;

	if (hd.target)
		hd.target->calls--;
	if (hs->nidle == HTTP_IDLE_HANDLES || hd.spent) {
		curl_easy_cleanup(e);
		return;
	}
	/* nothing of the last request may stay behind in it but its target: most requests go to few */
	curl_easy_setopt(e, CURLOPT_HTTPGET, 1L);
	curl_easy_setopt(e, CURLOPT_POSTFIELDS, NULL);
	curl_easy_setopt(e, CURLOPT_HTTPHEADER, NULL);
	curl_easy_setopt(e, CURLOPT_PRIVATE, NULL);
	curl_easy_setopt(e, CURLOPT_WRITEDATA, NULL);
	curl_easy_setopt(e, CURLOPT_HEADERDATA, NULL);
	if (!hd.target)
		handle_forget_target(&hd);
	hs->idle[hs->nidle++] = hd;
}

void http_handles_close(struct http_handles *hs)
{
	while (hs->nidle)
		curl_easy_cleanup(hs->idle[--hs->nidle].easy);
	for (struct http_target *t = hs->targets; t < hs->targets + HTTP_TARGETS; t++) {
		ENSURE(t->calls == 0);
		target_release(hs, t);
	}
}
