#include "shoal/store/dead_letters.h"

#include "shoal/base/trace.h"
#include "shoal/store/guard.h"
#include "shoal/store/queue.h"
#include "shoal/store/queue_admin.h"

/* Redis' clock, PostgreSQL's, and the time that the retried entry waits for its turn. */
#define GUARD_MARGIN_S 3600

static struct redis_script list_script = {.name = "lua/dead_list.lua"};
static struct redis_script retry_script = {.name = "lua/dead_retry.lua"};
static struct redis_script drop_script = {.name = "lua/dead_drop.lua"};

static struct queue_call *list(struct arena *a, unsigned shard, const char *mode, const char *after, size_t want,
                               const char *bot)
{
	struct queue_call *c = queue_call_new(a, &list_script, shard, "dead");

	queue_call_add(c, span_of(mode));
	queue_call_add(c, span_of(after));
	queue_call_add_i64(c, (int64_t)want);
	queue_call_add(c, span_of(bot));
	return c;
}

struct queue_call *dead_list_call(struct arena *a, unsigned shard, bool oldest_first, const char *bot,
                                  const char *cursor, size_t want)
{
	return list(a, shard, oldest_first ? "oldest" : "newest", cursor, want, bot);
}

struct queue_call *dead_show_call(struct arena *a, unsigned shard, const char *id)
{
	return list(a, shard, "one", id, 1, NULL);
}

static int64_t time_of(struct span text, int64_t otherwise)
{
	int64_t ms;

	return text.ptr && span_i64(text, &ms) ? ms : otherwise;
}

/* As the workers have it: an entry without a key goes by its id, and by its shard above 0. */
static const char *trace_of(const struct dead_letter *l, struct span traceparent, unsigned shard, struct arena *a)
{
	struct trace *t = arena_new(a, struct trace);
	struct span key = l->key;

	if (key.len == 0 && l->entry_id)
		key = span_of(shard ? arena_printf(a, "%u/%s", shard, l->entry_id) : l->entry_id);
	trace_of_entry(t, traceparent, key);
	return t->id;
}

static void read_letter(struct queue_cells *c, unsigned shard, struct dead_letter *l)
{
	*l = (struct dead_letter){.id = queue_cell_text(c, 0),
	                          .entry_id = queue_cell_text(c, 1),
	                          .bot = queue_cell(c, 2),
	                          .lane = queue_cell(c, 3),
	                          .key = queue_cell(c, 4),
	                          .error = queue_cell(c, 6),
	                          .retries = queue_cell_i64(c, 7),
	                          .takeovers = queue_cell_i64(c, 8),
	                          .sent = queue_cell_i64(c, 9),
	                          .maybe_applied = queue_cell_i64(c, 10) > 0,
	                          .worker = queue_cell_worker(c, 12),
	                          .body_bytes = queue_cell_i64(c, 13),
	                          .retried = queue_cell_i64(c, 14) > 0};
	l->received_ms = time_of(queue_cell(c, 5), queue_id_ms(l->entry_id));
	l->died_ms = time_of(queue_cell(c, 11), queue_id_ms(l->id));
	l->trace_id = trace_of(l, queue_cell(c, 15), shard, c->arena);
	if (c->row->elements > 16)
		l->fields = queue_cell_fields(c, 16, &l->nfields);
	c->bad |= !l->id;
}

enum err dead_letters_read(const redisReply *r, unsigned shard, struct arena *a, struct dead_letters *out)
{
	struct queue_cells head = {.row = r, .arena = a};
	const redisReply *rows;
	const char *cursor;

	*out = (struct dead_letters){0};
	if (!r || r->type != REDIS_REPLY_ARRAY || r->elements != 4 || r->element[3]->type != REDIS_REPLY_ARRAY)
		return ERR_PROTOCOL;
	rows = r->element[3];
	out->now_ms = queue_cell_i64(&head, 0);
	cursor = queue_cell_text(&head, 1);
	out->cursor = cursor && *cursor ? cursor : NULL;
	out->total = queue_cell_i64(&head, 2);
	out->v = arena_array(a, struct dead_letter, rows->elements + 1);
	for (size_t i = 0; i < rows->elements && !head.bad; i++) {
		struct queue_cells c = {.row = rows->element[i], .arena = a};

		read_letter(&c, shard, &out->v[out->n++]);
		head.bad |= c.bad;
	}
	return head.bad ? ERR_PROTOCOL : ERR_OK;
}

