/* fault.so: put before a program with LD_PRELOAD, it counts that program's operations on its stream sockets to certain
 * peers, and lets the nth one fail. Everything else (files, pipes, other ports, epoll) passes as it is.
 *
 *   FAULT_CONTROL  a file of a struct control, shared with whoever runs the program: it says which operation fails and
 *                  how, at any time, and learns what was counted
 *   FAULT_PORTS    with commas: the ports that the program connects to
 *   FAULT_LISTEN   with commas: the ports that it listens on; operations on accepted connections count
 *
 * A call that would block, and the end of a stream, are no operations: nothing would be transferred. */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define FDS 4096
#define IOVS 64
#define RECORDS 4096
#define WHAT 64
#define PORTS 8
#define EXPORT __attribute__((visibility("default")))

/* How the nth operation fails. RESET: its peer sees RST, too, and what was not read yet is gone. */
enum kind {
	KIND_NONE,    /* not at all: only counted */
	KIND_BEFORE,  /* reset, nothing transferred */
	KIND_MIDDLE,  /* half of it transferred, at least a byte, then reset */
	KIND_AFTER,   /* all of it transferred, then reset */
	KIND_TIMEOUT, /* nothing transferred, ETIMEDOUT: the network gave up; the peer hears nothing of it */
	KIND_SILENCE  /* from here on nothing arrives on either side, and nobody is told */
};

enum function { FN_CONNECT, FN_READ, FN_WRITE, FN_ACCEPT };

struct record {
	uint64_t number; /* of the operation, from 1 */
	uint16_t port;
	uint8_t function;
	uint8_t kind;    /* of fault */
	int32_t size;    /* transferred, or -1 */
	char what[WHAT]; /* its first bytes */
};

struct control {
	_Atomic uint32_t armed; /* operations count, from now on */
	uint32_t kind;
	uint64_t nth; /* of those that `only` names; 0: none */
	_Atomic uint64_t count;
	uint64_t named;     /* of them, those that `only` names */
	uint32_t blackhole; /* a port on 127.0.0.1 where connecting never ends */
	uint32_t again;     /* after that one so many more fail, before, middle and after in turn, ... */
	uint32_t gap;       /* ... each so many operations later */
	uint32_t only;      /* port * 256 + function, or 0: all */
	struct record records[RECORDS];
};

/* PLAIN -> DOOMED: reset at its next operation.  DEAD: was reset.  SILENT: see KIND_SILENCE */
enum state { STATE_PLAIN, STATE_DOOMED, STATE_DEAD, STATE_SILENT };

static struct {
	uint16_t port; /* 0: not of interest */
	uint8_t state;
	int error; /* of a DEAD one */
} fds[FDS];

static struct control *control;
static uint16_t ports[PORTS], listens[PORTS];

static struct {
	int (*connect)(int, const struct sockaddr *, socklen_t);
	int (*accept4)(int, struct sockaddr *, socklen_t *, int);
	int (*close)(int);
	ssize_t (*read)(int, void *, size_t);
	ssize_t (*readv)(int, const struct iovec *, int);
	ssize_t (*recvfrom)(int, void *, size_t, int, struct sockaddr *, socklen_t *);
	ssize_t (*recvmsg)(int, struct msghdr *, int);
	ssize_t (*write)(int, const void *, size_t);
	ssize_t (*writev)(int, const struct iovec *, int);
	ssize_t (*sendto)(int, const void *, size_t, int, const struct sockaddr *, socklen_t);
	ssize_t (*sendmsg)(int, const struct msghdr *, int);
} real;

static void list_ports(const char *text, uint16_t *out)
{
	for (int i = 0; text && *text && i < PORTS; i++) {
		out[i] = (uint16_t)atoi(text);
		text = strchr(text, ',');
		text += text ? 1 : 0;
	}
}

static bool listed(const uint16_t *list, uint16_t port)
{
	for (int i = 0; port && i < PORTS; i++)
		if (list[i] == port)
			return true;
	return false;
}

static void find_real(void)
{
	const struct {
		const char *name;
		void **to;
	} all[] = {{"connect", (void **)&real.connect}, {"accept4", (void **)&real.accept4},
	           {"close", (void **)&real.close},     {"read", (void **)&real.read},
	           {"readv", (void **)&real.readv},     {"recvfrom", (void **)&real.recvfrom},
	           {"recvmsg", (void **)&real.recvmsg}, {"write", (void **)&real.write},
	           {"writev", (void **)&real.writev},   {"sendto", (void **)&real.sendto},
	           {"sendmsg", (void **)&real.sendmsg}};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		*all[i].to = dlsym(RTLD_NEXT, all[i].name);
		if (!*all[i].to)
			abort();
	}
}

