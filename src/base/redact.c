/* What of a connection string must not be seen. Each rule marks the bytes that it hides; what is marked together is
 * shown as one "***". */
#include "shoal/base/redact.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "shoal/base/log.h"
#include "shoal/base/str.h"

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define BLANKS " \t\n"

enum { TOLD_MIN = 12 }; /* shorter values of a query are words such as "true", which log lines may hold in peace */

struct marked {
	const char *text, *end;
	bool *hidden; /* one for each byte */
};

static void hide(struct marked *m, const char *from, const char *to)
{
	if (from < to)
		memset(m->hidden + (from - m->text), true, (size_t)(to - from));
}

static bool has_scheme(const char *text)
{
	return strncmp(text + strspn(text, LETTERS "+"), "://", 3) == 0;
}

static bool is_http(const char *text)
{
	return strncasecmp(text, "http", 4) == 0 && has_scheme(text);
}

/* What stands alone before an '@' is a user in Postgres' URLs, and as redis-cli reads it the password in Redis'. */
static bool alone_is_user(const struct marked *m, const char *colon)
{
	static const char *const schemes[] = {"postgres", "postgresql"};

	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		size_t len = strlen(schemes[i]);

		if ((size_t)(colon - m->text) >= len && strncasecmp(colon - len, schemes[i], len) == 0)
			return true;
	}
	return false;
}

/* The password of "user:password@host": from the first colon to the last '@'. */
static void hide_in_authority(struct marked *m, const char *from, const char *stop, bool alone_shown)
{
	const char *colon = memchr(from, ':', (size_t)(stop - from));
	const char *at = memrchr(from, '@', (size_t)(stop - from));

	if (at && colon && colon < at)
		hide(m, colon + 1, at);
	else if (at && !alone_shown)
		hide(m, from, at);
}

/* Each authority ends where the next scheme of a list begins, so that a password with '/', ',' or '@' in it is not half
 * shown. */
static void hide_in_authorities(struct marked *m)
{
	if (!strstr(m->text, "://") && !strpbrk(m->text, BLANKS "=")) /* a URL that lacks its scheme */
		hide_in_authority(m, m->text, m->end, false);
	for (const char *p = m->text; (p = strstr(p, "://")); p += 3) {
		const char *next = strstr(p + 3, "://");

		hide_in_authority(m, p + 3, next ? next : m->end, alone_is_user(m, p));
	}
}

/* Where the value of "= 'a b'" or "=ab&" ends, *from being where it begins; p stands before the '='. NULL: there is no
 * '='. */
static const char *value_end(const char *p, const char *end, const char **from)
{
	p += strspn(p, BLANKS);
	if (*p++ != '=')
		return NULL;
	p += strspn(p, BLANKS);
	*from = p;
	if (*p == '\'') {
		for (*from = ++p; p < end && *p != '\''; p++)
			p += *p == '\\' && p + 1 < end;
	} else {
		for (; p < end && !strchr(BLANKS "&", *p); p++)
			p += *p == '\\' && p + 1 < end;
	}
	return p;
}

static void hide_by_name(struct marked *m)
{
	const char *from, *to;

	for (const char *p = m->text; (p = strcasestr(p, "password")); p++) {
		if ((to = value_end(p + strlen("password"), m->end, &from)))
			hide(m, from, to);
	}
}

/* Keys are often given in an HTTP URL's query. */
static void hide_query(struct marked *m)
{
	const char *query = strchr(m->text, '?');

	if (query)
		hide(m, query + 1, m->end);
}

/* Words of a libpq string that are no "keyword = value": most likely the rest of a password with a blank in it. */
static void hide_stray_words(struct marked *m)
{
	const char *p = m->text + strspn(m->text, BLANKS), *from;

	while (p < m->end) {
		size_t len = strcspn(p, BLANKS "=");
		const char *behind = value_end(p + len, m->end, &from);

		if (!behind && len > 0)
			hide(m, p, p + len);
		p = behind ? behind + (*behind == '\'' || *behind == '&') : p + len + (len == 0);
		p += strspn(p, BLANKS);
	}
}

static struct marked mark(struct arena *a, const char *text)
{
	size_t len = strlen(text);
	struct marked m = {text, text + len, arena_array(a, bool, len + 1)};

	memset(m.hidden, 0, len + 1);
	hide_in_authorities(&m);
	hide_by_name(&m);
	if (is_http(text))
		hide_query(&m);
	if (!has_scheme(text) && strpbrk(text, BLANKS "=")) /* a lone word is a host that lacks its scheme */
		hide_stray_words(&m);
	return m;
}

/* The end of the run of bytes that are shown, or hidden, as the one at p. */
static const char *run(const struct marked *m, const char *p)
{
	bool hidden = m->hidden[p - m->text];

	while (p < m->end && m->hidden[p - m->text] == hidden)
		p++;
	return p;
}

const char *redact(struct arena *a, const char *text)
{
	struct marked m = mark(a, text);
	struct buf b;
	const char *shown, *next;

	buf_init(&b, SIZE_MAX / 4);
	for (const char *p = text; p < m.end; p = next) {
		next = run(&m, p);
		if (m.hidden[p - text])
			buf_adds(&b, "***");
		else
			buf_add(&b, p, (size_t)(next - p));
	}
	shown = arena_strndup(a, b.len ? b.ptr : "", b.len);
	buf_release(&b);
	return shown;
}

static void tell_query(struct arena *a, const char *query)
{
	while (*query) {
		size_t len = strcspn(query, "&"), name = strcspn(query, "=&");

		if (name < len)
			name++;
		else
			name = 0;
		if (len - name >= TOLD_MIN)
			log_secret(arena_strndup(a, query + name, len - name));
		query += len + (query[len] == '&');
	}
}

void redact_tell(struct arena *a, const char *text)
{
	struct marked m = mark(a, text);
	const char *query = is_http(text) ? strchr(text, '?') : NULL, *next;

	for (const char *p = text; p < m.end; p = next) {
		next = run(&m, p);
		if (m.hidden[p - text] && (!query || next <= query))
			log_secret(arena_strndup(a, p, (size_t)(next - p)));
	}
	if (query)
		tell_query(a, query + 1);
}
