#include "shoal/admin/note.h"

#include "shoal/base/log.h"
#include "shoal/store/sql.h"

struct noting {
	struct visitor *v;
	const char *action, *target;
	note_fn *then; /* NULL: it failed, with err of who */
	enum err err;
	const char *who;
};

static void on_noted(void *arg, enum err err, struct pg_rows *rows, const struct pg_fault *fault)
{
	const struct noting *n = arg;

	(void)rows;
	if (err != ERR_OK)
		log_warn("a change is not noted in admin_audit", LOG_STR("actor", n->v->actor),
		         LOG_STR("action", n->action), LOG_STR("target", n->target), LOG_STR("reason", fault->message));
	if (n->then)
		n->then(n->v, err == ERR_OK);
	else
		visitor_failed(n->v, n->err, n->who);
}

static void write_down(struct noting *n, const char *details)
{
	pg_exec(n->v->api->changes, sql_get("audit"),
	        PARAMS(span_of(n->v->actor), span_of(n->action), span_of(n->target), span_of(details)), on_noted, n);
}

void note(struct visitor *v, const char *action, const char *target, const char *details, note_fn *then)
{
	struct noting *n = arena_new(v->a, struct noting);

	*n = (struct noting){.v = v, .action = action, .target = target, .then = then};
	write_down(n, details);
}

void note_failed(struct visitor *v, enum err err, const char *who, const char *action, const char *target)
{
	struct noting *n = arena_new(v->a, struct noting);

	*n = (struct noting){.v = v, .action = action, .target = target, .err = err, .who = who};
	if (err == ERR_UNKNOWN || err == ERR_TIMEOUT)
		write_down(n, "{\"outcome\":\"unknown\"}");
	else
		visitor_failed(v, err, who);
}

void note_end(struct visitor *v, bool noted)
{
	json_kv_bool(&v->json, "noted", noted);
	json_end_obj(&v->json);
	visitor_send(v, 200);
}