__attribute__((constructor)) static void begin(void)
{
	static bool begun;
	if (begun)
		return;
	begun = true;
	find_real();
	const char *path = getenv("FAULT_CONTROL");
	if (!path)
		return;
	struct stat file;
	int fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &file) != 0 || file.st_size != sizeof(*control)) /* not of this build */
		abort();
	void *map = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	real.close(fd);
	if (map == MAP_FAILED)
		abort();
	list_ports(getenv("FAULT_PORTS"), ports);
	list_ports(getenv("FAULT_LISTEN"), listens);
	control = map;
}

static bool watched(int fd)
{
	begin(); /* a library's constructor may be earlier than ours */
	return fd >= 0 && fd < FDS && fds[fd].port;
}

/* ---- counting */

static void note(struct record *r, const struct iovec *iov, size_t n, ssize_t size)
{
	size_t at = 0, left = size > 0 ? (size_t)size : 0;
	if (!r)
		return;
	r->size = (int32_t)size;
	for (size_t i = 0; i < n && at < WHAT && left; i++) {
		size_t len = iov[i].iov_len < left ? iov[i].iov_len : left;
		len = len < WHAT - at ? len : WHAT - at;
		memcpy(r->what + at, iov[i].iov_base, len);
		at += len;
		left -= len;
	}
}

/* Counts one; how it shall fail. */
static enum kind operation(uint16_t port, enum function fn, struct record **r)
{
	*r = NULL;
	if (!atomic_load(&control->armed))
		return KIND_NONE;
	uint64_t number = atomic_fetch_add(&control->count, 1) + 1;
	bool named = !control->only || control->only == port * 256u + fn;
	enum kind kind = KIND_NONE;
	if (named && ++control->named == control->nth)
		kind = (enum kind)control->kind;
	if (number <= RECORDS) {
		*r = &control->records[number - 1];
		memset(*r, 0, sizeof(**r));
		(*r)->number = number;
		(*r)->port = port;
		(*r)->function = (uint8_t)fn;
		(*r)->kind = (uint8_t)kind;
		(*r)->size = -1;
	}
	if (kind != KIND_NONE && control->again) {
		control->again--;
		control->nth += control->gap;
		control->kind = control->kind % KIND_AFTER + 1;
	}
	return kind;
}

/* ---- failing */

/* Both sides see it: disconnecting a TCP socket sends RST, drops what was not read, and wakes who waits for it here. */
static void reset(int fd)
{
	const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
	int saved = errno;
	real.connect(fd, &nowhere, sizeof(nowhere));
	errno = saved;
	fds[fd].state = STATE_DEAD;
	fds[fd].error = ECONNRESET;
}

/* The network gave up: only this side sees it. */
static void time_out(int fd)
{
	shutdown(fd, SHUT_RD); /* wakes who waits for it here, and sends nothing */
	fds[fd].state = STATE_DEAD;
	fds[fd].error = ETIMEDOUT;
}

static ssize_t fail(int error)
{
	errno = error;
	return -1;
}

/* What has arrived on a silent connection is taken away unseen; an end or error of the other side does get through. */
static ssize_t receive_silence(int fd)
{
	char waste[4096];
	struct iovec iov = {waste, sizeof(waste)};
	ssize_t n;
	do {
		struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
		n = real.recvmsg(fd, &m, MSG_DONTWAIT);
	} while (n > 0);
	return n;
}

static size_t total(const struct iovec *iov, size_t n)
{
	size_t sum = 0;
	for (size_t i = 0; i < n; i++)
		sum += iov[i].iov_len;
	return sum;
}

/* The first bytes of a list of buffers: how many of them it needs. */
static size_t shorten(const struct iovec *iov, size_t n, size_t bytes, struct iovec *out)
{
	size_t used = 0;
	for (; used < n && bytes; used++) {
		out[used] = iov[used];
		if (out[used].iov_len > bytes)
			out[used].iov_len = bytes;
		bytes -= out[used].iov_len;
	}
	return used;
}

