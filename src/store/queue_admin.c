#include "shoal/store/queue_admin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shoal/store/queue.h"

static struct redis_script peek_script = {.name = "lua/peek.lua"};
static struct redis_script lanes_script = {.name = "lua/lanes.lua"};
static struct redis_script pause_script = {.name = "lua/pause.lua"};

static const char *const state_names[QUEUE_STATES] = {"in_hand", "due", "paused", "waiting", "unread", "stray"};

const char *queue_state_name(enum queue_state state)
{
	return state_names[state];
}

static enum queue_state state_of(struct queue_cells *c, size_t i)
{
	struct span name = queue_cell(c, i);

	for (int s = 0; s < QUEUE_STATES; s++)
		if (span_is(name, state_names[s]))
			return (enum queue_state)s;
	c->bad = true;
	return QUEUE_STRAY;
}

bool queue_is_id(const char *id)
{
	const char *dash = strchr(id, '-');
	int64_t ms, seq;

	return dash && id[0] != '-' && dash[1] != '-' && span_i64((struct span){id, (size_t)(dash - id)}, &ms) &&
	       span_i64(span_of(dash + 1), &seq);
}

int64_t queue_id_ms(const char *id)
{
	int64_t ms;
	size_t len = id ? strcspn(id, "-") : 0;

	return span_i64((struct span){id, len}, &ms) && ms >= 0 ? ms : -1;
}

static const char *cursor_of(struct queue_cells *c, size_t i, const char *end)
{
	const char *cursor = queue_cell_text(c, i);

	return cursor && strcmp(cursor, end) != 0 ? cursor : NULL;
}

/* The rows of an answer {now, cursor, rows}. */
static const redisReply *rows_of(const redisReply *r)
{
	return r && r->type == REDIS_REPLY_ARRAY && r->elements == 3 && r->element[2]->type == REDIS_REPLY_ARRAY
	           ? r->element[2]
	           : NULL;
}

/* --- entries */

static struct queue_call *peek(struct arena *a, unsigned shard, const char *mode, const char *lane, const char *after,
                               size_t want)
{
	struct queue_call *c = queue_call_new(a, &peek_script, shard, "updates lanes waiting due tries conf workers");

	queue_call_add(c, span_of(mode));
	queue_call_add(c, span_of(lane));
	queue_call_add(c, span_of(after));
	queue_call_add_i64(c, (int64_t)want);
	return c;
}

struct queue_call *queue_peek_call(struct arena *a, unsigned shard, const char *lane, const char *cursor, size_t want)
{
	return peek(a, shard, lane ? "lane" : "all", lane, cursor, want);
}

struct queue_call *queue_entry_call(struct arena *a, unsigned shard, const char *id)
{
	return peek(a, shard, "one", NULL, id, 1);
}

static void read_row(struct queue_cells *c, struct queue_row *row)
{
	struct span at;

	*row = (struct queue_row){.id = queue_cell_text(c, 0),
	                          .bot = queue_cell(c, 1),
	                          .lane = queue_cell(c, 2),
	                          .key = queue_cell(c, 3),
	                          .state = state_of(c, 5),
	                          .worker = queue_cell_worker(c, 6),
	                          .due_in_ms = queue_cell_i64(c, 7),
	                          .behind = queue_cell_text(c, 8),
	                          .retries = queue_cell_i64(c, 9),
	                          .takeovers = queue_cell_i64(c, 10),
	                          .sent = queue_cell_i64(c, 11),
	                          .body_bytes = queue_cell_i64(c, 12)};
	at = queue_cell(c, 4);
	if (!at.ptr || !span_i64(at, &row->received_ms))
		row->received_ms = queue_id_ms(row->id);
	if (c->row->elements > 13)
		row->fields = queue_cell_fields(c, 13, &row->nfields);
	c->bad |= !row->id;
}

enum err queue_rows_read(const redisReply *r, struct arena *a, struct queue_rows *out)
{
	const redisReply *rows = rows_of(r);
	struct queue_cells head = {.row = r, .arena = a};

	*out = (struct queue_rows){0};
	if (!rows)
		return ERR_PROTOCOL;
	out->now_ms = queue_cell_i64(&head, 0);
	out->cursor = cursor_of(&head, 1, "");
	out->v = arena_array(a, struct queue_row, rows->elements + 1);
	for (size_t i = 0; i < rows->elements && !head.bad; i++) {
		struct queue_cells c = {.row = rows->element[i], .arena = a};

		read_row(&c, &out->v[out->n++]);
		head.bad |= c.bad;
	}
	return head.bad ? ERR_PROTOCOL : ERR_OK;
}

