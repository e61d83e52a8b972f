/* Opening the server's socket, with errors that name the variable to change. */
#include "shoal/io/httpd_listen.h"

#include <ctype.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shoal/base/str.h"

#define BACKLOG 511

/* host:port, [v6]:port. An empty host is every address. */
static bool split(const char *text, struct arena *a, const char **host, const char **port)
{
	const char *colon = strrchr(text, ':');
	int64_t n;

	if (!colon || !span_i64(span_of(colon + 1), &n) || n < 0 || n > 65535)
		return false;
	*port = colon + 1;
	size_t len = (size_t)(colon - text);
	if (len >= 2 && text[0] == '[' && text[len - 1] == ']')
		*host = arena_strndup(a, text + 1, len - 2);
	else if (!memchr(text, ':', len))
		*host = arena_strndup(a, text, len);
	else
		return false;
	return true;
}

static int try_listen(const struct addrinfo *ai)
{
	int on = 1;
	int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, ai->ai_addr, ai->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	int saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

static unsigned bound_port(int fd)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} at = {0};
	socklen_t len = sizeof(at);

	if (getsockname(fd, &at.any, &len) != 0)
		return 0;
	return ntohs(at.any.sa_family == AF_INET6 ? at.v6.sin6_port : at.v4.sin_port);
}

static const char *complain(struct arena *a, const char *variable, const char *listen, const char *reason)
{
	char *text = arena_printf(a, "%s=%s: %s", variable, listen, reason);
	size_t start = strlen(text) - strlen(reason);

	text[start] = (char)tolower((unsigned char)text[start]);
	return text;
}

int httpd_listen(const char *listen, const char *variable, unsigned *port, struct arena *a, const char **why)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *list;
	const char *host, *service;
	int fd = -1;

	if (!split(listen, a, &host, &service)) {
		*why = complain(a, variable, listen, "must be host:port or [v6-address]:port");
		return -1;
	}
	int rc = getaddrinfo(*host ? host : NULL, service, &hints, &list);
	if (rc != 0) {
		*why = complain(a, variable, listen, gai_strerror(rc));
		return -1;
	}
	for (const struct addrinfo *ai = list; ai && fd < 0; ai = ai->ai_next)
		fd = try_listen(ai);
	if (fd < 0)
		*why = complain(a, variable, listen, strerror(errno));
	else
		*port = bound_port(fd);
	freeaddrinfo(list);
	return fd;
}
