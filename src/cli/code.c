/* shoal code: start codes. */
#include "shoal/base/clock.h"
#include "shoal/cli/cli.h"
#include "shoal/cli/code_csv.h"
#include "shoal/cli/session.h"
#include "shoal/cli/sub.h"
#include "shoal/store/cache_key.h"
#include "shoal/store/rules.h"

#include <stdio.h>

static const struct arg_opt options[] = {
    {"json", false, false},
    {"persona", true, false},
    {"description", true, false},
    {"max-uses", true, false},
    {"expires", true, false},
    {"no-max-uses", false, false},
    {"no-expires", false, false},
    {"active", false, false},
    {"inactive", false, false},
    {"force", false, false},
    {0},
};

static const struct out_col columns[] = {
    {"code", OUT_TEXT},      {"persona", OUT_TEXT},    {"description", OUT_TEXT},
    {"active", OUT_BOOL},    {"max_uses", OUT_INT},    {"expires_at", OUT_TIME},
    {"user_count", OUT_INT}, {"created_at", OUT_TIME}, {0},
};

static int list(struct session *s)
{
	PGresult *res;

	if (!session_pg(s) || !(res = session_run(s, "code_counts", NULL)))
		return s->code;
	return session_print(s, res, columns, OUT_LIST,
	                     "there are no start codes yet: `shoal code add CODE --persona KEY`");
}

/* What the options ask for, as parameters: ptr NULL where they do not say. */
struct wish {
	const char *code;
	struct span persona, description, max_uses, expires, active;
};

static const char *check_wish(struct session *s, struct wish *w)
{
	const char *persona = args_get(s->args, "persona"), *description = args_get(s->args, "description");
	const char *max_uses = args_get(s->args, "max-uses"), *expires = args_get(s->args, "expires"), *why;
	char time[32];
	int64_t v;

	if ((why = rule_code(s->a, w->code)) || (persona && (why = rule_key(s->a, persona))) ||
	    (description && (why = rule_text(s->a, "the description", description, 0, DESCRIPTION_UNITS))))
		return why;
	w->persona = span_of(persona);
	w->description = span_of(description);
	if (max_uses) {
		if ((why = rule_max_uses(s->a, max_uses, &v)))
			return why;
		w->max_uses = span_of(max_uses);
	}
	if (expires) {
		if ((why = rule_expires(s->a, expires, &v)))
			return why;
		clock_rfc3339(v, time, sizeof(time));
		w->expires = arena_span(s->a, span_of(time));
		if (v <= clock_wall_ms())
			fprintf(stderr, "shoal code: note: %s is in the past\n", shown(s->a, expires));
	}
	return NULL;
}

/* Options that take back what another one gives. */
static const char *check_pairs(struct session *s, struct wish *w)
{
	if (args_has(s->args, "no-max-uses")) {
		if (w->max_uses.ptr)
			return "--max-uses and --no-max-uses exclude each other";
		w->max_uses = SPAN("0");
	}
	if (args_has(s->args, "no-expires")) {
		if (w->expires.ptr)
			return "--expires and --no-expires exclude each other";
		w->expires = SPAN("");
	}
	if (args_has(s->args, "active") && args_has(s->args, "inactive"))
		return "--active and --inactive exclude each other";
	if (args_has(s->args, "active") || args_has(s->args, "inactive"))
		w->active = span_bool(args_has(s->args, "active"));
	return NULL;
}

static bool read_wish(struct session *s, struct wish *w)
{
	const char *why;

	*w = (struct wish){.code = s->args->operands[0]};
	if (!(why = check_wish(s, w)) && !(why = check_pairs(s, w)))
		return true;
	session_usage(s, "%s", why);
	return false;
}

/* Its own value, and the list of all codes. */
static int tell(struct session *s, const char *code, int done)
{
	return session_tell(s, CACHE_STARTCODE, (struct span[]){span_of(code), SPAN(CACHE_WHOLE)}, 2, done);
}

static int no_persona(struct session *s, struct span key)
{
	return session_fail(s, EXIT_NOT_THERE, "there is no persona %s: see `shoal persona list`", key.ptr);
}

static int no_code(struct session *s, const char *code)
{
	return session_fail(s, EXIT_NOT_THERE, "there is no start code %s: see `shoal code list`", code);
}

static int add(struct session *s)
{
	struct wish w;
	PGresult *res;

	if (!read_wish(s, &w))
		return s->code;
	if (!w.persona.ptr)
		return session_usage(s, "--persona KEY is missing: whom does the code open?");
	if (w.description.len == 0)
		w.description.ptr = NULL;
	if (!session_pg(s) ||
	    !(res = session_run(s, "code_add",
	                        PARAMS(span_of(w.code), w.persona, w.description, w.max_uses, w.expires,
	                               span_bool(!args_has(s->args, "inactive")), session_actor(s)))))
		return s->code;
	if (cell_i64(res, "personas") == 0)
		return no_persona(s, w.persona);
	if (cell_i64(res, "added") == 0)
		return session_fail(s, EXIT_FAILED, "there is a start code %s already: `shoal code set` changes it",
		                    w.code);
	return tell(s, w.code, out_done(s->json, "code %s added", w.code));
}

static int set(struct session *s)
{
	struct wish w;
	PGresult *res;

	if (!read_wish(s, &w))
		return s->code;
	if (!w.persona.ptr && !w.description.ptr && !w.max_uses.ptr && !w.expires.ptr && !w.active.ptr)
		return session_usage(s, "nothing to set: give at least one option");
	if (!session_pg(s) || !(res = session_run(s, "code_set",
	                                          PARAMS(span_of(w.code), w.persona, w.description, w.max_uses,
	                                                 w.expires, w.active, session_actor(s)))))
		return s->code;
	if (cell_i64(res, "codes") == 0)
		return no_code(s, w.code);
	if (cell_i64(res, "changed") == 0)
		return no_persona(s, w.persona);
	return tell(s, w.code, out_done(s->json, "code %s changed", w.code));
}

/* Its uses are the statistics of where people came from, so they do not go by accident. */
static int remove_code(struct session *s)
{
	const char *code = s->args->operands[0], *why = rule_code(s->a, code);
	PGresult *res;
	int64_t uses;

	if (why)
		return session_usage(s, "%s", why);
	if (!session_pg(s) ||
	    !(res = session_run(s, "code_remove",
	                        PARAMS(span_of(code), span_bool(args_has(s->args, "force")), session_actor(s)))))
		return s->code;
	if (PQntuples(res) == 0)
		return no_code(s, code);
	uses = cell_i64(res, "uses");
	if (cell_i64(res, "removed") == 0)
		return session_fail(
		    s, EXIT_FAILED,
		    "%lld %s came by the code %s: `shoal code set %s --inactive` switches it off and keeps "
		    "that count, --force removes both",
		    (long long)uses, uses == 1 ? "person" : "people", code, code);
	return tell(s, code, out_done(s->json, "code %s removed", code));
}

static const struct sub subs[] = {
    {"list", "json", 0, 0, "", list},
    {"add", "json persona description max-uses expires inactive", 1, 1, "CODE", add},
    {"set", "json persona description max-uses expires no-max-uses no-expires active inactive", 1, 1, "CODE", set},
    {"remove", "json force", 1, 1, "CODE", remove_code},
    {"import", "json", 1, 1, "FILE", code_import},
    {"export", "", 0, 0, "", code_export},
    {0},
};

int verb_code(int argc, char **argv)
{
	return sub_run(argc, argv, options, subs);
}
