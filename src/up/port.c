#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "shoal/up/stack.h"

/* Listening, not only binding, is what tells whether somebody else does. */
bool port_free(unsigned port)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
	bool is_free;

	if (fd < 0)
		return false;
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	is_free = bind(fd, (struct sockaddr *)&sin, sizeof(sin)) == 0 && listen(fd, 1) == 0;
	close(fd);
	return is_free;
}

/* Between the look and the child's listen another stack may start on the same port. An abstract socket named after the
 * port, held as long as this supervisor lives, keeps stacks apart; it needs no file and cannot be left over. */
static bool port_claim(unsigned port)
{
	static unsigned char ours[65536 / 8];
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd, len = snprintf(sun.sun_path + 1, sizeof(sun.sun_path) - 1, "shoal-up-port-%u", port);

	if (ours[port / 8] & 1u << port % 8)
		return true;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	if (bind(fd, (struct sockaddr *)&sun, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len)) !=
	    0) {
		close(fd);
		return false;
	}
	ours[port / 8] |= (unsigned char)(1u << port % 8);
	return true;
}

static bool port_given(const struct stack *s, const struct unit *me, unsigned port)
{
	for (unsigned i = 0; i < s->nunits; i++) {
		const struct unit *u = &s->units[i];
		if ((u != me && u->port == port) || u->metrics == port)
			return true;
	}
	return false;
}

unsigned port_pick(const struct stack *s, const struct unit *me, unsigned from)
{
	for (unsigned port = from; port < 65536 && port < from + 2000; port++)
		if (!port_given(s, me, port) && port_claim(port) && port_free(port))
			return port;
	return 0;
}
