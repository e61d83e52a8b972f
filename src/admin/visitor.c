#include "shoal/admin/visitor.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "shoal/base/clock.h"
#include "shoal/base/log.h"
#include "shoal/base/siphash.h"
#include "shoal/store/rules.h"
#include "shoal/store/sql.h"

/* 100,000 start codes with long descriptions are some 30 MB. */
enum { ANSWER_MAX = 64 << 20, RETRY_MS = 2000 };
/* Of questions that take as long as they may: what is asked beyond would be answered when nobody waits for it. */
enum { READING_MAX = 8 };

struct visitor *visitor_new(struct api *api, struct httpd_request *r)
{
	struct visitor *v = arena_new(httpd_arena(r), struct visitor);

	*v = (struct visitor){.api = api, .r = r, .a = httpd_arena(r), .label = "other"};
	buf_init(&v->out, ANSWER_MAX);
	json_writer_init(&v->json, &v->out);
	return v;
}

/* --- answers */

static void count(const struct visitor *v, int status)
{
	char word[16];

	snprintf(word, sizeof(word), "%d", status);
	series_add(SERIES(v->api->requests, v->label, word), 1);
}

static bool is_reading(const struct visitor *v)
{
	const char *method = httpd_method(v->r);

	return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
}

static void reply(struct visitor *v, int status, const char *const *headers)
{
	struct buf out = v->out;

	ENSURE(!out.failed);
	count(v, status);
	httpd_reply(v->r, status, status == 204 || status == 304 ? NULL : "application/json",
	            out.len ? buf_span(&out) : SPAN(""), headers);
	buf_release(&out);
}

/* The same for the same answer, from whichever server of the fleet: so the seed is none. */
static const char *tag_of(struct visitor *v)
{
	static const struct siphash_seed seed = {{0, 0}};

	return arena_printf(v->a, "\"%016llx\"", (unsigned long long)siphash(&seed, buf_span(&v->out)));
}

/* Who asks again has the answer already, as If-None-Match says. */
static void send_tagged(struct visitor *v, const char *const *more)
{
	const char *seen = httpd_header(v->r, "If-None-Match");
	const char *headers[10] = {"ETag", tag_of(v)};

	for (size_t i = 0; more && more[i]; i++) {
		ENSURE(i + 3 < sizeof(headers) / sizeof(headers[0]));
		headers[i + 2] = more[i];
	}
	if (seen && strstr(seen, headers[1])) {
		buf_clear(&v->out);
		reply(v, 304, headers);
	} else {
		reply(v, 200, headers);
	}
}

void visitor_send_with(struct visitor *v, int status, const char *const *headers)
{
	if (v->out.failed)
		visitor_refuse(v, 500, "too_long", "the answer is too long: ask for it in pages");
	else if (status == 200 && is_reading(v))
		send_tagged(v, headers);
	else
		reply(v, status, headers);
}

void visitor_send(struct visitor *v, int status)
{
	visitor_send_with(v, status, NULL);
}

void visitor_send_file(struct visitor *v, const char *content_type, struct span body)
{
	count(v, 200);
	buf_release(&v->out);
	httpd_reply(v->r, 200, content_type, body, NULL);
}

/* The header is for proxies that would hold the stream back. */
struct httpd_request *visitor_stream(struct visitor *v, const char *content_type)
{
	static const char *const headers[] = {"X-Accel-Buffering", "no", NULL};

	count(v, 200);
	buf_release(&v->out);
	httpd_stream_begin(v->r, content_type, headers);
	return v->r;
}

void visitor_done(struct visitor *v)
{
	buf_clear(&v->out);
	reply(v, 204, NULL);
}

static void refuse(struct visitor *v, int status, const char *code, const char *message, const char *field,
                   const char *const *headers)
{
	buf_clear(&v->out);
	json_writer_init(&v->json, &v->out);
	json_begin_obj(&v->json);
	json_key(&v->json, "error");
	json_begin_obj(&v->json);
	json_kv_str(&v->json, "code", code);
	json_kv_str(&v->json, "message", message);
	if (field)
		json_kv_str(&v->json, "field", field);
	json_end_obj(&v->json);
	json_end_obj(&v->json);
	reply(v, status, headers);
}

void visitor_refuse_with(struct visitor *v, int status, const char *code, const char *message, const char *header,
                         const char *value)
{
	refuse(v, status, code, message, NULL, (const char *const[]){header, value, NULL});
}

