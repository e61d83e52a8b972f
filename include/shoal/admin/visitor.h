/* Who asks: a request on its way through the API. It lives in the request's arena, and ends with exactly one of the
 * functions that answer it; the request must not be used after that. */
#ifndef SHOAL_ADMIN_VISITOR_H
#define SHOAL_ADMIN_VISITOR_H

#include <libpq-fe.h>

#include "shoal/admin/api.h"
#include "shoal/admin/auth.h"
#include "shoal/base/json.h"

struct visitor {
	struct api *api;
	struct httpd_request *r;
	struct arena *a;   /* of the request */
	const char *label; /* of the metric: the path as the table of routes has it, or "other" */
	const char *param; /* what stands for {...} in the path; NULL: it has none */
	enum role role;
	const char *actor; /* for admin_audit */
	void *state;       /* the route's own, while it waits */
	int status;        /* of the answer that is ready, while something is still waited for */
	struct buf out;
	struct json_writer json; /* writes the answer's body */
};

struct visitor *visitor_new(struct api *api, struct httpd_request *r);

/* --- answers */

/* With what v->json has written. What was read (GET, 200) carries an ETag, and is 304 for who has it already. */
void visitor_send(struct visitor *v, int status);
/* The same with headers, as of httpd_reply: three at most. */
void visitor_send_with(struct visitor *v, int status, const char *const *headers);
void visitor_done(struct visitor *v);                                                  /* 204 */
void visitor_send_file(struct visitor *v, const char *content_type, struct span body); /* 200 */
/* 200 with a stream (httpd.h), which is the caller's to end; v is of no more use. */
struct httpd_request *visitor_stream(struct visitor *v, const char *content_type);
/* {"error":{"code","message"}} */
void visitor_refuse(struct visitor *v, int status, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* 422, with "field" beside code and message. */
void visitor_invalid(struct visitor *v, const char *field, const char *message);
/* The same with a header. */
void visitor_refuse_with(struct visitor *v, int status, const char *code, const char *message, const char *header,
                         const char *value);
/* 429 or 503, with Retry-After. */
void visitor_later(struct visitor *v, int status, const char *code, const char *message, int64_t wait_ms);
/* What came of asking a server, which is not ERR_OK. who: "Redis", "PostgreSQL", or of shards_server. */
void visitor_failed(struct visitor *v, enum err err, const char *who);

/* --- what the request says */

/* A whole number of the query within least..most, or `otherwise` where it is not given. False: it was refused. */
bool visitor_query_i64(struct visitor *v, const char *name, int64_t least, int64_t most, int64_t otherwise,
                       int64_t *out) __attribute__((warn_unused_result));
/* A text of the query without the blanks around it; empty where it is not given. False: it was refused. */
bool visitor_query_text(struct visitor *v, const char *name, size_t most, struct span *out)
    __attribute__((warn_unused_result));
/* The body as an object, with no other names than these, separated by spaces; an empty body is an empty object. NULL:
 * it was refused. */
const cJSON *visitor_body(struct visitor *v, const char *names);

/* --- Postgres */

/* fn comes with the rows, which live as long as the request; all else is answered here. */
typedef void visitor_rows_fn(struct visitor *v, const PGresult *rows);
void visitor_sql(struct visitor *v, const char *statement, const struct pg_params *params, visitor_rows_fn *fn);
struct span visitor_number(struct visitor *v, int64_t n); /* as a parameter */

/* Columns by name. */
int64_t visitor_cell_i64(const PGresult *rows, const char *column); /* of row 0, not NULL */
enum cell_type { CELL_TEXT, CELL_INT, CELL_ID, CELL_TIME, CELL_BOOL, CELL_JSON };
struct cell_column {
	const char *name; /* NULL ends the list */
	enum cell_type type;
};
/* One row as an object; NULL is null. TIME: from ms since 1970; JSON: as it is. */
void visitor_put_row(struct visitor *v, const PGresult *rows, int row, const struct cell_column *columns);

/* A time, null where it is below 0. */
void visitor_put_time(struct visitor *v, int64_t wall_ms);
void visitor_kv_time(struct visitor *v, const char *name, int64_t wall_ms);
void visitor_kv_span(struct visitor *v, const char *name, struct span s); /* ptr NULL: null */

#endif
