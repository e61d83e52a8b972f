/* shoal config [--check]: the configuration as the programs would see it. */
#include <stdio.h>

#include "shoal/base/args.h"
#include "shoal/base/conf.h"
#include "shoal/base/json.h"
#include "shoal/cli/cli.h"
#include "shoal/cli/out.h"

static const struct arg_opt options[] = {{"check", false, false}, {"json", false, false}, {0}};

/* Numbers and flags as such, everything else as text; null where unset. */
static void put_option(struct json_writer *w, const struct conf *c, const struct opt *o, struct arena *a)
{
	const char *shown = conf_show(c, o, a);

	json_key(w, o->name);
	if (o->type == OPT_INT || o->type == OPT_FLAG)
		json_put_raw(w, span_of(shown));
	else
		json_put_str(w, *shown ? shown : NULL);
}

static int show(const struct conf *c, bool json, struct arena *a)
{
	struct json_writer w;
	struct buf b;
	int code = EXIT_DONE;

	buf_init(&b, 1 << 20);
	json_writer_init(&w, &b);
	if (json)
		json_begin_obj(&w);
	for (const struct opt *o = conf_options; o->name; o++) {
		if (json)
			put_option(&w, c, o, a);
		else
			buf_addf(&b, "%s=%s\n", o->name, conf_show(c, o, a));
	}
	if (json) {
		json_end_obj(&w);
		buf_addc(&b, '\n');
	}
	if (fwrite(b.ptr, 1, b.len, stdout) != b.len || fflush(stdout) != 0)
		code = out_fail(EXIT_FAILED, "config", "cannot write to stdout");
	buf_release(&b);
	return code;
}

static int run(int argc, char **argv, struct arena *a)
{
	struct args args;
	struct conf conf;
	const char *why;

	if (!args_parse(&args, a, argc, argv, options) || !args_count(&args, 0, 0, ""))
		return EXIT_USAGE;
	if (conf_load(&conf, a, NULL, &why) != ERR_OK)
		return out_fail(EXIT_FAILED, "config", "%s", why);
	if (args_has(&args, "check"))
		return out_done(args_has(&args, "json"), "ok");
	return show(&conf, args_has(&args, "json"), a);
}

int verb_config(int argc, char **argv)
{
	struct arena a;
	int code;

	arena_init(&a);
	code = run(argc, argv, &a);
	arena_release(&a);
	return code;
}