void visitor_refuse(struct visitor *v, int status, const char *code, const char *fmt, ...)
{
	char message[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	if (status == 401)
		visitor_refuse_with(v, status, code, message, "WWW-Authenticate", "Bearer realm=\"shoal\"");
	else
		refuse(v, status, code, message, NULL, NULL);
}

void visitor_invalid(struct visitor *v, const char *field, const char *message)
{
	refuse(v, 422, "invalid", message, field, NULL);
}

void visitor_later(struct visitor *v, int status, const char *code, const char *message, int64_t wait_ms)
{
	visitor_refuse_with(v, status, code, message, "Retry-After", arena_i64(v->a, (wait_ms + 999) / 1000));
}

void visitor_failed(struct visitor *v, enum err err, const char *who)
{
	bool late = err == ERR_UNKNOWN || err == ERR_TIMEOUT;
	const char *what = err == ERR_DENIED ? "does not let this program do it"
	                   : err == ERR_FULL ? "has no room"
	                   : late            ? "did not answer in time"
	                                     : "cannot be reached";
	const char *done = is_reading(v) || err == ERR_DENIED ? ""
	                   : late                             ? ": it may have been done, or not"
	                                                      : ": nothing was done";

	if (err == ERR_INVALID || err == ERR_INTERNAL || err == ERR_PROTOCOL || err == ERR_REFUSED)
		visitor_refuse(v, 500, "internal", "%s and this program do not understand each other: see its log",
		               who);
	else
		visitor_later(v, 503, "unavailable", arena_printf(v->a, "%s %s%s", who, what, done), RETRY_MS);
}

/* --- what the request says */

bool visitor_query_i64(struct visitor *v, const char *name, int64_t least, int64_t most, int64_t otherwise,
                       int64_t *out)
{
	const char *text = httpd_query(v->r, name);

	*out = otherwise;
	if (!text || !*text || (span_i64(span_of(text), out) && *out >= least && *out <= most))
		return true;
	visitor_invalid(v, name,
	                arena_printf(v->a, "%s is %s, but must be a whole number from %lld to %lld", name,
	                             shown(v->a, text), (long long)least, (long long)most));
	return false;
}

bool visitor_query_text(struct visitor *v, const char *name, size_t most, struct span *out)
{
	struct span s = span_of(httpd_query(v->r, name));

	while (s.len && strchr(" \t", s.ptr[0]))
		s = (struct span){s.ptr + 1, s.len - 1};
	while (s.len && strchr(" \t", s.ptr[s.len - 1]))
		s.len--;
	*out = arena_span(v->a, s);
	if (s.len <= most && utf8_valid(s))
		return true;
	visitor_invalid(v, name, arena_printf(v->a, "%s must be UTF-8, and have %zu bytes at most", name, most));
	return false;
}

static bool is_among(const char *name, const char *names)
{
	size_t len = strlen(name);

	for (const char *p = names; len && (p = strstr(p, name)); p += len)
		if ((p == names || p[-1] == ' ') && (p[len] == ' ' || p[len] == '\0'))
			return true;
	return false;
}

/* False: a name is not known here, or comes twice, and it was refused. */
static bool check_names(struct visitor *v, const cJSON *body, const char *names)
{
	for (const cJSON *m = body->child; m; m = m->next) {
		const char *field = arena_strdup(v->a, m->string);

		if (!is_among(field, names)) {
			visitor_invalid(v, field,
			                arena_printf(v->a, "there is no field %s here, only: %s", shown(v->a, field),
			                             *names ? names : "none"));
			return false;
		}
		for (const cJSON *before = body->child; before != m; before = before->next) {
			if (strcmp(before->string, field) != 0)
				continue;
			visitor_invalid(v, field, arena_printf(v->a, "%s comes twice", field));
			return false;
		}
	}
	return true;
}

const cJSON *visitor_body(struct visitor *v, const char *names)
{
	struct span text = httpd_body(v->r);
	const char *why = "it is no object";
	const cJSON *body = json_parse(v->a, text.len ? text : SPAN("{}"), &why);

	if (!body || !cJSON_IsObject(body)) {
		visitor_refuse(v, 400, "bad_json", "the body must be a JSON object: %s", body ? "it is none" : why);
		return NULL;
	}
	return check_names(v, body, names) ? body : NULL;
}

/* --- Postgres */

struct question {
	struct visitor *v;
	const char *statement;
	visitor_rows_fn *fn;
	bool reads;
};

static void clear(void *rows)
{
	PQclear(rows);
}

/* Tables, columns or functions that are not there: this binary is newer than the schema. */
static bool is_schema_old(const char *sqlstate)
{
	return strcmp(sqlstate, "42P01") == 0 || strcmp(sqlstate, "42703") == 0 || strcmp(sqlstate, "42883") == 0 ||
	       strcmp(sqlstate, "3F000") == 0;
}

static void on_rows(void *arg, enum err err, struct pg_rows *rows, const struct pg_fault *fault)
{
	struct question *q = arg;

	if (q->reads)
		q->v->api->reading--;
	if (err == ERR_OK) {
		PGresult *res = pg_rows_keep(rows); /* cells of it are in what is answered */
		arena_defer(q->v->a, clear, res);
		q->fn(q->v, res);
		return;
	}
	log_warn("a statement of the admin API failed", LOG_STR("statement", q->statement),
	         LOG_STR("sqlstate", fault->sqlstate), LOG_STR("reason", fault->message));
	if (is_schema_old(fault->sqlstate))
		visitor_later(q->v, 503, "schema",
		              "the database's schema is not up to date: `shoal migrate` brings it there", RETRY_MS);
	else if (err == ERR_CONFLICT)
		visitor_later(q->v, 503, "conflict", "something else changed it at the same moment: try again",
		              RETRY_MS);
	else
		visitor_failed(q->v, err, "PostgreSQL");
}

void visitor_sql(struct visitor *v, const char *statement, const struct pg_params *params, visitor_rows_fn *fn)
{
	struct question *q = arena_new(v->a, struct question);

	*q = (struct question){v, statement, fn, is_reading(v)};
	if (q->reads && v->api->reading == READING_MAX) {
		visitor_later(v, 503, "busy", "too many questions wait for PostgreSQL already", RETRY_MS);
		return;
	}
	v->api->reading += q->reads;
	pg_exec(q->reads ? v->api->pg : v->api->changes, sql_get(statement), params, on_rows, q);
}

struct span visitor_number(struct visitor *v, int64_t n)
{
	return span_of(arena_i64(v->a, n));
}

static struct span cell(const PGresult *rows, int row, const char *column)
{
	int col = PQfnumber(rows, column);

	ENSURE(col >= 0 && row < PQntuples(rows));
	if (PQgetisnull(rows, row, col))
		return (struct span){0};
	return (struct span){PQgetvalue(rows, row, col), (size_t)PQgetlength(rows, row, col)};
}

int64_t visitor_cell_i64(const PGresult *rows, const char *column)
{
	int64_t v;

	ENSURE(span_i64(cell(rows, 0, column), &v));
	return v;
}

static void put_time(struct json_writer *out, int64_t wall_ms)
{
	char text[32];

	clock_rfc3339(wall_ms, text, sizeof(text));
	json_put_str(out, text);
}

static void put_cell(struct json_writer *out, struct span text, enum cell_type type)
{
	int64_t n = 0;

	if (!text.ptr) {
		json_put_null(out);
		return;
	}
	if (type == CELL_INT || type == CELL_TIME)
		ENSURE(span_i64(text, &n));
	switch (type) {
	case CELL_TEXT:
	case CELL_ID: json_put_span(out, text); break;
	case CELL_INT: json_put_i64(out, n); break;
	case CELL_TIME: put_time(out, n); break;
	case CELL_BOOL: json_put_bool(out, span_is(text, "t")); break;
	case CELL_JSON: json_put_raw(out, text); break;
	}
}

void visitor_put_row(struct visitor *v, const PGresult *rows, int row, const struct cell_column *columns)
{
	json_begin_obj(&v->json);
	for (const struct cell_column *c = columns; c->name; c++) {
		json_key(&v->json, c->name);
		put_cell(&v->json, cell(rows, row, c->name), c->type);
	}
	json_end_obj(&v->json);
}

void visitor_put_time(struct visitor *v, int64_t wall_ms)
{
	if (wall_ms >= 0)
		put_time(&v->json, wall_ms);
	else
		json_put_null(&v->json);
}

void visitor_kv_time(struct visitor *v, const char *name, int64_t wall_ms)
{
	json_key(&v->json, name);
	visitor_put_time(v, wall_ms);
}

void visitor_kv_span(struct visitor *v, const char *name, struct span s)
{
	json_key(&v->json, name);
	if (s.ptr)
		json_put_span(&v->json, s);
	else
		json_put_null(&v->json);
}
