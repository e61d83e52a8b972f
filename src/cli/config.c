/* shoal config [--check]: the configuration as the programs would see it. */
#include <stdio.h>

#include "shoal/base/args.h"
#include "shoal/base/conf.h"
#include "shoal/base/json.h"
#include "shoal/cli/cli.h"
#include "shoal/cli/out.h"
#include "shoal/io/pg.h"
#include "shoal/io/redis.h"
#include "shoal/store/shards.h"

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

/* What the programs refuse beyond single values. NULL, or why. */
static const char *refused(const struct conf *c, struct arena *a)
{
	const char **urls, *why = NULL;
	const struct {
		const char *name, *url;
	} pg[] = {{"SHOAL_POSTGRES_URL", c->postgres_url}, {"SHOAL_POSTGRES_DIRECT_URL", c->postgres_direct_url}};
	unsigned n;

	if (shards_parse(c->redis_url, a, &urls, &n, &why) != ERR_OK)
		return why;
	if (shards_check_cache(c->cache_redis_url, a, &why) != ERR_OK)
		return why;
	for (size_t i = 0; i < 2; i++) {
		if (pg_check_url(pg[i].url, a, &why) != ERR_OK)
			return arena_printf(a, "%s: %s", pg[i].name, why);
	}
	return NULL;
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
	if (args_has(&args, "check") && (why = refused(&conf, a)))
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
