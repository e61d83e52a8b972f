#include "shoal/io/dns.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <event2/dns.h>
#include <event2/event.h>
#include <event2/util.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "shoal/base/arena.h"
#include "shoal/base/clock.h"

#define TIMEOUT_MS 5000
#define NAME_MAX_LEN 253
#define RESOLV_CONF "/etc/resolv.conf"
#define HOSTS "/etc/hosts"

struct dns {
	struct loop *loop;
	struct evdns_base *base;
	struct timespec resolv_changed, hosts_changed;
	struct dns_query *queries;
};

/* Lives until both its owner and evdns are done with it: evdns calls back even after a cancellation. */
struct dns_query {
	struct dns_query *next, **prev;
	struct dns *dns;
	dns_fn *fn; /* NULL: told or cancelled */
	void *arg;
	enum err err;
	char addr[INET6_ADDRSTRLEN];
	struct task tell;
	struct timer timeout;
	bool asking; /* evdns will call back */
	struct evdns_getaddrinfo_request *request;
};

static void query_free(struct dns_query *q)
{
	task_cancel(&q->tell);
	timer_release(&q->timeout);
	*q->prev = q->next;
	if (q->next)
		q->next->prev = q->prev;
	free(q);
}

static void query_forget(struct dns_query *q)
{
	q->fn = NULL;
	task_cancel(&q->tell);
	timer_stop(&q->timeout);
	if (!q->asking)
		query_free(q);
	else if (q->request)
		evdns_getaddrinfo_cancel(q->request);
}

static void query_tell(void *arg)
{
	struct dns_query *q = arg;
	dns_fn *fn = q->fn;
	void *fn_arg = q->arg;
	enum err err = q->err;
	char addr[INET6_ADDRSTRLEN];
	memcpy(addr, q->addr, sizeof(addr));
	query_forget(q);
	fn(fn_arg, err, err ? NULL : addr);
}

static void on_timeout(void *arg)
{
	struct dns_query *q = arg;
	q->err = ERR_TIMEOUT;
	query_tell(q);
}

void dns_cancel(struct dns_query *q)
{
	if (q)
		query_forget(q);
}

/* --- what evdns says */

static bool usable(const struct evutil_addrinfo *a, int family)
{
	return a->ai_family == family && a->ai_addr;
}

/* One of the family by chance, so that a dead one among several does not hold us for ever. */
static bool pick(const struct evutil_addrinfo *list, int family, char *out, size_t size)
{
	const struct sockaddr *chosen = NULL;
	unsigned n = 0;
	for (const struct evutil_addrinfo *a = list; a; a = a->ai_next)
		if (usable(a, family) && random_u64() % ++n == 0)
			chosen = a->ai_addr;
	if (!chosen)
		return false;
	const void *in = family == AF_INET ? (const void *)&((const struct sockaddr_in *)chosen)->sin_addr
	                                   : (const void *)&((const struct sockaddr_in6 *)chosen)->sin6_addr;
	return inet_ntop(family, in, out, (socklen_t)size) != NULL;
}

static enum err classify(int code)
{
	switch (code) {
	case EVUTIL_EAI_NONAME:
#if defined(EVUTIL_EAI_NODATA) && EVUTIL_EAI_NODATA != EVUTIL_EAI_NONAME
	case EVUTIL_EAI_NODATA:
#endif
		return ERR_NOT_FOUND;
	default: return ERR_UNREACHABLE;
	}
}

static void on_answer(int code, struct evutil_addrinfo *list, void *arg)
{
	struct dns_query *q = arg;
	q->asking = false;
	q->request = NULL;
	if (!q->fn) {
		query_free(q);
	} else {
		if (code)
			q->err = classify(code);
		else if (!pick(list, AF_INET, q->addr, sizeof(q->addr)) &&
		         !pick(list, AF_INET6, q->addr, sizeof(q->addr)))
			q->err = ERR_NOT_FOUND;
		loop_defer(q->dns->loop, &q->tell);
	}
	if (list)
		evutil_freeaddrinfo(list);
}

/* --- evdns itself */