/* --- busy lanes */

struct queue_call *queue_lanes_call(struct arena *a, unsigned shard, const char *cursor, size_t want)
{
	struct queue_call *c = queue_call_new(a, &lanes_script, shard, "lanes waiting due tries workers");

	queue_call_add(c, span_of(cursor ? cursor : "0"));
	queue_call_add_i64(c, (int64_t)want);
	return c;
}

enum err queue_lanes_read(const redisReply *r, struct arena *a, struct queue_lanes *out)
{
	const redisReply *rows = rows_of(r);
	struct queue_cells head = {.row = r, .arena = a};

	*out = (struct queue_lanes){0};
	if (!rows)
		return ERR_PROTOCOL;
	out->now_ms = queue_cell_i64(&head, 0);
	out->cursor = cursor_of(&head, 1, "0");
	out->v = arena_array(a, struct queue_lane, rows->elements + 1);
	for (size_t i = 0; i < rows->elements && !head.bad; i++) {
		struct queue_cells c = {.row = rows->element[i], .arena = a};

		out->v[out->n++] = (struct queue_lane){.lane = queue_cell(&c, 0),
		                                       .holder = queue_cell_text(&c, 1),
		                                       .state = state_of(&c, 2),
		                                       .worker = queue_cell_worker(&c, 3),
		                                       .due_in_ms = queue_cell_i64(&c, 4),
		                                       .waiting = queue_cell_i64(&c, 5),
		                                       .retries = queue_cell_i64(&c, 6),
		                                       .takeovers = queue_cell_i64(&c, 7),
		                                       .sent = queue_cell_i64(&c, 8)};
		head.bad |= c.bad;
	}
	return head.bad ? ERR_PROTOCOL : ERR_OK;
}

/* --- pause */

struct queue_call *queue_pause_call(struct arena *a, unsigned shard, unsigned shards, bool pause, const char *bot)
{
	struct queue_call *c = queue_call_new(a, &pause_script, shard, "conf");

	queue_call_add_place(c, shard, shards);
	queue_call_add(c, pause ? SPAN("pause") : SPAN("resume"));
	queue_call_add(c, bot ? span_of(bot) : SPAN("*"));
	return c;
}

static const char *foreign_text(struct arena *a, const char *format, const char *shard)
{
	return arena_printf(a,
	                    "its keys are of format %s, shard %s, which is not how this program sees it: it needs the "
	                    "SHOAL_REDIS_URL and the version of the workers",
	                    format ? format : "?", shard ? shard : "?");
}

const char *queue_mark_foreign(const redisReply *r, unsigned shard, unsigned shards, struct arena *a)
{
	struct queue_cells c = {.row = r, .arena = a};
	const char *v = queue_cell_text(&c, 0), *of = queue_cell_text(&c, 1);
	bool ours =
	    !v || (strcmp(v, QUEUE_FORMAT) == 0 && (!of || strcmp(of, arena_printf(a, "%u/%u", shard, shards)) == 0));

	return ours ? NULL : foreign_text(a, v, of);
}

const char *queue_version_text(const redisReply *r, struct arena *a)
{
	struct queue_cells c = {.row = r, .arena = a};
	const char *v = queue_cell_text(&c, 1), *shard = queue_cell_text(&c, 2);

	return foreign_text(a, v, shard);
}

const char *queue_foreign_now(redisContext *redis, unsigned shard, unsigned shards, struct arena *a)
{
	char key[QUEUE_KEY_MAX];
	const char *argv[] = {"HMGET", key, "v", "shard"}, *why;

	queue_key(key, shard, "conf");
	redisReply *r = redisCommandArgv(redis, 4, argv, NULL);
	why = queue_mark_foreign(r, shard, shards, a);
	if (r)
		freeReplyObject(r);
	return why;
}

enum err queue_pause_read(const redisReply *r, struct arena *a, struct queue_pause *out, const char **why)
{
	struct queue_cells c = {.row = r, .arena = a};
	struct span word = queue_cell(&c, 0);

	*why = err_text(ERR_PROTOCOL);
	if (span_is(word, "all"))
		return ERR_CONFLICT;
	if (span_is(word, "version")) {
		*why = queue_version_text(r, a);
		return ERR_REFUSED;
	}
	if (!span_is(word, "ok"))
		return ERR_PROTOCOL;
	*out = (struct queue_pause){.changed = queue_cell_i64(&c, 1) > 0, .paused = queue_cell_text(&c, 2)};
	return c.bad || !out->paused ? ERR_PROTOCOL : ERR_OK;
}
