/* Arguments of a verb: a table of options and what may stand beside them.
 *
 *     static const struct arg_opt opts[] = {{"json", false}, {"persona", true}, {0}};
 *     struct args args;
 *
 *     if (!args_parse(&args, &arena, argc, argv, opts) || !args_count(&args, 1, 1, "CODE"))
 *             return EXIT_USAGE;
 *     const char *persona = args_get(&args, "persona");
 *
 * "--name value" and "--name=value" are the same; "--" ends the options; "-1" and "-" are operands. */
#ifndef SHOAL_BASE_ARGS_H
#define SHOAL_BASE_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shoal/base/arena.h"
#include "shoal/base/err.h"

/* What every verb returns. */
enum exit_code { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_NO_SERVER = 3, EXIT_NOT_THERE = 4 };

/* The exit code for an error: unreachable, timeout and unknown are 3, not found is 4, the others 1. */
enum exit_code exit_code_of(enum err err);

struct arg_opt {
	const char *name; /* without the dashes; NULL ends the table */
	bool takes_value;
	bool repeats; /* may be given more than once; otherwise that is a usage error */
};

struct arg_given {
	const struct arg_opt *opt;
	const char *value; /* "" for one that takes none */
};

struct args {
	const char *verb;        /* argv[0] */
	struct arg_given *given; /* in the order of the command line */
	size_t ngiven;
	const char **operands; /* what is no option; operands[noperands] is NULL */
	size_t noperands;
	struct arena *a; /* which has them, and what is said of them */
};

/* False after a line on stderr that names what was wrong (unknown option, missing or surplus value, given twice). */
bool args_parse(struct args *args, struct arena *a, int argc, char **argv, const struct arg_opt *opts)
    __attribute__((warn_unused_result));

/* Whether there are least..most operands; if not, says so on stderr. `names` is what they are called: "CODE". */
bool args_count(const struct args *args, size_t least, size_t most, const char *names)
    __attribute__((warn_unused_result));

bool args_has(const struct args *args, const char *name);
const char *args_get(const struct args *args, const char *name); /* the value, NULL if not given */
/* The nth value of an option that repeats; NULL behind the last. */
const char *args_get_nth(const struct args *args, const char *name, size_t n);
/* A whole number; false after a line on stderr. Not given: true, and *out untouched. */
bool args_i64(const struct args *args, const char *name, int64_t min, int64_t max, int64_t *out)
    __attribute__((warn_unused_result));

/* "shoal VERB: message" and a second line that points to `shoal help VERB`; returns EXIT_USAGE. */
int args_usage(const struct args *args, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