static ssize_t receive(int fd, const struct msghdr *given, int flags)
{
	struct iovec part[IOVS];
	struct msghdr m = *given;
	struct record *r;
	int ready = 0;
	char first;
	struct iovec peek = {&first, 1};
	struct msghdr look = {.msg_iov = &peek, .msg_iovlen = 1};

	if (fds[fd].state == STATE_DEAD)
		return fail(fds[fd].error);
	if (fds[fd].state == STATE_SILENT)
		return receive_silence(fd);
	if (fds[fd].state == STATE_DOOMED) {
		reset(fd);
		return fail(ECONNRESET);
	}
	if ((flags & MSG_PEEK) || real.recvmsg(fd, &look, MSG_PEEK | MSG_DONTWAIT) <= 0)
		return real.recvmsg(fd, &m, flags);
	enum kind kind = operation(fds[fd].port, FN_READ, &r);
	switch (kind) {
	case KIND_BEFORE: reset(fd); return fail(ECONNRESET);
	case KIND_TIMEOUT: time_out(fd); return fail(ETIMEDOUT);
	case KIND_SILENCE: fds[fd].state = STATE_SILENT; return receive_silence(fd);
	case KIND_MIDDLE: {
		size_t want = total(m.msg_iov, m.msg_iovlen);
		if (ioctl(fd, FIONREAD, &ready) == 0 && (size_t)ready < want)
			want = (size_t)ready;
		m.msg_iovlen =
		    shorten(m.msg_iov, m.msg_iovlen < IOVS ? m.msg_iovlen : IOVS, want / 2 ? want / 2 : 1, part);
		m.msg_iov = part;
		break;
	}
	default: break;
	}
	ssize_t n = real.recvmsg(fd, &m, flags);
	note(r, m.msg_iov, m.msg_iovlen, n);
	if (kind != KIND_NONE)
		reset(fd);
	return n;
}

static ssize_t transmit(int fd, const struct msghdr *given, int flags)
{
	struct iovec part[IOVS];
	struct msghdr m = *given;
	struct record *r;
	size_t whole = total(m.msg_iov, m.msg_iovlen);

	if (fds[fd].state == STATE_DEAD)
		return fail(fds[fd].error == ECONNRESET ? EPIPE : fds[fd].error);
	if (fds[fd].state == STATE_SILENT)
		return (ssize_t)whole;
	if (fds[fd].state == STATE_DOOMED) {
		reset(fd);
		return fail(ECONNRESET);
	}
	enum kind kind = operation(fds[fd].port, FN_WRITE, &r);
	switch (kind) {
	case KIND_BEFORE: reset(fd); return fail(ECONNRESET);
	case KIND_TIMEOUT: time_out(fd); return fail(ETIMEDOUT);
	case KIND_SILENCE: fds[fd].state = STATE_SILENT; return (ssize_t)whole;
	case KIND_MIDDLE:
		m.msg_iovlen =
		    shorten(m.msg_iov, m.msg_iovlen < IOVS ? m.msg_iovlen : IOVS, whole / 2 ? whole / 2 : 1, part);
		m.msg_iov = part;
		break;
	default: break;
	}
	ssize_t n = real.sendmsg(fd, &m, flags | MSG_NOSIGNAL);
	note(r, m.msg_iov, m.msg_iovlen, n);
	if (kind != KIND_NONE)
		reset(fd);
	return n;
}

/* ---- the calls */

static uint16_t port_of(const struct sockaddr *to)
{
	if (to->sa_family == AF_INET)
		return ntohs(((const struct sockaddr_in *)(const void *)to)->sin_port);
	if (to->sa_family == AF_INET6)
		return ntohs(((const struct sockaddr_in6 *)(const void *)to)->sin6_port);
	return 0;
}

static bool is_stream(int fd)
{
	int type = 0;
	socklen_t size = sizeof(type);
	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM;
}

static void watch(int fd, uint16_t port)
{
	fds[fd].port = port;
	fds[fd].state = STATE_PLAIN;
}

EXPORT int connect(int fd, const struct sockaddr *to, socklen_t size)
{
	struct record *r;
	begin();
	uint16_t port = control && fd >= 0 && fd < FDS ? port_of(to) : 0;
	if (!listed(ports, port) || !is_stream(fd))
		return real.connect(fd, to, size);
	watch(fd, port);
	enum kind kind = operation(port, FN_CONNECT, &r);
	struct sockaddr_in blackhole = {.sin_family = AF_INET, .sin_port = htons((uint16_t)control->blackhole)};
	blackhole.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	switch (kind) {
	case KIND_BEFORE: errno = ECONNREFUSED; return -1;
	case KIND_TIMEOUT: errno = ETIMEDOUT; return -1;
	case KIND_SILENCE: return real.connect(fd, (const struct sockaddr *)&blackhole, sizeof(blackhole));
	default: break;
	}
	int done = real.connect(fd, to, size);
	if (r)
		r->size = 0;
	if (kind == KIND_MIDDLE)
		reset(fd);
	else if (kind == KIND_AFTER)
		fds[fd].state = STATE_DOOMED;
	return done;
}

