/* /api/analytics/users: people, the newest first, with what they wrote lately. */
#include "shoal/admin/routes.h"

enum { LIMIT = 50, LIMIT_MAX = 200, OFFSET_MAX = 1000000, Q_BYTES = 128 };

static const struct cell_column columns[] = {
    {"id", CELL_ID},
    {"telegram_id", CELL_ID},
    {"first_name", CELL_TEXT},
    {"username", CELL_TEXT},
    {"acquisition_source", CELL_TEXT},
    {"created_at", CELL_TIME},
    {"last_seen_at", CELL_TIME},
    {"sparkline", CELL_JSON},
    {"streak_days", CELL_INT},
    {0},
};

struct page {
	int64_t limit, after, offset; /* after 0: from the start */
	struct span begins;           /* empty: all */
};

/* One row more than wanted says that there are more. */
static void on_page(struct visitor *v, const PGresult *rows)
{
	const struct page *p = v->state;
	int n = PQntuples(rows), id = PQfnumber(rows, "id");
	const char *next = NULL;

	ENSURE(n > 0);
	if (n > p->limit) {
		n = (int)p->limit;
		next = PQgetvalue(rows, n - 1, id);
	}
	json_begin_obj(&v->json);
	json_key(&v->json, "users");
	json_begin_arr(&v->json);
	for (int row = 0; row < n && !PQgetisnull(rows, row, id); row++)
		visitor_put_row(v, rows, row, columns);
	json_end_arr(&v->json);
	json_kv_str(&v->json, "next_cursor", next);
	json_kv_i64(&v->json, "total", visitor_cell_i64(rows, "total"));
	json_kv_bool(&v->json, "total_is_exact", *PQgetvalue(rows, 0, PQfnumber(rows, "total_is_exact")) == 't');
	json_end_obj(&v->json);
	visitor_send(v, 200);
}

/* How people write a user name: with @ before it. False: it was refused. */
static bool read_q(struct visitor *v, struct span *out)
{
	if (!visitor_query_text(v, "q", Q_BYTES, out))
		return false;
	while (out->len && (*out->ptr == '@' || *out->ptr == ' '))
		*out = (struct span){out->ptr + 1, out->len - 1};
	return true;
}

void users_list(struct visitor *v)
{
	struct page *p = arena_new(v->a, struct page);
	struct span after, telegram_id = {0};
	int64_t id;

	v->state = p;
	if (!visitor_query_i64(v, "limit", 1, LIMIT_MAX, LIMIT, &p->limit) ||
	    !visitor_query_i64(v, "cursor", 1, INT64_MAX, 0, &p->after) ||
	    !visitor_query_i64(v, "offset", 0, OFFSET_MAX, 0, &p->offset) || !read_q(v, &p->begins))
		return;
	after = p->after ? visitor_number(v, p->after) : (struct span){0};
	if (span_i64(p->begins, &id))
		telegram_id = visitor_number(v, id);
	if (p->begins.len)
		visitor_sql(
		    v, "users_search",
		    PARAMS(after, visitor_number(v, p->limit), visitor_number(v, p->offset), p->begins, telegram_id),
		    on_page);
	else
		visitor_sql(v, "users_page", PARAMS(after, visitor_number(v, p->limit), visitor_number(v, p->offset)),
		            on_page);
}
