/* How much of what was sent is not answered yet, asked of the stand-in: it costs those that are measured nothing. */
#include "depth.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "shoal/base/err.h"

int depth_dial(int standin_port)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)standin_port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ENSURE(fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0);
	return fd;
}

size_t depth_replies(int fd)
{
	static const char ask[] = "GET /bench/replies HTTP/1.1\r\n\r\n";
	char said[512] = "", *body = NULL;
	size_t have = 0;

	ENSURE(send(fd, ask, sizeof(ask) - 1, MSG_NOSIGNAL) == sizeof(ask) - 1);
	while (!body || !strchr(body + 4, '\n')) {
		ssize_t n = recv(fd, said + have, sizeof(said) - 1 - have, 0);

		ENSURE(n > 0);
		have += (size_t)n;
		said[have] = '\0';
		body = strstr(said, "\r\n\r\n");
	}
	return strtoull(body + 4, NULL, 10);
}
