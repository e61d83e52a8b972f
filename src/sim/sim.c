/* The verb: options, wiring, the run. */
#include "shoal/sim/sim.h"

#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shoal/base/args.h"
#include "shoal/base/clock.h"
#include "shoal/base/log.h"
#include "shoal/io/health.h"
#include "shoal/sim/call.h"
#include "shoal/sim/control.h"
#include "shoal/sim/discord_call.h"

#define BODY_MAX (32u << 20)
#define ANSWER_MAX (256u << 20)
#define HEADERS_MAX 16384
#define CONNECTIONS_MAX 8192
#define TIMEOUT_S 120
#define WEBHOOK_CONNECTIONS 400
#define WEBHOOK_REPLY_MAX (256u << 10)

static const struct arg_opt options[] = {
    {"listen", true, false},      {"bot", true, true},
    {"limits", true, false},      {"retry-scale", true, false},
    {"query-ttl-s", true, false}, {"record", true, false},
    {"discord", true, false},     {"discord-seed", true, false},
    {"answer-ms", true, false},   {0},
};

static void handle(void *arg, struct httpd_request *r)
{
	struct sim *s = arg;
	const char *path = httpd_path(r);

	if (strncmp(path, "/bot", 4) == 0 && strchr(path + 4, '/'))
		api_handle(s, r, path);
	else if (strncmp(path, "/api/", 5) == 0 && s->discord)
		dc_api_handle(s->discord, r, path);
	else if (strncmp(path, "/sim/", 5) == 0)
		control_handle(s, r, path);
	else if (strcmp(path, "/metrics") == 0)
		health_answer_metrics(r);
	else if (strcmp(path, "/healthz") == 0 || strcmp(path, "/readyz") == 0) /* it depends on nobody */
		httpd_reply(r, 200, "text/plain", SPAN("ok\n"), NULL);
	else
		page_handle(s, r, path);
}

static void on_signal(void *arg, int signum)
{
	(void)signum;
	loop_stop(arg);
}

/* --- options */

static bool add_bot(struct sim *s, const struct args *args, const char *spec)
{
	const char *eq = strchr(spec, '=');
	char name[33];

	if (!eq || eq == spec || eq - spec > 32 || !eq[1]) {
		args_usage(args, "--bot %s: NAME=TOKEN is expected, a name of at most 32 characters", spec);
		return false;
	}
	snprintf(name, sizeof(name), "%.*s", (int)(eq - spec), spec);
	for (const char *p = name; *p; p++) {
		if (!isalnum((unsigned char)*p) && *p != '_') {
			args_usage(args, "--bot %s: a name is made of letters, digits and _", spec);
			return false;
		}
	}
	if (strchr(eq + 1, '/') || sim_bot(s, name) || sim_bot_by_token(s, span_of(eq + 1))) {
		args_usage(args, "--bot %s: every bot needs a name and a token of its own; tokens have no /", name);
		return false;
	}
	sim_add_bot(s, name, eq + 1);
	return true;
}

static bool add_default_bots(struct sim *s, const struct args *args)
{
	static const struct {
		const char *name, *variable, *token;
	} bots[] = {
	    {"persona", "SHOAL_PERSONA_TOKEN", "100000001:simulated-persona"},
	    {"escrow", "SHOAL_ESCROW_TOKEN", NULL},
	};
	for (size_t i = 0; i < sizeof(bots) / sizeof(bots[0]); i++) {
		const char *token = getenv(bots[i].variable);
		char spec[512];
		token = token && *token ? token : bots[i].token;
		if (!token)
			continue;
		snprintf(spec, sizeof(spec), "%s=%s", bots[i].name, token);
		if (!add_bot(s, args, spec))
			return false;
	}
	return true;
}

/* 64 hex digits in a file: a key on the command line could be read by others. */
static bool read_seed(struct sim *s, const struct args *args, const char *path)
{
	char text[80] = "";
	FILE *f = path ? fopen(path, "re") : NULL;

	if (path && !f) {
		args_usage(args, "--discord-seed %s: it cannot be read", path);
		return false;
	}
	if (f) {
		text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
		text[strcspn(text, "\r\n")] = '\0';
		fclose(f);
	}
	if (dc_key_make(s->discord, path ? text : NULL))
		return true;
	args_usage(args, "--discord-seed %s: 64 hexadecimal digits are expected in it", path);
	return false;
}

/* NAME=APP_ID:TOKEN */
static bool add_discord(struct sim *s, const struct args *args, const char *spec)
{
	const char *eq = strchr(spec, '='), *colon = eq ? strchr(eq, ':') : NULL;
	char name[33];
	int64_t id;

	if (!colon || eq == spec || eq - spec > 32 || !colon[1] ||
	    !span_i64((struct span){eq + 1, (size_t)(colon - eq - 1)}, &id) || id <= 0) {
		args_usage(args, "--discord %s: NAME=APP_ID:TOKEN is expected", spec);
		return false;
	}
	snprintf(name, sizeof(name), "%.*s", (int)(eq - spec), spec);
	s->discord = discord_new(s, name, id, colon + 1);
	return true;
}

/* The ladder, where its token and application are given; but not beside bots that were asked for by name. */
static bool add_default_discord(struct sim *s, const struct args *args)
{
	const char *token = getenv("SHOAL_LADDER_TOKEN"), *id = getenv("SHOAL_LADDER_APP_ID");
	char spec[512];

	if (args_get(args, "bot") || !token || !*token || !id || !*id)
		return true;
	snprintf(spec, sizeof(spec), "ladder=%s:%s", id, token);
	return add_discord(s, args, spec);
}

