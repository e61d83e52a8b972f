/* shoal persona: whom people talk to. */
#include "shoal/base/json.h"
#include "shoal/cli/cli.h"
#include "shoal/cli/session.h"
#include "shoal/cli/sub.h"
#include "shoal/store/rules.h"

static const struct arg_opt options[] = {
    {"json", false, false},   {"name", true, false},      {"greeting", true, false},
    {"prompt", true, false},  {"reply", true, true},      {"no-replies", false, false},
    {"active", false, false}, {"inactive", false, false}, {0},
};

static const struct out_col columns_json[] = {
    {"key", OUT_TEXT},    {"name", OUT_TEXT},    {"greeting", OUT_TEXT},
    {"prompt", OUT_TEXT}, {"replies", OUT_JSON}, {"active", OUT_BOOL},
    {"codes", OUT_INT},   {"chats", OUT_INT},    {0},
};
/* Texts of thousands of characters make no table: for people without them. */
static const struct out_col columns_table[] = {
    {"key", OUT_TEXT},
    {"name", OUT_TEXT},
    {"active", OUT_BOOL},
    {"answers", OUT_INT},
    {"codes", OUT_INT},
    {"chats", OUT_INT},
    {0},
};

static int list(struct session *s)
{
	PGresult *res;

	if (!session_pg(s) || !(res = session_run(s, "cli_persona_list", NULL)))
		return s->code;
	return session_print(s, res, s->json ? columns_json : columns_table, OUT_LIST,
	                     "there are no personas yet: `shoal persona add KEY --name N --greeting T`");
}

/* What the options ask for, as parameters: ptr NULL where they do not say. */
struct wish {
	const char *key;
	struct span name, greeting, prompt, replies, active;
};

static const char *read_replies(struct session *s, struct span *out)
{
	struct json_writer w;
	struct buf b;
	const char *reply, *why = NULL;
	size_t n;

	buf_init(&b, (size_t)REPLIES_MAX * MESSAGE_UNITS * 8);
	json_writer_init(&w, &b);
	json_begin_arr(&w);
	for (n = 0; !why && (reply = args_get_nth(s->args, "reply", n)); n++) {
		json_put_str(&w, reply);
		why = n == REPLIES_MAX ? arena_printf(s->a, "more than %d replies", REPLIES_MAX)
		                       : rule_text(s->a, "the reply", reply, 1, MESSAGE_UNITS);
	}
	json_end_arr(&w);
	if (!why && n > 0 && args_has(s->args, "no-replies"))
		why = "--reply and --no-replies exclude each other";
	if (!why && (n > 0 || args_has(s->args, "no-replies")))
		*out = arena_span(s->a, buf_span(&b));
	buf_release(&b);
	return why;
}

static const char *read_flags(struct session *s, struct wish *w)
{
	if (args_has(s->args, "active") && args_has(s->args, "inactive"))
		return "--active and --inactive exclude each other";
	if (args_has(s->args, "active") || args_has(s->args, "inactive"))
		w->active = span_bool(args_has(s->args, "active"));
	return NULL;
}

static bool read_wish(struct session *s, struct wish *w)
{
	const char *name = args_get(s->args, "name"), *greeting = args_get(s->args, "greeting");
	const char *prompt = args_get(s->args, "prompt"), *why;

	*w = (struct wish){.key = s->args->operands[0],
	                   .name = span_of(name),
	                   .greeting = span_of(greeting),
	                   .prompt = span_of(prompt)};
	if (!(why = rule_key(s->a, w->key)) && !(name && (why = rule_text(s->a, "the name", name, 1, NAME_UNITS))) &&
	    !(greeting && (why = rule_text(s->a, "the greeting", greeting, 1, MESSAGE_UNITS))) &&
	    !(prompt && (why = rule_text(s->a, "the prompt", prompt, 0, PROMPT_UNITS))) &&
	    !(why = read_replies(s, &w->replies)) && !(why = read_flags(s, w)))
		return true;
	session_usage(s, "%s", why);
	return false;
}

static int no_persona(struct session *s, const char *key)
{
	return session_fail(s, EXIT_NOT_THERE, "there is no persona %s: see `shoal persona list`", key);
}

static int add(struct session *s)
{
	struct wish w;
	PGresult *res;

	if (!read_wish(s, &w))
		return s->code;
	if (!w.name.ptr || !w.greeting.ptr)
		return session_usage(s, "--name and --greeting are needed");
	if (w.prompt.len == 0)
		w.prompt.ptr = NULL;
	if (!session_pg(s) || !(res = session_run(s, "cli_persona_add",
	                                          PARAMS(span_of(w.key), w.name, w.greeting, w.prompt,
	                                                 w.replies.ptr ? w.replies : SPAN("[]"),
	                                                 span_bool(!args_has(s->args, "inactive")), session_actor(s)))))
		return s->code;
	if (cell_i64(res, "added") == 0)
		return session_fail(s, EXIT_FAILED, "there is a persona %s already: `shoal persona set` changes it",
		                    w.key);
	return session_tell(s, CACHE_PERSONA, NULL, 0, out_done(s->json, "persona %s added", w.key));
}

static int set(struct session *s)
{
	struct wish w;
	PGresult *res;

	if (!read_wish(s, &w))
		return s->code;
	if (!w.name.ptr && !w.greeting.ptr && !w.prompt.ptr && !w.replies.ptr && !w.active.ptr)
		return session_usage(s, "nothing to set: give at least one option");
	if (!session_pg(s) || !(res = session_run(s, "cli_persona_set",
	                                          PARAMS(span_of(w.key), w.name, w.greeting, w.prompt, w.replies,
	                                                 w.active, session_actor(s)))))
		return s->code;
	if (cell_i64(res, "changed") == 0)
		return no_persona(s, w.key);
	return session_tell(s, CACHE_PERSONA, NULL, 0, out_done(s->json, "persona %s changed", w.key));
}

static int remove_persona(struct session *s)
{
	const char *key = s->args->operands[0], *why = rule_key(s->a, key);
	PGresult *res;

	if (why)
		return session_usage(s, "%s", why);
	if (!session_pg(s) || !session_begin(s) || !(res = session_run(s, "cli_persona_lock", PARAMS(span_of(key)))))
		return s->code;
	if (PQntuples(res) == 0)
		return no_persona(s, key);
	if (!(res = session_run(s, "cli_persona_remove",
	                        PARAMS(span_i64_text(s->a, cell_i64(res, "id")), session_actor(s)))))
		return s->code;
	if (cell_i64(res, "removed") == 0)
		return session_fail(
		    s, EXIT_FAILED,
		    "%lld start codes and %lld chats use the persona %s: it is not removed; `shoal persona set "
		    "%s --inactive` switches it off",
		    (long long)cell_i64(res, "codes"), (long long)cell_i64(res, "chats"), key, key);
	if (!session_commit(s))
		return s->code;
	return session_tell(s, CACHE_PERSONA, NULL, 0, out_done(s->json, "persona %s removed", key));
}

static const struct sub subs[] = {
    {"list", "json", 0, 0, "", list},
    {"add", "json name greeting prompt reply inactive", 1, 1, "KEY", add},
    {"set", "json name greeting prompt reply no-replies active inactive", 1, 1, "KEY", set},
    {"remove", "json", 1, 1, "KEY", remove_persona},
    {0},
};

int verb_persona(int argc, char **argv)
{
	return sub_run(argc, argv, options, subs);
}
