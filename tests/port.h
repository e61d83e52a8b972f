/* Ports for the servers of the tests. */
#ifndef SHOAL_TESTS_PORT_H
#define SHOAL_TESTS_PORT_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PORTS_FROM 12000 /* as in tests/lib.py */
#define PORTS_EACH 50

/* The numbers that the kernel gives to nobody who has not asked for just this one: to no client, to no bind to 0. */
static inline void port_unasked(unsigned *from, unsigned *end)
{
	unsigned low = 32768, high = 60999;
	FILE *f = fopen("/proc/sys/net/ipv4/ip_local_port_range", "r");

	if (f) {
		if (fscanf(f, "%u %u", &low, &high) != 2)
			low = 32768, high = 60999;
		fclose(f);
	}
	unsigned below = low > PORTS_FROM ? low - PORTS_FROM : 0, above = 65535 > high ? 65535 - high : 0;
	*from = above > below ? high + 1 : PORTS_FROM;
	*end = below && below >= above ? low : 65536;
}

/* An abstract socket, held until this program ends, tells the other tests that a block of ports is taken. */
static inline bool port_mark(unsigned block)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int len = snprintf(a.sun_path + 1, sizeof(a.sun_path) - 1, "shoal-test-ports-%u", block);

	if (fd >= 0 && bind(fd, (struct sockaddr *)&a, (socklen_t)(sizeof(sa_family_t) + 1 + (size_t)len)) == 0)
		return true;
	close(fd);
	return false;
}

static inline bool port_free(unsigned port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((in_port_t)port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool ok = fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0;

	close(fd);
	return ok;
}

/* A port that is ours until this program ends, whether or not anybody listens on it at the moment. */
static inline int port_own(void)
{
	static unsigned block, used = PORTS_EACH;
	unsigned from, end;

	port_unasked(&from, &end);
	unsigned blocks = (end - from) / PORTS_EACH, first = (unsigned)getpid() * 7 % blocks;
	for (unsigned tried = 0; tried <= blocks;) {
		if (used == PORTS_EACH) {
			block = from + (first + tried++) % blocks * PORTS_EACH;
			used = port_mark(block) ? 0 : PORTS_EACH;
		} else if (port_free(block + used++)) {
			return (int)(block + used - 1);
		}
	}
	printf("Bail out! no port is left\n");
	exit(1);
}

#endif
