/* Verbs that have subverbs: `shoal code add ...`. */
#ifndef SHOAL_CLI_SUB_H
#define SHOAL_CLI_SUB_H

#include <stddef.h>

#include "shoal/base/args.h"
#include "shoal/cli/session.h"

struct sub {
	const char *name;    /* NULL ends the table */
	const char *options; /* names of those it takes: "json persona" */
	size_t least, most;  /* operands behind its name */
	const char *operands;
	int (*run)(struct session *s);
};

/* Parses, finds the subverb, checks what it takes, runs it in a session of its own, returns what it returned. opts:
 * what any of them takes. */
int sub_run(int argc, char **argv, const struct arg_opt *opts, const struct sub *subs);

#endif
