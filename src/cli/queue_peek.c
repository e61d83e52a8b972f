/* shoal queue peek: what is unsettled, oldest first, and where it stands. */
#include <stdlib.h>
#include <string.h>

#include "shoal/cli/body.h"
#include "shoal/cli/long_work.h"
#include "shoal/cli/queue.h"
#include "shoal/cli/shard_set.h"
#include "shoal/store/queue_admin.h"
#include "shoal/store/rules.h"

enum { LIMIT = 20, LIMIT_MAX = 100000, PAGE = 256 };

#define PLACE                                                                                                          \
	{"id", OUT_KEY}, {"bot", OUT_TEXT}, {"lane", OUT_KEY},                                                         \
	{                                                                                                              \
		"key", OUT_KEY                                                                                         \
	}
#define HISTORY                                                                                                        \
	{"retries", OUT_INT}, {"takeovers", OUT_INT},                                                                  \
	{                                                                                                              \
		"sent", OUT_INT                                                                                        \
	}
#define WHOLE                                                                                                          \
	PLACE, {"received_at", OUT_TIME}, {"age_seconds", OUT_NUM}, {"state", OUT_TEXT}, {"worker", OUT_TEXT},         \
	    {"due_in_ms", OUT_INT}, {"behind", OUT_KEY}, HISTORY,                                                      \
	{                                                                                                              \
		"body_bytes", OUT_INT                                                                                  \
	}

static const struct out_col columns_json[] = {WHOLE, {0}};
static const struct out_col columns_one[] = {
    WHOLE, {"fields", OUT_JSON}, {"body", OUT_JSON}, {"body_text", OUT_TEXT}, {"body_base64", OUT_TEXT}, {0}};
static const struct out_col columns_table[] = {PLACE, {"age_seconds", OUT_NUM}, {"state", OUT_TEXT}, HISTORY, {0}};

struct found {
	struct queue_row row;
	unsigned shard;
	int64_t now_ms;
};

struct peek {
	struct session *s;
	struct shard_set set;
	const char *lane;
	size_t limit;
	struct found *v;
	size_t n, room;
	bool more; /* than the limit */
};

static void add(struct peek *p, const struct queue_row *row, unsigned shard, int64_t now_ms)
{
	if (p->n == p->room) {
		p->room = p->room ? p->room * 2 : 64;
		p->v = mem_realloc(p->v, p->room * sizeof(*p->v));
	}
	p->v[p->n++] = (struct found){.row = *row, .shard = shard, .now_ms = now_ms};
}

/* At most `limit` of one shard. What came so far is kept where it fails or is stopped. */
static void read_shard(struct peek *p, struct shard *shard, struct long_work *work)
{
	const char *cursor = NULL;
	size_t got = 0, before = p->n;
	const redisReply *r;
	struct queue_rows rows;

	do {
		size_t want = p->limit - got < PAGE ? p->limit - got : PAGE;
		struct queue_call *call = queue_peek_call(p->s->a, shard->n, p->lane, cursor, want);

		if (shard_ask(&p->set, shard, call, p->s->a, &r) != ERR_OK)
			return;
		if (queue_rows_read(r, p->s->a, &rows) != ERR_OK) {
			shard_fail(&p->set, shard, EXIT_FAILED, "its answer makes no sense");
			return;
		}
		for (size_t i = 0; i < rows.n; i++)
			add(p, &rows.v[i], shard->n, rows.now_ms);
		got = p->n - before;
		cursor = rows.cursor;
	} while (long_work_step(work, (int64_t)rows.n) && cursor && got < p->limit);
	p->more |= cursor != NULL;
}

static int by_age(const void *a, const void *b)
{
	const struct found *x = a, *y = b;
	int64_t dx = queue_id_ms(x->row.id), dy = queue_id_ms(y->row.id);

	if (dx != dy)
		return dx < dy ? -1 : 1;
	if (x->shard != y->shard)
		return x->shard < y->shard ? -1 : 1;
	dx = strtoll(strchr(x->row.id, '-') + 1, NULL, 10);
	dy = strtoll(strchr(y->row.id, '-') + 1, NULL, 10);
	return (dx > dy) - (dx < dy);
}

/* --- output */

static void put_ms(struct out *o, int64_t v)
{
	if (v < 0)
		out_null(o);
	else
		out_int(o, v);
}

static void put_place(struct peek *p, struct out *o, const struct found *f)
{
	const struct span texts[] = {f->row.bot, f->row.lane, f->row.key};

	out_row(o);
	out_text(o, shard_id(p->s->a, f->shard, f->row.id));
	for (size_t i = 0; i < 3; i++)
		if (texts[i].ptr)
			out_span(o, texts[i]);
		else
			out_null(o);
}

static void put_history(struct out *o, const struct queue_row *row)
{
	out_int(o, row->retries);
	out_int(o, row->takeovers);
	out_int(o, row->sent);
}

static void put_age(struct out *o, const struct found *f)
{
	int64_t age = f->now_ms - f->row.received_ms;

	out_num(o, age > 0 ? (double)age / 1e3 : 0);
}

