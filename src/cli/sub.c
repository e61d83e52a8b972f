#include "shoal/cli/sub.h"

#include <string.h>

#include "shoal/store/rules.h"

/* Whether name is one of the words in list. */
static bool has_word(const char *list, const char *name)
{
	size_t len = strlen(name);

	for (const char *p = list; (p = strstr(p, name)); p += len)
		if ((p == list || p[-1] == ' ') && (p[len] == ' ' || p[len] == '\0'))
			return true;
	return false;
}

static const char *names_of(struct arena *a, const struct sub *subs)
{
	const char *names = subs->name;

	for (subs++; subs->name; subs++)
		names = arena_printf(a, "%s, %s", names, subs->name);
	return names;
}

/* Takes the subverb off the operands. NULL after saying what was wrong. */
static const struct sub *take(struct args *args, const struct sub *subs, struct arena *a)
{
	const struct sub *sub = subs;

	if (args->noperands == 0) {
		args_usage(args, "say what to do: %s", names_of(a, subs));
		return NULL;
	}
	while (sub->name && strcmp(sub->name, args->operands[0]) != 0)
		sub++;
	if (!sub->name) {
		args_usage(args, "it cannot do %s, only: %s", shown(a, args->operands[0]), names_of(a, subs));
		return NULL;
	}
	args->operands++;
	args->noperands--;
	return sub;
}

static bool takes(const struct args *args, const struct sub *sub, struct arena *a)
{
	for (size_t i = 0; i < args->ngiven; i++) {
		if (has_word(sub->options, args->given[i].opt->name))
			continue;
		args_usage(args, "%s takes no --%s", sub->name, args->given[i].opt->name);
		return false;
	}
	if (args->noperands > sub->most) {
		args_usage(args, "%s is too much", shown(a, args->operands[sub->most]));
		return false;
	}
	return args_count(args, sub->least, sub->most, sub->operands);
}

int sub_run(int argc, char **argv, const struct arg_opt *opts, const struct sub *subs)
{
	const struct sub *sub;
	struct session s;
	struct arena a;
	struct args args;
	int code = EXIT_USAGE;

	arena_init(&a);
	if (args_parse(&args, &a, argc, argv, opts) && (sub = take(&args, subs, &a)) && takes(&args, sub, &a)) {
		session_open(&s, &a, &args);
		code = sub->run(&s);
		session_close(&s);
	}
	arena_release(&a);
	return code;
}
