/* What a verb of the administration works with: its arguments, the configuration, one blocking connection. A failure is
 * said on stderr by the function that met it and left in s->code: the verb returns that. Everything that lives as long
 * as the verb, results too, is released with the arena. */
#ifndef SHOAL_CLI_SESSION_H
#define SHOAL_CLI_SESSION_H

#include <stdbool.h>
#include <stddef.h>

#include "shoal/base/arena.h"
#include "shoal/base/args.h"
#include "shoal/base/conf.h"
#include "shoal/cli/out.h"
#include "shoal/io/pg.h"
#include "shoal/store/cache_kind.h"

struct session {
	struct arena *a;
	const struct args *args; /* the operands are those behind the subverb */
	const char *verb;        /* for messages: "code" */
	bool json;
	struct conf conf; /* after session_conf */
	PGconn *pg;       /* after session_pg; closed by session_close */
	int code;         /* of the failure that was said */
};

void session_open(struct session *s, struct arena *a, const struct args *args);
void session_close(struct session *s);

/* "shoal VERB: ..." on stderr; keeps the code and returns it. */
int session_fail(struct session *s, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The same of what is no failure. What servers and others said may be among the words of all three: nothing that a
 * terminal would obey goes out. */
void session_say(struct session *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same as a usage error, with the line that points to the help. */
int session_usage(struct session *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

bool session_conf(struct session *s) __attribute__((warn_unused_result));
/* Connects to SHOAL_POSTGRES_URL; session_conf included. */
bool session_pg(struct session *s) __attribute__((warn_unused_result));
/* The same to SHOAL_POSTGRES_DIRECT_URL, past any pooler. */
bool session_pg_direct(struct session *s) __attribute__((warn_unused_result));

/* Runs a statement of the catalogue. NULL after saying what was wrong. */
PGresult *session_run(struct session *s, const char *name, const struct pg_params *params);
/* Between them statements are one transaction; without a commit nothing of it stays. */
bool session_begin(struct session *s) __attribute__((warn_unused_result));
bool session_commit(struct session *s) __attribute__((warn_unused_result));
/* Says what the server or the connection has against it, as session_run does. "" and a prefix for what it was. */
void session_pg_fault(struct session *s, const PGresult *res, const char *prefix);

/* Row 0 of a result, by name. */
int64_t cell_i64(const PGresult *res, const char *column);
struct span span_i64_text(struct arena *a, int64_t v);
struct span span_bool(bool v);
/* All rows as a listing, or the only one: the columns are found by name. Times are ms since 1970. */
int session_print(struct session *s, const PGresult *res, const struct out_col *cols, enum out_form form,
                  const char *empty);

/* Who does it, for admin_audit: "cli:<OS user>". */
struct span session_actor(struct session *s);

/* Asks on the terminal before what cannot be undone; --yes is an answer. False after saying that nothing was done, or
 * that there is nobody to ask. `what` and `done` make the sentences "refused: ERASING cannot be undone", "nothing was
 * ERASED". */
bool session_confirm(struct session *s, const char *question, const char *what, const char *done);

/* A line in admin_audit for what was done outside PostgreSQL. That it could not be written is said, and no failure; it
 * is waited for some seconds at most. details: JSON. */
void session_note(struct session *s, const char *action, const char *target, const char *details);

/* After a change has committed: all workers are to forget these keys of this cache (n 0: all of them), and have when it
 * returns. Returns what the verb returns: `done`, or EXIT_NO_SERVER after saying that the change stands but could not
 * be told. */
int session_tell(struct session *s, enum cache_kind kind, const struct span *keys, size_t n, int done);

#endif
