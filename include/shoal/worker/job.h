/* One update on its way through the stages. Lives from the entry's arrival until it is settled or lost. */
#ifndef SHOAL_WORKER_JOB_H
#define SHOAL_WORKER_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "shoal/base/arena.h"
#include "shoal/base/metrics.h"
#include "shoal/base/trace.h"
#include "shoal/io/loop.h"
#include "shoal/io/pg.h"
#include "shoal/model/bot.h"
#include "shoal/store/flood.h"
#include "shoal/store/queue.h"
#include "shoal/wire/platform.h"

struct worker;

enum stage {
	STAGE_DECODE,
	STAGE_ACKNOWLEDGE,
	STAGE_LOAD,
	STAGE_DECIDE,
	STAGE_COMMIT,
	STAGE_REPLY,
	STAGE_SETTLE,
	STAGE_COUNT
};

/* What a stage's function returns. AGAIN is the only edge that runs back: commit found another state than was
 * decided on, so the job loads again; or somebody else than presumed, whose rows it has read. */
enum step { STEP_NEXT, STEP_WAIT, STEP_FAIL, STEP_AGAIN };

/* How a failed job goes back. */
enum failure {
	FAILURE_NONE,
	FAILURE_LATER, /* not its fault: unharmed */
	FAILURE_RETRY, /* its fault: uses up an attempt */
	FAILURE_DEAD   /* will never work */
};

/* What became of it: the label of shoal_updates_total. */
enum job_outcome {
	JOB_UNDECIDED,
	JOB_DONE,
	JOB_IGNORED,
	JOB_DOUBLE_CLICK,
	JOB_THROTTLED,
	JOB_RETRIED,
	JOB_DEAD,
	JOB_FENCED,
	JOB_OUTCOMES
};

struct job {
	struct worker *worker;
	struct queue_entry *entry;
	struct trace trace; /* of all that is said about it */
	struct arena arena;
	struct job *next, **prev; /* the worker's ready list while ready */
	bool ready;
	unsigned pending; /* operations under way that will call back */
	struct timer timer;

	enum stage stage;
	int step; /* inside the stage; 0 when it is entered */
	struct {
		int64_t us;
	} spent[STAGE_COUNT];
	int64_t began_us, stage_began_us;

	const struct bot *bot;
	const struct platform *platform;
	const struct command *command;
	const char *load; /* the SELECT that was chosen */
	struct update update;
	struct facts facts;
	struct decision decision;

	enum job_outcome outcome; /* set early when there is nothing to decide */
	enum failure failure;
	int64_t later_ms;
	const char *error;
	bool maybe_applied;

	unsigned statements, conflicts;
	struct effects effects;
	size_t sent;         /* of its calls: delivered, or refused for good */
	const char *sending; /* method of the call under way */

	/* results that callbacks left for the stage */
	enum err op_err;
	enum err lock_err; /* nobody knows whose the press is */
	bool double_click, throttled, notice, guarded;
	bool misjudged; /* somebody was not as presumed: the facts are what the commit read instead */
	bool contended; /* the conflict was with other transactions, not with the state decided on */
	struct ruling ruling;

	/* ahead.h: since when the first message to this chat has a place in the budget; 0: it has none */
	int64_t ahead_ms, ahead_chat;

	/* the way out of the message under way */
	struct flood_answer flood;
	struct job *in_line; /* outlet.h */
	bool in_outlet, seated;
	int64_t waited_ms; /* for the budget, so far */
	unsigned asked;
	bool booked;
};

/* The stages, in order. Only the runner in job.c calls them and moves a job. */
struct stage_row {
	const char *name;
	enum step (*run)(struct job *j);
};
extern const struct stage_row job_stages[STAGE_COUNT];

struct job *job_new(struct worker *w, struct queue_entry *e);
void job_ready(struct job *j); /* runs from the loop */
/* Runs all that is ready. */
void job_run_ready(struct worker *w);
/* At the end, before the queues are closed: forgets those of them that are nobody's any more, as all are when the
 * queues have been left. What still waits for the caches' Redis goes with the process. */
void job_drop_ready(struct worker *w);

/* Around every operation: begin before it starts; end in its callback, after the result is stored. The job runs again
 * when none is under way. */
void job_begin(struct job *j);
void job_end(struct job *j);

/* A statement of the catalogue as an operation of the job: job_begin included, fn calls job_end with the job as arg. */
void job_sql(struct job *j, const char *statement, struct pg_params *params, pg_fn *fn);

/* In a callback: the first failure of the operations under way is the one that counts. */
void job_op_failed(struct job *j, enum err err);
/* A worker that stood still may have lost its entries without knowing: it asks before it does what others see. True:
 * it is asking now, the stage waits, and asks again where the answer took too long itself. */
bool job_must_confirm(struct job *j);

#define JOB_OUTAGE_MS 1000 /* an entry given back because a server is away comes again after about so long */
/* Whether an error is an outage, that is, not the update's own fault. */
bool job_is_outage(enum err err);
enum step job_outage(struct job *j, const char *what, enum err err);

/* For the stages: how it failed. */
enum step job_later(struct job *j, int64_t ms, const char *why);
enum step job_retry(struct job *j, const char *why);
enum step job_dead(struct job *j, const char *why);

const char *job_outcome_name(enum job_outcome o);

#endif
