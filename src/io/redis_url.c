#include "shoal/io/redis_url.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "shoal/base/str.h"
#include "shoal/io/redis.h"
#include "shoal/io/redis_tls.h"

#define PORT 6379
#define SENTINEL_PORT 26379
#define SHARDS_MAX 64 /* as of a list */
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

/* "host", "host:port", "[v6]:port" as one more of the nodes. */
static const char *read_node(struct redis_url *u, struct span s, struct arena *a)
{
	struct redis_place *place = &u->nodes[u->nnodes];
	struct span port = {0};
	bool has_port = false;
	if (u->nnodes == REDIS_NODES_MAX)
		return "it names too many nodes";
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
	place->host = decode(a, s);
	if (!place->host || strpbrk(place->host, " /\\@"))
		return "the host is no host name";
	u->nnodes++;
	place->port = u->master ? SENTINEL_PORT : PORT;
	return has_port ? read_number(port, 1, 65535, &place->port, "the port must be 1 to 65535") : NULL;
}

static const char *read_query(struct redis_url *u, struct span query, struct arena *a)
{
	while (query.len) {
		bool more, has_value;
		struct span rest = cut(&query, '&', false, &more);
		struct span value = cut(&query, '=', false, &has_value);
		const char *why = "unknown parameter after ? (db on unix://, shards and node elsewhere)";
		if (u->path && span_is(query, "db"))
			why = read_number(value, 0, DB_MAX, &u->db, "db must be a number");
		else if (!u->path && !u->master && span_is(query, "shards"))
			why = read_number(value, 1, SHARDS_MAX, &u->shards, "shards must be 1 to 64");
		else if (!u->path && span_is(query, "node"))
			why = read_node(u, value, a);
		if (why)
			return why;
		query = rest;
	}
	if (u->nnodes > 1 && !u->shards && !u->master)
		return "node belongs to a Redis Cluster (?shards=N) or to Sentinels (redis+sentinel://)";
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
	return read_query(u, query, a);
}

/* Before a database stands the name by which the Sentinels know the server. */
static const char *read_master(struct redis_url *u, struct span *db, struct arena *a)
{
	bool found;
	struct span name = *db;
	*db = cut(&name, '/', false, &found);
	u->master = decode(a, name);
	return u->master && u->master[0] ? NULL : "after the Sentinel's host the name of the master is missing: /name";
}

static const char *read_tcp(struct redis_url *u, struct span s, bool sentinel, struct arena *a)
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
	if ((sentinel && (why = read_master(u, &db, a))) || (why = read_node(u, host, a)))
		return why;
	if (db.len && (why = read_number(db, 0, DB_MAX, &u->db, "the part after the host must be a database number")))
		return why;
	bool v6 = strchr(u->nodes[0].host, ':') != NULL;
	u->name = arena_printf(a, "redis%s%s://%s%s%s:%d%s%s/%d", u->tls ? "s" : "", sentinel ? "+sentinel" : "",
	                       v6 ? "[" : "", u->nodes[0].host, v6 ? "]" : "", u->nodes[0].port, sentinel ? "/" : "",
	                       sentinel ? u->master : "", u->db);
	return read_query(u, query, a);
}

/* What comes after what it starts with. */
static struct span behind(struct span all, const char *start)
{
	size_t len = strlen(start);
	return (struct span){all.ptr + len, all.len - len};
}

static const char *read_any(struct redis_url *u, const char *url, struct arena *a)
{
	static const struct {
		const char *start;
		bool tls, sentinel;
	} schemes[] = {{"redis://", false, false},
	               {"rediss://", true, false},
	               {"redis+sentinel://", false, true},
	               {"rediss+sentinel://", true, true}};
	static const char local[] = "unix://";
	struct span all = span_of(url);
	if (span_starts(all, local))
		return read_unix(u, behind(all, local), a);
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		if (!span_starts(all, schemes[i].start))
			continue;
		if (schemes[i].tls && !redis_tls_available())
			return "rediss:// needs hiredis 1.0 or later with TLS; this program was built without it";
		u->tls = schemes[i].tls;
		return read_tcp(u, behind(all, schemes[i].start), schemes[i].sentinel, a);
	}
	return "a Redis URL starts with redis://, rediss://, redis+sentinel:// or unix://";
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
