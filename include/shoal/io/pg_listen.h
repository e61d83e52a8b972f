/* One connection to Postgres of its own, kept up, that LISTENs on one channel: for caches that hear of every change.
 * Reconnect with backoff (50 ms doubling to 1 s, jitter), host names resolved again each time, the next host first
 * where the string lists several. The server must be one that takes LISTEN: a standby counts as down. So does a pooler
 * that moves us to another server session; one that does so unseen while we are idle loses notices, so the string
 * should lead to the server itself.
 *
 * The question. A plain query would not do: a change is visible to everyone a moment before its notice is signalled
 * (longer where files of dropped tables go with it), and from Postgres 19 on a COMMIT may return before its notice is
 * signalled at all. So the question is a NOTIFY of its own, on a second channel that only this connection knows.
 * Postgres keeps one queue for all channels, in the order of commits, and tells it in that order; so the echo comes
 * after the notice of everything that anyone could see when it was asked.
 * It costs a transaction number and, for some microseconds, the lock that all NOTIFYs of a server share; up to
 * Postgres 18 it also wakes the backend of every listener of the database: ask some times a second, not hundreds. While
 * another NOTIFY cannot finish its commit (its synchronous standby is away, say), no answer comes.
 * So where there are many listeners, those by the clock are light ones: a plain query, which wakes nobody and shows
 * that the session lives and that all notices that were signalled before are here. */
#ifndef SHOAL_IO_PG_LISTEN_H
#define SHOAL_IO_PG_LISTEN_H

#include <stdbool.h>
#include <stdint.h>

#include "shoal/base/str.h"
#include "shoal/io/loop.h"

struct pg_listen;

struct pg_listen_opts {
	const char *url; /* libpq connection string or URI */
	const char *application_name;
	const char *channel; /* as it is, not folded to lower case; 1 to 63 bytes */
	bool light;          /* what is asked by the clock, with jitter, is a plain query, and its answer on_alive */
	unsigned ping_ms;    /* from one question to the next; a late answer makes it longer; not 0 */
	unsigned timeout_ms; /* an answer later than this: the connection is dropped and made anew; not 0. So also in a
	                        flood that takes longer: the new connection begins behind it. */
	/* Each may be NULL. LISTEN is in force, and proved by a first answer, whose on_pong follows: every change that
	 * is not visible yet will be told. What was kept from before is to be read again. */
	void (*on_up)(void *arg);
	void (*on_down)(void *arg); /* once per loss: from now on changes are missed */
	/* Between on_up and on_down. A payload has up to 7999 bytes, is UTF-8 and valid during the call. */
	void (*on_notice)(void *arg, struct span payload);
	/* The notice of every change that was visible, to whomever, before asked_ms (of clock_ms) has been given to
	 * on_notice, or was before on_up. */
	void (*on_pong)(void *arg, int64_t asked_ms);
	/* Of a light question: the notice of every change whose notice was signalled before asked_ms. */
	void (*on_alive)(void *arg, int64_t asked_ms);
	void *arg;
};

/* Starts connecting; never fails itself. opts is copied, the strings too. A url that cannot be parsed is logged, and it
 * never gets up: see pg_check_url. */
struct pg_listen *pg_listen_open(struct loop *l, const struct pg_listen_opts *opts);
/* No callback comes any more, on_down neither. May be called from any callback of l; NULL does nothing. */
void pg_listen_close(struct pg_listen *l);
bool pg_listen_up(const struct pg_listen *l);
/* NULL when up, else why not: for /readyz. Valid until the next turn of the loop. */
const char *pg_listen_trouble(const struct pg_listen *l);
/* Asks at the end of this turn instead of at the next time; while a question is open, right after its answer. So one
 * on_pong follows whose asked_ms is not before this call, for all calls until then. Does nothing while down. */
void pg_listen_ping(struct pg_listen *l);
/* Gives the connection up, without on_down, and dials anew as after a loss. Does nothing while down. */
void pg_listen_drop(struct pg_listen *l, const char *reason);

#endif