static bool read_discord(struct sim *s, const struct args *args)
{
	const char *spec = args_get(args, "discord"), *seed = args_get(args, "discord-seed");
	int64_t answer_ms = DC_ANSWER_MS;

	if (!(spec ? add_discord(s, args, spec) : add_default_discord(s, args)) ||
	    !args_i64(args, "answer-ms", 1, 600000, &answer_ms))
		return false;
	if (!s->discord && (seed || args_get(args, "answer-ms"))) {
		args_usage(args, "--discord-seed, --answer-ms: go with --discord NAME=APP_ID:TOKEN");
		return false;
	}
	if (s->discord)
		s->discord->answer_ms = answer_ms;
	return !s->discord || read_seed(s, args, seed);
}

static bool read_options(struct sim *s, const struct args *args)
{
	const char *limits = args_get(args, "limits"), *scale = args_get(args, "retry-scale"), *bot;
	const char *listen = args_get(args, "listen");
	char *end;

	s->opts = (struct sim_opts){.listen = listen ? listen : "127.0.0.1:8090",
	                            .record = args_get(args, "record"),
	                            .limits = true,
	                            .retry_scale = 1,
	                            .query_ttl_s = 30};
	if (limits && strcmp(limits, "on") != 0 && strcmp(limits, "off") != 0) {
		args_usage(args, "--limits %s: on or off", limits);
		return false;
	}
	s->opts.limits = !limits || strcmp(limits, "on") == 0;
	if (scale) {
		s->opts.retry_scale = strtod(scale, &end);
		if (end == scale || *end || !(s->opts.retry_scale >= 0 && s->opts.retry_scale <= 1)) {
			args_usage(args, "--retry-scale %s: a number from 0 to 1", scale);
			return false;
		}
	}
	if (!args_i64(args, "query-ttl-s", 1, 3600, &s->opts.query_ttl_s))
		return false;
	for (size_t i = 0; (bot = args_get_nth(args, "bot", i)) != NULL; i++) {
		if (!add_bot(s, args, bot))
			return false;
	}
	return read_discord(s, args) && (s->nbots > 0 || args_get(args, "discord") || add_default_bots(s, args));
}

/* --- the run */

static bool open_server(struct sim *s, struct arena *a)
{
	const char *why;
	struct httpd_opts opts = {
	    .listen = s->opts.listen,
	    .variable = "--listen",
	    .max_body = BODY_MAX,
	    .max_headers = HEADERS_MAX,
	    .max_connections = CONNECTIONS_MAX,
	    .timeout_s = TIMEOUT_S,
	    .handle = handle,
	    .arg = s,
	};
	s->httpd = httpd_open(s->loop, &opts, a, &why);
	if (!s->httpd)
		fprintf(stderr, "shoal sim: %s\n", why);
	return s->httpd != NULL;
}

static void print_url(const struct sim *s)
{
	const char *colon = strrchr(s->opts.listen, ':');

	printf("http://%.*s:%u/\n", (int)(colon ? colon - s->opts.listen : 0), s->opts.listen, httpd_port(s->httpd));
	fflush(stdout);
}

static void run(struct sim *s)
{
	struct http_opts opts = {.per_host = WEBHOOK_CONNECTIONS, .max_body = WEBHOOK_REPLY_MAX};

	s->http = http_open(s->loop, &opts);
	loop_on_signal(s->loop, SIGINT, on_signal, s->loop);
	loop_on_signal(s->loop, SIGTERM, on_signal, s->loop);
	signal(SIGPIPE, SIG_IGN);
	print_url(s);
	loop_run(s->loop);
	/* every request gets its end before what it hangs on goes */
	httpd_stop_accepting(s->httpd);
	held_drop_all(s);
}

static struct sim *sim_new(void)
{
	struct sim *s = mem_zalloc(sizeof(*s));

	s->loop = loop_new();
	s->started_ms = clock_ms();
	s->epoch_ms = clock_wall_ms();
	s->seq = s->epoch_ms * 1000;
	s->next_query_id = (int64_t)(random_u64() >> 2) | INT64_C(1) << 60;
	LIST_INIT(&s->held);
	buf_init(&s->out, ANSWER_MAX);
	buf_init(&s->scratch, BODY_MAX);
	return s;
}

static void close_all(struct sim *s)
{
	sim_free(s);
	if (s->httpd)
		httpd_free(s->httpd);
	if (s->http)
		http_close(s->http);
	loop_free(s->loop);
	free(s);
}

int verb_sim(int argc, char **argv)
{
	struct arena a;
	struct args args;
	int code = EXIT_USAGE;

	arena_init(&a);
	if (!args_parse(&args, &a, argc, argv, options) || !args_count(&args, 0, 0, "")) {
		arena_release(&a);
		return EXIT_USAGE;
	}
	struct sim *s = sim_new();
	log_init(LOG_INFO, LOG_AUTO, "sim", "");
	if (read_options(s, &args)) {
		code = EXIT_FAILED;
		if (record_open(&s->record, s->loop, s->opts.record) && open_server(s, &a)) {
			run(s);
			code = EXIT_DONE;
		}
	}
	close_all(s);
	arena_release(&a);
	return code;
}
