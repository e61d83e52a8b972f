#include <netinet/in.h>
#include <sys/socket.h>
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
		if (!port_given(s, me, port) && port_free(port))
			return port;
	return 0;
}
