/* The request, as the handler sees it. */
#include <strings.h>

#include "shoal/io/httpd_conn.h"

void httpd_request_free(struct httpd_request *r)
{
	if (r->handled && r->h) {
		LIST_REMOVE(r, link);
		r->h->open_requests--;
	}
	if (r->h)
		r->h->body_bytes -= r->counted;
	struct arena own = r->arena; /* r lies in it */

	buf_release(&r->body);
	arena_release(&own);
}

struct httpd_request *httpd_request_new(struct httpd_conn *c)
{
	struct arena own;
	struct httpd_request *r;

	arena_init(&own);
	r = arena_new(&own, struct httpd_request);
	r->arena = own;
	r->h = c->h;
	r->conn = c;
	buf_init(&r->body, c->h->opts.max_body);
	return r;
}

const char *httpd_method(const struct httpd_request *r)
{
	return r->head.method;
}

const char *httpd_path(const struct httpd_request *r)
{
	return r->head.path;
}

const char *httpd_query(const struct httpd_request *r, const char *name)
{
	return http_pairs_get(&r->head.query, name);
}

const char *httpd_header(const struct httpd_request *r, const char *name)
{
	return http_head_get(&r->head, name);
}

const char *httpd_header_once(const struct httpd_request *r, const char *name)
{
	return http_head_count(&r->head, name) == 1 ? http_head_get(&r->head, name) : NULL;
}

const char *httpd_client(const struct httpd_request *r)
{
	return r->client;
}

struct span httpd_body(const struct httpd_request *r)
{
	if (r->whole.len)
		return r->whole;
	return r->body.len ? buf_span(&r->body) : SPAN("");
}

static void parse_form(struct httpd_request *r)
{
	static const char urlencoded[] = "application/x-www-form-urlencoded", multipart[] = "multipart/form-data";
	const char *type = httpd_header(r, "Content-Type");
	bool good = false;

	if (type && strncasecmp(type, urlencoded, sizeof(urlencoded) - 1) == 0)
		good = http_urlencoded_parse(&r->form, &r->arena, httpd_body(r));
	else if (type && strncasecmp(type, multipart, sizeof(multipart) - 1) == 0)
		good = http_multipart_parse(&r->form, &r->arena, type, httpd_body(r));
	if (!good)
		r->form.n = 0;
	r->form_parsed = true;
}

const char *httpd_form(struct httpd_request *r, const char *name)
{
	if (!r->form_parsed)
		parse_form(r);
	return http_pairs_get(&r->form, name);
}

struct arena *httpd_arena(struct httpd_request *r)
{
	return &r->arena;
}