EXPORT int accept4(int fd, struct sockaddr *from, socklen_t *size, int flags)
{
	struct sockaddr_storage mine = {0};
	socklen_t mine_size = sizeof(mine);
	struct record *r;
	begin();
	int got = real.accept4(fd, from, size, flags);
	if (got < 0 || got >= FDS || !control || getsockname(got, (struct sockaddr *)&mine, &mine_size) != 0 ||
	    !listed(listens, port_of((struct sockaddr *)&mine)))
		return got;
	watch(got, port_of((struct sockaddr *)&mine));
	enum kind kind = operation(fds[got].port, FN_ACCEPT, &r);
	if (r)
		r->size = 0;
	switch (kind) {
	case KIND_NONE: break;
	case KIND_SILENCE: fds[got].state = STATE_SILENT; break;
	case KIND_AFTER: fds[got].state = STATE_DOOMED; break;
	case KIND_MIDDLE: reset(got); break;
	default:
		reset(got);
		fds[got].port = 0;
		real.close(got);
		errno = ECONNABORTED;
		return -1;
	}
	return got;
}

EXPORT int accept(int fd, struct sockaddr *from, socklen_t *size)
{
	return accept4(fd, from, size, 0);
}

EXPORT int close(int fd)
{
	begin();
	if (fd >= 0 && fd < FDS)
		fds[fd].port = 0;
	return real.close(fd);
}

EXPORT ssize_t recvmsg(int fd, struct msghdr *m, int flags)
{
	return watched(fd) ? receive(fd, m, flags) : real.recvmsg(fd, m, flags);
}

EXPORT ssize_t recvfrom(int fd, void *to, size_t size, int flags, struct sockaddr *from, socklen_t *from_size)
{
	if (!watched(fd))
		return real.recvfrom(fd, to, size, flags, from, from_size);
	struct iovec iov = {to, size};
	return receive(fd, &(struct msghdr){.msg_iov = &iov, .msg_iovlen = 1}, flags);
}

EXPORT ssize_t recv(int fd, void *to, size_t size, int flags)
{
	return recvfrom(fd, to, size, flags, NULL, NULL);
}

EXPORT ssize_t read(int fd, void *to, size_t size)
{
	if (!watched(fd))
		return real.read(fd, to, size);
	return recvfrom(fd, to, size, 0, NULL, NULL);
}

EXPORT ssize_t readv(int fd, const struct iovec *iov, int n)
{
	if (!watched(fd))
		return real.readv(fd, iov, n);
	return receive(fd, &(struct msghdr){.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)n}, 0);
}

EXPORT ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
	return watched(fd) ? transmit(fd, m, flags) : real.sendmsg(fd, m, flags);
}

EXPORT ssize_t sendto(int fd, const void *from, size_t size, int flags, const struct sockaddr *to, socklen_t to_size)
{
	if (!watched(fd))
		return real.sendto(fd, from, size, flags, to, to_size);
	struct iovec iov = {(void *)(uintptr_t)from, size};
	return transmit(fd, &(struct msghdr){.msg_iov = &iov, .msg_iovlen = 1}, flags);
}

EXPORT ssize_t send(int fd, const void *from, size_t size, int flags)
{
	return sendto(fd, from, size, flags, NULL, 0);
}

EXPORT ssize_t write(int fd, const void *from, size_t size)
{
	if (!watched(fd))
		return real.write(fd, from, size);
	return sendto(fd, from, size, 0, NULL, 0);
}

EXPORT ssize_t writev(int fd, const struct iovec *iov, int n)
{
	if (!watched(fd))
		return real.writev(fd, iov, n);
	return transmit(fd, &(struct msghdr){.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)n}, 0);
}

/* what glibc's headers make of the above in a fortified library */
EXPORT ssize_t __read_chk(int fd, void *to, size_t size, size_t room);
EXPORT ssize_t __recv_chk(int fd, void *to, size_t size, size_t room, int flags);

EXPORT ssize_t __read_chk(int fd, void *to, size_t size, size_t room)
{
	if (size > room)
		abort();
	return read(fd, to, size);
}

EXPORT ssize_t __recv_chk(int fd, void *to, size_t size, size_t room, int flags)
{
	if (size > room)
		abort();
	return recv(fd, to, size, flags);
}
