/* The supervisor: a table of what runs (units.c), the life of one of them (unit.c), and the loop that starts them in
 * order of need and stops them in order (stack.c). */
#ifndef SHOAL_UP_STACK_H
#define SHOAL_UP_STACK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "shoal/base/arena.h"
#include "shoal/base/err.h"
#include "shoal/io/http.h"
#include "shoal/io/loop.h"
#include "shoal/io/redis.h"
#include "shoal/up/child.h"
#include "shoal/up/home.h"
#include "shoal/up/servers.h"

#define WORKERS_MAX 64

struct stack;
struct unit;

enum unit_id {
	U_REDIS,
	U_INITDB,
	U_POSTGRES,
	U_DATABASE,
	U_MIGRATE,
	U_DEMO,
	U_SIM,
	U_GATEWAY,
	U_ADMIN,
	U_WORKER,
	U_WEBHOOK
};
#define NEEDS(id) (1u << (id))

/* What is stopped with what; lower first. Replies of draining workers still find the simulator, the database, Redis. */
enum stop_phase { STOP_INTAKE, STOP_WORKERS, STOP_PLATFORM, STOP_POSTGRES, STOP_REDIS, STOP_PHASES };

/* A row of the table. A server is kept running; a step runs to its end once. */
struct unit_kind {
	const char *name;  /* log file, record of children; copies get "-1", "-2" ... */
	const char *title; /* for people */
	const char *done;  /* a step's line when it is done; NULL: none */
	bool step;
	bool again; /* a step that is done anew when what it needs has started anew */
	unsigned copies;
	unsigned needs;         /* NEEDS bits: started when all of these are ready */
	unsigned port, metrics; /* first ones to try; 0: has none */
	const char *listen;     /* variable that tells it its port; NULL: it learns it otherwise */
	enum stop_phase phase;
	int stop, stop_harder; /* signals; then SIGKILL */
	unsigned start_s;      /* to be ready, or done */
	unsigned stop_s;       /* from one signal to the next */
	/* Fills the launch (all zero but log, envp and death_signal). False: *why. */
	bool (*prepare)(struct stack *s, struct unit *u, struct launch *l, const char **why);
	bool (*skip)(struct stack *s); /* true: a step that has nothing to do; may be NULL */
	/* Begins to find out whether it is ready: calls unit_ready, once, later. NULL: a step, done when it ends. */
	void (*probe)(struct stack *s, struct unit *u);
	/* A step's last part, in the supervisor; may be NULL. */
	bool (*finish)(struct stack *s, struct unit *u, const char **why);
	/* "on 127.0.0.1:5432", in u->a; may be NULL. */
	const char *(*where)(struct stack *s, struct unit *u);
};

extern const struct unit_kind unit_kinds[];
extern const unsigned unit_kind_count;

enum unit_state {
	UNIT_IDLE,    /* nothing runs; begins as soon as its needs are met */
	UNIT_BEGUN,   /* runs, not ready yet */
	UNIT_READY,   /* a server that serves, a step that is done */
	UNIT_BACKOFF, /* died; begins again after a while */
	UNIT_STOPPING /* told to end */
};

struct unit {
	const struct unit_kind *kind;
	unsigned index; /* among its copies, from 0 */
	const char *name, *title;
	enum unit_state state;
	bool wanted;
	bool was_ready; /* once, in this run of the supervisor */
	unsigned port, metrics;
	pid_t pid; /* 0: no process */
	off_t log_at;
	unsigned failures; /* in a row */
	int64_t since;     /* clock_ms of the last change */
	int signals_sent;
	struct arena a; /* of one run */
	struct timer timer, deadline;
	struct http_call *call;
	struct redis *redis;
	struct stack *stack;
};

struct stack {
	struct arena *a;
	struct home *home;
	struct servers servers;
	struct loop *loop;
	struct http *http;
	const char *redis_password, *postgres_password, *ladder_public_key;
	struct unit *units;
	unsigned nunits;
	bool announced, stopping, hurried;
	enum stop_phase phase;
	int code; /* exit code */
	int64_t began;
	struct timer tick;
	struct task advance;
};

/* Runs until stopped; the home is made and locked. Returns the exit code. */
int stack_run(struct home *h, const struct servers *servers, unsigned workers);

/* For stack.c. */
void unit_begin(struct unit *u);
void unit_ended(struct unit *u, int status); /* of waitpid */
void unit_stop(struct unit *u);
void unit_hurry(struct unit *u);   /* of one with a process: on to the next signal, and less time for each */
void unit_give_up(struct unit *u); /* of one in UNIT_BACKOFF: it does not begin again */
void unit_end_probe(struct unit *u);

/* For unit.c. */
void stack_stop(struct stack *s, int code);
void stack_write_children(struct stack *s); /* the record that a later `up` needs if this process is killed */

/* For the probes of units.c. */
void unit_ready(struct unit *u);
struct unit *stack_unit(const struct stack *s, enum unit_id id); /* its first copy */

/* Secrets, once; the URLs that hold passwords, at every start of a server (env.c). */
bool stack_secrets(struct stack *s, const char **why);
bool stack_write_urls(struct stack *s, const char **why);
/* Environment of a child: the caller's, without what would point elsewhere, with ours. In u->a. */
char *const *stack_env(struct stack *s, struct unit *u);
/* .shoal/env, for other shells. */
bool stack_write_env(struct stack *s, const char **why);
/* What to open, once all is ready. */
void stack_announce(struct stack *s);

/* A port of 127.0.0.1 that nobody listens on and no other unit has, from `from` up; 0 when there is none. */
unsigned port_pick(const struct stack *s, const struct unit *me, unsigned from);
bool port_free(unsigned port);

#endif
