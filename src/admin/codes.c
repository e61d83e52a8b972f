/* /api/analytics/start-codes: the same as `shoal code`. */
#include "shoal/admin/routes.h"
#include "shoal/admin/tell.h"
#include "shoal/base/clock.h"
#include "shoal/base/log.h"
#include "shoal/store/cache_key.h"
#include "shoal/store/rules.h"

#include <string.h>

enum { LIMIT = 100, LIMIT_MAX = 1000, Q_BYTES = 128 };

#define FIELDS "code persona description active max_uses expires_at"
#define READ_ONLY " user_count created_at" /* who sends back what was got may leave them in */

static const struct cell_column columns[] = {
    {"code", CELL_TEXT},      {"persona", CELL_TEXT},    {"description", CELL_TEXT},
    {"active", CELL_BOOL},    {"max_uses", CELL_INT},    {"expires_at", CELL_TIME},
    {"user_count", CELL_INT}, {"created_at", CELL_TIME}, {0},
};

/* --- list */

static void put_rows(struct visitor *v, const PGresult *rows, int n)
{
	json_begin_arr(&v->json);
	for (int row = 0; row < n; row++)
		visitor_put_row(v, rows, row, columns);
	json_end_arr(&v->json);
}

static void on_list(struct visitor *v, const PGresult *rows)
{
	put_rows(v, rows, PQntuples(rows));
	visitor_send(v, 200);
}

/* Of codes: those that most people came by first, or by name. */
struct page {
	int64_t limit;
	bool most_first;
	const char *after; /* a code; NULL: from the start */
	int64_t after_place;
};

/* The body is the same array as of all codes; what else there is to say stands in headers. A cursor is PLACE:CODE. */
static void on_page(struct visitor *v, const PGresult *rows)
{
	const struct page *p = v->state;
	const char *headers[] = {"X-Total-Count",
	                         PQgetvalue(rows, 0, PQfnumber(rows, "total")),
	                         "X-Total-Users",
	                         PQgetvalue(rows, 0, PQfnumber(rows, "people")),
	                         NULL,
	                         NULL,
	                         NULL};
	int n = PQntuples(rows), code = PQfnumber(rows, "code");

	if (n > p->limit) {
		n = (int)p->limit;
		headers[4] = "X-Next-Cursor";
		headers[5] = arena_printf(v->a, "%s:%s",
		                          p->most_first ? PQgetvalue(rows, n - 1, PQfnumber(rows, "user_count")) : "0",
		                          PQgetvalue(rows, n - 1, code));
	}
	put_rows(v, rows, PQgetisnull(rows, 0, code) ? 0 : n);
	visitor_send_with(v, 200, headers);
}

/* False: it was refused. */
static bool read_page(struct visitor *v, struct page *p)
{
	const char *cursor = httpd_query(v->r, "cursor"), *order = httpd_query(v->r, "order"), *colon;

	*p = (struct page){.most_first = order && strcmp(order, "users") == 0};
	if (order && !p->most_first && strcmp(order, "code") != 0) {
		visitor_invalid(v, "order", "order must be code or users");
		return false;
	}
	if (cursor && *cursor) {
		colon = strchr(cursor, ':');
		p->after = colon ? colon + 1 : NULL;
		if (!colon || !span_i64((struct span){cursor, (size_t)(colon - cursor)}, &p->after_place) ||
		    p->after_place < 0 || rule_code(v->a, p->after)) {
			visitor_invalid(v, "cursor", "it is no cursor: X-Next-Cursor of the answer before is one");
			return false;
		}
	}
	return visitor_query_i64(v, "limit", 1, LIMIT_MAX, LIMIT, &p->limit);
}