/* evdns frees what belongs to a question only on its way to the callback, so cancelled ones get their turn. */
static void dns_release(void *state)
{
	struct dns *d = state;
	for (struct dns_query *q = d->queries, *next; q; q = next) {
		next = q->next;
		query_forget(q);
	}
	for (int i = 0; i < 8 && d->queries; i++)
		event_base_loop(loop_base(d->loop), EVLOOP_NONBLOCK);
	evdns_base_free(d->base, 0);
	while (d->queries)
		query_free(d->queries);
	free(d);
}

static struct timespec changed(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 ? st.st_mtim : (struct timespec){0};
}

static bool same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

/* A missing resolv.conf leaves evdns with the name server on 127.0.0.1, as it leaves the C library. */
static void dns_configure(struct dns *d)
{
	d->base = evdns_base_new(loop_base(d->loop), EVDNS_BASE_DISABLE_WHEN_INACTIVE);
	ENSURE(d->base);
	evdns_base_set_option(d->base, "timeout:", "1"); /* leaves time to ask the other name servers */
	d->resolv_changed = changed(RESOLV_CONF);
	d->hosts_changed = changed(HOSTS);
	evdns_base_resolv_conf_parse(d->base, DNS_OPTIONS_ALL & ~DNS_OPTION_HOSTSFILE, RESOLV_CONF);
	evdns_base_load_hosts(d->base, HOSTS);
}

static struct dns *dns_of(struct loop *l)
{
	struct loop_room *room = loop_dns_room(l);
	struct dns *d = room->state;
	if (!d) {
		d = mem_zalloc(sizeof(*d));
		d->loop = l;
		dns_configure(d);
		*room = (struct loop_room){d, dns_release};
	} else if (!d->queries && (!same_time(d->resolv_changed, changed(RESOLV_CONF)) ||
	                           !same_time(d->hosts_changed, changed(HOSTS)))) {
		evdns_base_free(d->base, 0);
		dns_configure(d);
	}
	return d;
}

/* --- asking */

static bool is_numeric(const char *host, char *out, size_t size)
{
	unsigned char in[sizeof(struct in6_addr)];
	static const int families[] = {AF_INET, AF_INET6};
	for (int i = 0; i < 2; i++)
		if (inet_pton(families[i], host, in) == 1)
			return inet_ntop(families[i], in, out, (socklen_t)size) != NULL;
	return false;
}

static bool is_localhost(const char *host)
{
	return strcasecmp(host, "localhost") == 0 || strcasecmp(host, "localhost.") == 0;
}

static bool is_name(const char *host)
{
	size_t len = strlen(host);
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)host[i]) && !strchr("-_.", host[i]))
			return false;
	return len > 0 && len <= NAME_MAX_LEN;
}

static void ask(struct dns_query *q, const char *host)
{
	struct evutil_addrinfo hints = {.ai_family = AF_UNSPEC,
	                                .ai_socktype = SOCK_STREAM,
	                                .ai_protocol = IPPROTO_TCP,
	                                .ai_flags = EVUTIL_AI_ADDRCONFIG};
	q->asking = true;
	timer_set(&q->timeout, TIMEOUT_MS);
	struct evdns_getaddrinfo_request *request = evdns_getaddrinfo(q->dns->base, host, NULL, &hints, on_answer, q);
	if (q->asking) /* not answered inside the call */
		q->request = request;
}

struct dns_query *dns_resolve(struct loop *l, const char *host, dns_fn *fn, void *arg)
{
	struct dns_query *q = mem_zalloc(sizeof(*q));
	struct dns *d = dns_of(l);
	*q = (struct dns_query){.next = d->queries, .prev = &d->queries, .dns = d, .fn = fn, .arg = arg};
	q->tell = (struct task){.fn = query_tell, .arg = q};
	timer_init(&q->timeout, l, on_timeout, q);
	if (q->next)
		q->next->prev = &q->next;
	d->queries = q;

	if (is_numeric(host, q->addr, sizeof(q->addr))) {
		loop_defer(l, &q->tell);
	} else if (is_localhost(host)) {
		snprintf(q->addr, sizeof(q->addr), "127.0.0.1");
		loop_defer(l, &q->tell);
	} else if (!is_name(host)) {
		q->err = ERR_INVALID;
		loop_defer(l, &q->tell);
	} else {
		ask(q, host);
	}
	return q;
}
