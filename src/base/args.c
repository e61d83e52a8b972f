#include "shoal/base/args.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "shoal/base/shown.h"

enum exit_code exit_code_of(enum err err)
{
	switch (err) {
	case ERR_OK: return EXIT_DONE;
	case ERR_UNREACHABLE:
	case ERR_UNKNOWN:
	case ERR_TIMEOUT: return EXIT_NO_SERVER;
	case ERR_NOT_FOUND: return EXIT_NOT_THERE;
	default: return EXIT_FAILED;
	}
}

int args_usage(const struct args *args, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "shoal %s: ", args->verb);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\nTry `shoal help %s`.\n", args->verb);
	return EXIT_USAGE;
}

/* "-" and negative numbers are operands. */
static bool is_option(const char *arg)
{
	return arg[0] == '-' && arg[1] != '\0' && !(arg[1] >= '0' && arg[1] <= '9');
}

static const struct arg_opt *find_opt(const struct arg_opt *opts, const char *arg)
{
	struct span name;

	if (arg[1] != '-')
		return NULL;
	name = (struct span){arg + 2, strcspn(arg + 2, "=")};
	for (; opts->name; opts++) {
		if (span_is(name, opts->name))
			return opts;
	}
	return NULL;
}

/* Takes the option at argv[*i], and its value, which may be the next argument. */
static bool take_option(struct args *args, int argc, char **argv, int *i, const struct arg_opt *opts)
{
	const char *arg = argv[*i], *equals = strchr(arg, '=');
	const struct arg_opt *opt = find_opt(opts, arg);
	struct arg_given *given = &args->given[args->ngiven];

	if (!opt)
		return args_usage(args, "there is no option %s",
		                  shown(args->a, arena_strndup(args->a, arg, strcspn(arg, "=")))),
		       false;
	if (!opt->takes_value && equals)
		return args_usage(args, "--%s takes no value", opt->name), false;
	if (!opt->repeats && args_has(args, opt->name))
		return args_usage(args, "--%s is given twice", opt->name), false;
	*given = (struct arg_given){.opt = opt, .value = ""};
	if (opt->takes_value && equals) {
		given->value = equals + 1;
	} else if (opt->takes_value) {
		if (*i + 1 == argc)
			return args_usage(args, "--%s needs a value", opt->name), false;
		given->value = argv[++*i];
	}
	args->ngiven++;
	return true;
}

bool args_parse(struct args *args, struct arena *a, int argc, char **argv, const struct arg_opt *opts)
{
	bool options_over = false;

	*args = (struct args){.verb = argv[0], .a = a};
	args->given = arena_array(a, struct arg_given, (size_t)argc + 1);
	args->operands = arena_array(a, const char *, (size_t)argc + 1);
	for (int i = 1; i < argc; i++) {
		if (options_over || !is_option(argv[i]))
			args->operands[args->noperands++] = argv[i];
		else if (strcmp(argv[i], "--") == 0)
			options_over = true;
		else if (!take_option(args, argc, argv, &i, opts))
			return false;
	}
	return true;
}

bool args_count(const struct args *args, size_t least, size_t most, const char *names)
{
	if (args->noperands > most)
		return args_usage(args, "%s is too much%s%s", shown(args->a, args->operands[most]),
		                  most ? ": it takes " : "", most ? names : ""),
		       false;
	if (args->noperands < least)
		return args_usage(args, "%s missing", names), false;
	return true;
}

const char *args_get_nth(const struct args *args, const char *name, size_t n)
{
	for (size_t i = 0; i < args->ngiven; i++) {
		if (strcmp(args->given[i].opt->name, name) == 0 && n-- == 0)
			return args->given[i].value;
	}
	return NULL;
}

const char *args_get(const struct args *args, const char *name)
{
	return args_get_nth(args, name, 0);
}

bool args_has(const struct args *args, const char *name)
{
	return args_get(args, name) != NULL;
}

bool args_i64(const struct args *args, const char *name, int64_t min, int64_t max, int64_t *out)
{
	const char *text = args_get(args, name);
	int64_t v;

	if (!text)
		return true;
	if (!span_i64(span_of(text), &v) || v < min || v > max)
		return args_usage(args, "--%s is \"%s\", but must be a whole number from %lld to %lld", name, text,
		                  (long long)min, (long long)max),
		       false;
	*out = v;
	return true;
}