void codes_list(struct visitor *v)
{
	static const char *const names[] = {"limit", "cursor", "order", "q"};
	struct page *p = arena_new(v->a, struct page);
	bool whole = true;
	struct span q;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		whole = whole && !httpd_query(v->r, names[i]);
	v->state = p;
	if (whole)
		visitor_sql(v, "code_counts", NULL, on_list);
	else if (read_page(v, p) && visitor_query_text(v, "q", Q_BYTES, &q))
		visitor_sql(v, "codes_page",
		            PARAMS(span_of(p->after), visitor_number(v, p->after_place), visitor_number(v, p->limit),
		                   p->most_first ? SPAN("t") : SPAN("f"), q.len ? q : (struct span){0}),
		            on_page);
}

/* --- what is wished */

/* As code_set takes them: ptr NULL leaves a thing as it is. */
struct wish {
	struct visitor *v;
	const cJSON *body;
	const char *code;
	struct span persona, description, max_uses, expires, active;
};

/* Each field's reader: the value is there, and not null. NULL, or why it will not do. */

static const char *read_persona(struct wish *w, const cJSON *value)
{
	w->persona = span_of(value->valuestring);
	return cJSON_IsString(value) ? rule_key(w->v->a, value->valuestring) : "the persona must be a text: its key";
}

static const char *read_description(struct wish *w, const cJSON *value)
{
	w->description = span_of(value->valuestring);
	return cJSON_IsString(value) ? rule_text(w->v->a, "the description", value->valuestring, 0, DESCRIPTION_UNITS)
	                             : "the description must be a text, or null";
}

static const char *read_active(struct wish *w, const cJSON *value)
{
	w->active = cJSON_IsTrue(value) ? SPAN("t") : SPAN("f");
	return cJSON_IsBool(value) ? NULL : "active must be true or false";
}

static const char *read_max_uses(struct wish *w, const cJSON *value)
{
	int64_t n;

	if (!json_value_i64(value, &n))
		return "the number of uses must be a whole number from 1 up, or null";
	w->max_uses = span_of(arena_i64(w->v->a, n));
	return rule_max_uses(w->v->a, w->max_uses.ptr, &n);
}

static const char *read_expires(struct wish *w, const cJSON *value)
{
	const char *why;
	char time[32];
	int64_t ms;

	if (!cJSON_IsString(value))
		return "the time must be a text, such as 2027-01-31T12:00:00Z, or null";
	if ((why = rule_expires(w->v->a, value->valuestring, &ms)))
		return why;
	clock_rfc3339(ms, time, sizeof(time));
	w->expires = arena_span(w->v->a, span_of(time));
	return NULL;
}

static const struct field {
	const char *name;
	const char *(*read)(struct wish *w, const cJSON *value);
	size_t offset;    /* of what null sets in the wish */
	const char *none; /* as code_set has it; NULL: it cannot be null */
} fields[] = {
    {"persona", read_persona, offsetof(struct wish, persona), ""},
    {"description", read_description, offsetof(struct wish, description), ""},
    {"active", read_active, 0, NULL},
    {"max_uses", read_max_uses, offsetof(struct wish, max_uses), "0"},
    {"expires_at", read_expires, offsetof(struct wish, expires), ""},
};

/* False: it was refused. */
static bool read_wish(struct visitor *v, struct wish *w)
{
	*w = (struct wish){.v = v, .body = visitor_body(v, FIELDS READ_ONLY)};
	if (!w->body)
		return false;
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		const struct field *f = &fields[i];
		const cJSON *value = json_get(w->body, f->name);
		const char *why = NULL;

		if (cJSON_IsNull(value) && f->none)
			*(struct span *)((char *)w + f->offset) = span_of(f->none);
		else if (value)
			why = f->read(w, value);
		if (why) {
			visitor_invalid(v, f->name, why);
			return false;
		}
	}
	return true;
}

/* --- the answer to a change */

/* The change stands whether or not the fleet could be told: those who listen to PostgreSQL hear of it all the same. */
static void on_told(struct visitor *v, enum err err, struct cache_heard heard)
{
	(void)heard;
	if (err != ERR_OK)
		log_warn("a start code was changed, but the caches in Redis could not be told",
		         LOG_STR("reason", err_text(err)));
	if (v->out.len)
		visitor_send(v, v->status);
	else
		visitor_done(v);
}

