#include "shoal/admin/note.h"

#include "shoal/base/log.h"
#include "shoal/store/sql.h"

struct noting {
	struct visitor *v;
	const char *action, *target;
	note_fn *then;
};

static void on_noted(void *arg, enum err err, PGresult *rows, const struct pg_fault *fault)
{
	const struct noting *n = arg;

	PQclear(rows);
	if (err != ERR_OK)
		log_warn("a change is not noted in admin_audit", LOG_STR("actor", n->v->actor),
		         LOG_STR("action", n->action), LOG_STR("target", n->target), LOG_STR("reason", fault->message));
	n->then(n->v, err == ERR_OK);
}

void note(struct visitor *v, const char *action, const char *target, const char *details, note_fn *then)
{
	struct noting *n = arena_new(v->a, struct noting);

	*n = (struct noting){v, action, target, then};
	pg_exec(v->api->pg, sql_get("audit"),
	        PARAMS(span_of(v->actor), span_of(action), span_of(target), span_of(details)), on_noted, n);
}

void note_end(struct visitor *v, bool noted)
{
	json_kv_bool(&v->json, "noted", noted);
	json_end_obj(&v->json);
	visitor_send(v, 200);
}