static void put_whole(struct peek *p, struct out *o, const struct found *f)
{
	const struct queue_row *row = &f->row;

	put_place(p, o, f);
	out_time(o, row->received_ms);
	put_age(o, f);
	out_text(o, queue_state_name(row->state));
	out_text(o, row->worker);
	put_ms(o, row->due_in_ms);
	out_text(o, row->behind ? shard_id(p->s->a, f->shard, row->behind) : NULL);
	put_history(o, row);
	out_int(o, row->body_bytes);
}

/* "in hand of w1", "due in 1200 ms", "waiting behind 0:17-0" */
static const char *state_text(struct peek *p, const struct found *f)
{
	const struct queue_row *row = &f->row;

	if (row->worker)
		return arena_printf(p->s->a, "in hand of %s", row->worker);
	if (row->due_in_ms >= 0)
		return arena_printf(p->s->a, "due in %lld ms", (long long)row->due_in_ms);
	if (row->state == QUEUE_WAITING)
		return arena_printf(p->s->a, "waiting behind %s", shard_id(p->s->a, f->shard, row->behind));
	return queue_state_name(row->state);
}

static void put_short(struct peek *p, struct out *o, const struct found *f)
{
	put_place(p, o, f);
	put_age(o, f);
	out_text(o, state_text(p, f));
	put_history(o, &f->row);
}

static int put_all(struct peek *p)
{
	const char *none = p->lane ? "nothing of this lane is unsettled" : "nothing is unsettled";
	struct out o;

	out_begin(&o, p->s->json, p->s->json ? columns_json : columns_table);
	for (size_t i = 0; i < p->n; i++)
		if (p->s->json)
			put_whole(p, &o, &p->v[i]);
		else
			put_short(p, &o, &p->v[i]);
	return out_end(&o, p->s->code == EXIT_DONE ? none : NULL);
}

/* --- the listing */

static int list(struct peek *p)
{
	struct long_work work;
	int code;

	long_work_begin(&work, "looking", 0);
	for (unsigned i = 0; i < p->set.n; i++)
		if (p->set.v[i].redis)
			read_shard(p, &p->set.v[i], &work);
	long_work_end(&work);
	if (p->n > 1 && !p->lane)
		qsort(p->v, p->n, sizeof(*p->v), by_age);
	if (p->n > p->limit) {
		p->n = p->limit;
		p->more = true;
	}
	code = put_all(p);
	if (p->more && p->n > 0)
		fprintf(stderr, "the first %zu; --limit N shows more\n", p->n);
	return p->s->code != EXIT_DONE ? p->s->code : code;
}

/* --- one entry */

static int put_one(struct peek *p, const struct found *f)
{
	const struct queue_row *row = &f->row;
	struct body body = body_read(body_field(row->fields, row->nfields, "body"), p->s->a);
	const struct span texts[] = {body_other_fields(row->fields, row->nfields, p->s->a), body.json, body.text,
	                             body.base64};
	struct out o;
	int code;

	out_begin_one(&o, p->s->json, p->s->json ? columns_one : columns_json);
	put_whole(p, &o, f);
	for (size_t i = 0; p->s->json && i < 4; i++)
		if (texts[i].ptr)
			out_span(&o, texts[i]);
		else
			out_null(&o);
	code = out_end(&o, NULL);
	return p->s->json || code != EXIT_DONE ? code : body_print(&body);
}

static int one(struct peek *p)
{
	const char *operand = p->s->args->operands[0], *id;
	struct shard *shard = shard_of_id(&p->set, operand, &id);
	struct queue_rows rows;
	const redisReply *r;

	if (!shard || shard_ask(&p->set, shard, queue_entry_call(p->s->a, shard->n, id), p->s->a, &r) != ERR_OK)
		return p->s->code;
	if (queue_rows_read(r, p->s->a, &rows) != ERR_OK)
		return session_fail(p->s, EXIT_FAILED, "the answer makes no sense");
	if (rows.n == 0)
		return session_fail(p->s, EXIT_NOT_THERE,
		                    "there is no entry %s in the queue: it is settled, or among the dead letters",
		                    operand);
	return put_one(p, &(struct found){.row = rows.v[0], .shard = shard->n, .now_ms = rows.now_ms});
}

int queue_peek(struct session *s)
{
	struct peek p = {.s = s, .lane = args_get(s->args, "lane")};
	bool alone = s->args->noperands > 0;
	int64_t limit = p.lane ? LIMIT_MAX : LIMIT;
	int code;

	if (!args_i64(s->args, "limit", 1, LIMIT_MAX, &limit))
		return EXIT_USAGE;
	if (p.lane && !*p.lane)
		return session_usage(s, "--lane needs a lane, as `shoal queue lanes` shows them");
	if (alone && (p.lane || args_has(s->args, "limit")))
		return session_usage(s, "%s is one entry: it goes without --lane and --limit",
		                     shown(s->a, s->args->operands[0]));
	p.limit = (size_t)limit;
	if (!shard_set_open(&p.set, s))
		return s->code;
	code = alone ? one(&p) : list(&p);
	free(p.v);
	return code == EXIT_DONE && p.set.foreign ? s->code : code;
}
