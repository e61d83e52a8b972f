/* /api/audit: what operators did, here and by the command line. */
#include "shoal/admin/routes.h"

enum { LIMIT = 50, LIMIT_MAX = 500 };

static const struct cell_column columns[] = {
    {"id", CELL_ID},
    {"at", CELL_TIME},
    {"actor", CELL_TEXT},
    {"action", CELL_TEXT},
    {"target", CELL_TEXT},
    {"details", CELL_JSON},
    {0},
};

static void on_page(struct visitor *v, const PGresult *rows)
{
	const int64_t *limit = v->state;
	int n = PQntuples(rows);
	bool more = n > *limit;

	if (more)
		n = (int)*limit;
	json_begin_obj(&v->json);
	json_key(&v->json, "entries");
	json_begin_arr(&v->json);
	for (int row = 0; row < n; row++)
		visitor_put_row(v, rows, row, columns);
	json_end_arr(&v->json);
	json_kv_str(&v->json, "next_cursor", more ? PQgetvalue(rows, n - 1, PQfnumber(rows, "id")) : NULL);
	json_end_obj(&v->json);
	visitor_send(v, 200);
}

void audit_list(struct visitor *v)
{
	int64_t *limit = arena_new(v->a, int64_t), after;

	v->state = limit;
	if (!visitor_query_i64(v, "limit", 1, LIMIT_MAX, LIMIT, limit) ||
	    !visitor_query_i64(v, "cursor", 1, INT64_MAX, 0, &after))
		return;
	visitor_sql(v, "audit_page",
	            PARAMS(after ? visitor_number(v, after) : (struct span){0}, visitor_number(v, *limit)), on_page);
}