/* The code's own value, and the list of all codes. */
static void tell(struct visitor *v, const char *code, int status)
{
	v->status = status;
	tell_keys(v, CACHE_STARTCODE, (struct span[]){span_of(code), SPAN(CACHE_WHOLE)}, 2, on_told);
}

static void no_persona(struct visitor *v)
{
	visitor_invalid(v, "persona", "there is no such persona");
}

static void no_code(struct visitor *v)
{
	visitor_refuse(v, 404, "not_found", "there is no such start code");
}

/* --- add */

/* A new code has nothing that could be taken away. */
static struct span unless(struct span s, const char *none)
{
	return !span_is(s, none) ? s : (struct span){0};
}

static void on_added(struct visitor *v, const PGresult *rows)
{
	if (visitor_cell_i64(rows, "personas") == 0) {
		no_persona(v);
	} else if (visitor_cell_i64(rows, "added") == 0) {
		visitor_refuse(v, 409, "exists", "there is such a start code already");
	} else {
		visitor_put_row(v, rows, 0, columns);
		tell(v, PQgetvalue(rows, 0, PQfnumber(rows, "code")), 201);
	}
}

void codes_add(struct visitor *v)
{
	const cJSON *code;
	struct wish w;
	const char *why;

	if (!read_wish(v, &w))
		return;
	code = json_get(w.body, "code");
	why = !code                   ? "the code is missing"
	      : !cJSON_IsString(code) ? "the code must be a text"
	                              : rule_code(v->a, code->valuestring);
	if (why)
		visitor_invalid(v, "code", why);
	else if (!w.persona.ptr)
		visitor_invalid(v, "persona", "the persona is missing: whom does the code open?");
	else
		visitor_sql(v, "code_add",
		            PARAMS(span_of(code->valuestring), unless(w.persona, ""), unless(w.description, ""),
		                   unless(w.max_uses, "0"), unless(w.expires, ""), w.active.ptr ? w.active : SPAN("t"),
		                   span_of(v->actor)),
		            on_added);
}

/* --- set */

static void on_set(struct visitor *v, const PGresult *rows)
{
	if (visitor_cell_i64(rows, "codes") == 0) {
		no_code(v);
	} else if (visitor_cell_i64(rows, "changed") == 0) {
		no_persona(v);
	} else {
		visitor_put_row(v, rows, 0, columns);
		tell(v, v->param, 200);
	}
}

void codes_set(struct visitor *v)
{
	const char *code;
	struct wish w;

	if (!read_wish(v, &w))
		return;
	code = json_str(w.body, "code");
	if (json_get(w.body, "code") && (!code || strcmp(code, v->param) != 0))
		visitor_invalid(v, "code", "a code cannot become another one: add that, and remove this");
	else if (rule_code(v->a, v->param))
		no_code(v);
	else
		visitor_sql(v, "code_set",
		            PARAMS(span_of(v->param), w.persona, w.description, w.max_uses, w.expires, w.active,
		                   span_of(v->actor)),
		            on_set);
}

/* --- remove */

static void on_removed(struct visitor *v, const PGresult *rows)
{
	if (PQntuples(rows) == 0)
		no_code(v);
	else if (visitor_cell_i64(rows, "removed") == 0)
		visitor_refuse(
		    v, 409, "in_use",
		    "%lld came by this code, and would be counted no more: {\"active\": false} switches it off; "
		    "?force=true removes both",
		    (long long)visitor_cell_i64(rows, "uses"));
	else
		tell(v, v->param, 204);
}

void codes_remove(struct visitor *v)
{
	const char *force = httpd_query(v->r, "force");

	if (force && strcmp(force, "true") != 0 && strcmp(force, "false") != 0)
		visitor_invalid(v, "force", "force must be true or false");
	else if (rule_code(v->a, v->param))
		no_code(v);
	else
		visitor_sql(v, "code_remove",
		            PARAMS(span_of(v->param), force && strcmp(force, "true") == 0 ? SPAN("t") : SPAN("f"),
		                   span_of(v->actor)),
		            on_removed);
}