/* --- retry */

struct queue_call *dead_retry_call(struct arena *a, unsigned shard, unsigned shards, const char *id, bool force)
{
	struct queue_call *c = queue_call_new(a, &retry_script, shard, "dead updates tries seen seen_old conf");

	queue_call_add_place(c, shard, shards);
	queue_call_add(c, span_of(id));
	queue_call_add(c, force ? SPAN("1") : SPAN("0"));
	queue_call_add_i64(c, (GUARD_LIFE_S - GUARD_MARGIN_S) * INT64_C(1000));
	return c;
}

static enum err read_applied(struct queue_cells *c, const char **why)
{
	*why = arena_printf(c->arena,
	                    "its changes may have been committed %lld hours ago, and what would tell is kept for %d: "
	                    "handled again, they may happen twice",
	                    (long long)queue_cell_i64(c, 1) / 3600000, GUARD_LIFE_S / 3600);
	return ERR_CONFLICT;
}

static enum err read_seen(struct queue_cells *c, const char **why)
{
	const char *id = queue_cell_text(c, 1), *key = queue_cell_text(c, 2);

	*why = arena_printf(c->arena,
	                    "its key %s came again meanwhile and was taken as entry %s: handled again, its "
	                    "replies may be sent twice",
	                    key ? key : "?", id ? id : "?");
	return ERR_CONFLICT;
}

static enum err read_broken(struct queue_cells *c, const char **why)
{
	(void)c;
	*why = "it holds no entry that could be handled";
	return ERR_REFUSED;
}

static enum err read_version(struct queue_cells *c, const char **why)
{
	*why = queue_version_text(c->row, c->arena);
	return ERR_REFUSED;
}

enum err dead_retry_read(const redisReply *r, struct arena *a, const char **entry_id, const char **why)
{
	static const struct {
		const char *word;
		enum err (*read)(struct queue_cells *c, const char **why);
	} words[] = {
	    {"applied", read_applied}, {"seen", read_seen}, {"broken", read_broken}, {"version", read_version}};
	struct queue_cells c = {.row = r, .arena = a};
	struct span word = queue_cell(&c, 0);

	*entry_id = NULL;
	*why = "there is no such dead letter";
	if (span_is(word, "gone"))
		return ERR_NOT_FOUND;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (span_is(word, words[i].word))
			return words[i].read(&c, why);
	*why = err_text(ERR_PROTOCOL);
	if (span_is(word, "ok"))
		*entry_id = queue_cell_text(&c, 1);
	return *entry_id ? ERR_OK : ERR_PROTOCOL;
}

/* --- drop */

struct queue_call *dead_drop_call(struct arena *a, unsigned shard, unsigned shards, const char *id)
{
	struct queue_call *c = queue_call_new(a, &drop_script, shard, "dead conf");

	queue_call_add(c, span_of(id));
	queue_call_add_place(c, shard, shards);
	return c;
}

enum err dead_drop_read(const redisReply *r, struct arena *a, struct dead_letter *out, const char **why)
{
	struct queue_cells c = {.row = r, .arena = a};

	*out = (struct dead_letter){.received_ms = -1, .died_ms = -1};
	*why = "there is no such dead letter";
	if (r && r->type == REDIS_REPLY_ARRAY && r->elements == 0)
		return ERR_NOT_FOUND;
	if (r && r->type == REDIS_REPLY_ARRAY && r->elements == 3) {
		*why = queue_version_text(r, a);
		return ERR_REFUSED;
	}
	*why = err_text(ERR_PROTOCOL);
	out->entry_id = queue_cell_text(&c, 0);
	out->bot = queue_cell(&c, 1);
	out->lane = queue_cell(&c, 2);
	out->key = queue_cell(&c, 3);
	out->error = queue_cell(&c, 4);
	return c.bad ? ERR_PROTOCOL : ERR_OK;
}
