#include "shoal/io/redis_url.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "shoal/base/str.h"
#include "shoal/io/redis.h"
#include "shoal/io/redis_tls.h"

#define PORT 6379
#define DB_MAX 1000000

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* NULL for a cut-off escape and for a NUL. */
static const char *decode(struct arena *a, struct span s)
{
	char *out = arena_alloc(a, s.len + 1), *end = out;
	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];
		if (c == '%') {
			if (i + 2 >= s.len || hex(s.ptr[i + 1]) < 0 || hex(s.ptr[i + 2]) < 0)
				return NULL;
			c = (char)(hex(s.ptr[i + 1]) << 4 | hex(s.ptr[i + 2]));
			i += 2;
		}
		if (c == '\0')
			return NULL;
		*end++ = c;
	}
	*end = '\0';
	return out;
}

/* Cuts s before the first (or last) c, gives what follows; *found tells whether c was there. */
static struct span cut(struct span *s, char c, bool last, bool *found)
{
	const char *at = NULL;
	if (s->len)
		at = last ? memrchr(s->ptr, c, s->len) : memchr(s->ptr, c, s->len);
	*found = at != NULL;
	if (!at)
		return (struct span){0};
	struct span rest = {at + 1, s->len - (size_t)(at + 1 - s->ptr)};
	s->len = (size_t)(at - s->ptr);
	return rest;
}

static const char *read_number(struct span s, int64_t min, int64_t max, int *out, const char *otherwise)
{
	int64_t n;
	if (!span_i64(s, &n) || n < min || n > max)
		return otherwise;
	*out = (int)n;
	return NULL;
}

static const char *read_credentials(struct redis_url *u, struct span s, struct arena *a)
{
	static const char *const bad = "user and password need %XX escapes for special characters, and hold no NUL";
	bool has_pass;
	struct span pass = cut(&s, ':', false, &has_pass);
	if (!has_pass) /* as redis-cli reads it: only a password */
		pass = s;
	else if (s.len && !(u->user = decode(a, s)))
		return bad;
	u->pass = decode(a, pass);
	if (!u->pass)
		return bad;
	return u->pass[0] == '\0' ? "the password before @ is empty" : NULL;
}

static const char *read_host(struct redis_url *u, struct span s, struct arena *a)
{
	struct span port = {0};
	bool has_port = false;
	if (s.len && s.ptr[0] == '[') {
		bool closed;
		s.ptr++, s.len--;
		struct span rest = cut(&s, ']', false, &closed);
		if (!closed || (rest.len && rest.ptr[0] != ':'))
			return "an IPv6 address is written [address] or [address]:port";
		has_port = rest.len > 0;
		if (has_port)
			port = (struct span){rest.ptr + 1, rest.len - 1};
	} else {
		port = cut(&s, ':', false, &has_port);
	}
	if (!s.len)
		return "the host is missing";
	if (memchr(s.ptr, ',', s.len))
		return "one URL is expected here, not a list";
	u->host = decode(a, s);
	if (!u->host || strpbrk(u->host, " /\\@"))
		return "the host is no host name";
	u->port = PORT;
	return has_port ? read_number(port, 1, 65535, &u->port, "the port must be 1 to 65535") : NULL;
}

static const char *read_query(struct redis_url *u, struct span query)
{
	while (query.len) {
		bool more, has_value;
		int shards;
		struct span rest = cut(&query, '&', false, &more);
		struct span value = cut(&query, '=', false, &has_value);
		const char *why = "unknown parameter after ? (db on unix://, shards elsewhere)";
		if (u->path && span_is(query, "db"))
			why = read_number(value, 0, DB_MAX, &u->db, "db must be a number");
		else if (!u->path && span_is(query, "shards"))
			why = read_number(value, 1, 1 << 14, &shards, "shards must be 1 to 16384");
		if (why)
			return why;
		query = rest;
	}
	return NULL;
}

static const char *read_unix(struct redis_url *u, struct span s, struct arena *a)
{
	bool found;
	struct span query = cut(&s, '?', false, &found), path = s;
	struct span after_at = cut(&s, '@', true, &found); /* unix://user:pass@/path */
	if (found) {
		path = after_at;
		const char *why = read_credentials(u, s, a);
		if (why)
			return why;
	}
	u->path = decode(a, path);
	if (!u->path || u->path[0] != '/' || !u->path[1])
		return "unix:// needs an absolute path, as in unix:///run/redis.sock";
	if (strlen(u->path) >= sizeof(((struct sockaddr_un *)0)->sun_path))
		return "the path of a unix socket may have at most 107 bytes";
	u->name = arena_printf(a, "unix://%s", u->path);
	return read_query(u, query);
}

static const char *read_tcp(struct redis_url *u, struct span s, struct arena *a)
{
	bool found, has_credentials;
	const char *why;
	struct span query = cut(&s, '?', false, &found);
	struct span host = cut(&s, '@', true, &has_credentials);
	if (!has_credentials)
		host = s;
	struct span db = cut(&host, '/', false, &found);
	if (has_credentials && (why = read_credentials(u, s, a)))
		return why;
	if ((why = read_host(u, host, a)))
		return why;
	if (db.len && (why = read_number(db, 0, DB_MAX, &u->db, "the part after the host must be a database number")))
		return why;
	bool v6 = strchr(u->host, ':') != NULL;
	u->name = arena_printf(a, "%s://%s%s%s:%d/%d", u->tls ? "rediss" : "redis", v6 ? "[" : "", u->host,
	                       v6 ? "]" : "", u->port, u->db);
	return read_query(u, query);
}

static const char *read_any(struct redis_url *u, const char *url, struct arena *a)
{
	static const char tls[] = "rediss://", tcp[] = "redis://", local[] = "unix://";
	struct span s = span_of(url);
	if (span_starts(s, local))
		return read_unix(u, span_of(url + strlen(local)), a);
	if (span_starts(s, tcp))
		return read_tcp(u, span_of(url + strlen(tcp)), a);
	if (!span_starts(s, tls))
		return "a Redis URL starts with redis://, rediss:// or unix://";
	if (!redis_tls_available())
		return "rediss:// needs hiredis 1.0 or later with TLS; this program was built without it";
	u->tls = true;
	return read_tcp(u, span_of(url + strlen(tls)), a);
}

enum err redis_url_parse(const char *url, struct redis_url *out, struct arena *a, const char **why)
{
	*out = (struct redis_url){0};
	*why = read_any(out, url ? url : "", a);
	return *why ? ERR_INVALID : ERR_OK;
}

enum err redis_url_check(const char *url, struct arena *a, const char **why)
{
	struct redis_url u;
	return redis_url_parse(url, &u, a, why);
}
