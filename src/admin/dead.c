/* /api/dead: the dead letters of all shards, those that died last first. */
#include "shoal/admin/note.h"
#include "shoal/admin/routes.h"
#include "shoal/admin/shards.h"
#include "shoal/store/body.h"
#include "shoal/store/dead_letters.h"
#include "shoal/store/queue_admin.h"
#include "shoal/store/rules.h"

#include <stdlib.h>
#include <string.h>

enum { LIMIT = 50, LIMIT_MAX = 500, BOT_BYTES = 255 };

/* --- ids: "SHARD:ID"; where there is one shard, "ID" will do */

struct place {
	unsigned shard;
	const char *id;
};

static bool place_of(struct visitor *v, const char *text, struct place *out)
{
	const char *colon = strchr(text, ':');
	int64_t shard = 0;

	*out = (struct place){.id = colon ? colon + 1 : text};
	if (!queue_is_id(out->id) || (!colon && v->api->nshards > 1) ||
	    (colon && !span_i64((struct span){text, (size_t)(colon - text)}, &shard)) || shard < 0 ||
	    shard >= v->api->nshards)
		return false;
	out->shard = (unsigned)shard;
	return true;
}

static const char *text_of(struct visitor *v, struct place p)
{
	return arena_printf(v->a, "%u:%s", p.shard, p.id);
}

static void no_letter(struct visitor *v)
{
	visitor_refuse(v, 404, "not_found", "there is no such dead letter");
}

/* --- one letter as JSON */

/* Members of an object. */
static void put_letter(struct visitor *v, unsigned shard, const struct dead_letter *l)
{
	struct json_writer *out = &v->json;

	json_kv_str(out, "id", text_of(v, (struct place){shard, l->id}));
	visitor_kv_time(v, "died_at", l->died_ms);
	visitor_kv_span(v, "bot", l->bot);
	visitor_kv_span(v, "lane", l->lane);
	visitor_kv_span(v, "key", l->key);
	visitor_kv_span(v, "error", l->error);
	json_kv_i64(out, "retries", l->retries);
	json_kv_i64(out, "takeovers", l->takeovers);
	json_kv_i64(out, "sent", l->sent);
	json_kv_bool(out, "maybe_applied", l->maybe_applied);
	json_kv_bool(out, "retried", l->retried);
	json_kv_str(out, "worker", l->worker);
	json_kv_str(out, "trace_id", l->trace_id);
	json_kv_str(out, "entry", l->entry_id);
	visitor_kv_time(v, "received_at", l->received_ms);
	json_kv_i64(out, "body_bytes", l->body_bytes);
}

static void kv_json(struct json_writer *out, const char *name, struct span json)
{
	json_key(out, name);
	if (json.ptr)
		json_put_raw(out, json);
	else
		json_put_null(out);
}

/* --- list */

struct found {
	unsigned shard;
	struct dead_letter letter;
};

struct listing {
	size_t limit;
	struct place after; /* id NULL: from the start */
	const char *bot;    /* NULL: of all */
	unsigned left;      /* shards that have not told all that is wanted */
	bool more;          /* than the limit */
	int64_t total;
	enum err err;
	unsigned failed; /* the shard that it is of */
	struct found *v;
	size_t n, room;
	size_t *of; /* letters of each shard so far */
};

/* Where a shard goes on. Of letters that died in one millisecond the highest shard comes first. */
static const char *after_of(struct visitor *v, const struct listing *l, unsigned shard)
{
	long long ms;

	if (!l->after.id)
		return NULL;
	ms = queue_id_ms(l->after.id);
	return shard == l->after.shard  ? l->after.id
	       : shard < l->after.shard ? arena_printf(v->a, "%lld-0", ms + 1)
	                                : arena_printf(v->a, "%lld-0", ms);
}

static long long sequence_of(const char *id)
{
	return strtoll(strchr(id, '-') + 1, NULL, 10);
}

static int by_death_reversed(const void *a, const void *b)
{
	const struct found *x = b, *y = a;
	int64_t dx = queue_id_ms(x->letter.id), dy = queue_id_ms(y->letter.id);

	if (dx != dy)
		return dx < dy ? -1 : 1;
	if (x->shard != y->shard)
		return x->shard < y->shard ? -1 : 1;
	dx = sequence_of(x->letter.id);
	dy = sequence_of(y->letter.id);
	return (dx > dy) - (dx < dy);
}

static void end_list(struct visitor *v)
{
	struct listing *l = v->state;
	size_t n = l->n < l->limit ? l->n : l->limit;

	if (l->err != ERR_OK) {
		visitor_failed(v, l->err, shards_server(v->api, v->a, l->failed));
		return;
	}
	if (l->n > 1)
		qsort(l->v, l->n, sizeof(*l->v), by_death_reversed);
	json_begin_obj(&v->json);
	json_key(&v->json, "letters");
	json_begin_arr(&v->json);
	for (size_t i = 0; i < n; i++) {
		json_begin_obj(&v->json);
		put_letter(v, l->v[i].shard, &l->v[i].letter);
		json_end_obj(&v->json);
	}
	json_end_arr(&v->json);
	json_kv_str(&v->json, "next_cursor",
	            n > 0 && (l->more || l->n > n)
	                ? text_of(v, (struct place){l->v[n - 1].shard, l->v[n - 1].letter.id})
	                : NULL);
	json_kv_i64(&v->json, "total", l->total);
	json_end_obj(&v->json);
	visitor_send(v, 200);
}

static void on_letters(void *arg, unsigned shard, enum err err, const redisReply *reply);

static void ask_letters(struct visitor *v, unsigned shard, const char *cursor)
{
	const struct listing *l = v->state;
	struct queue_call **calls = arena_array(v->a, struct queue_call *, v->api->nshards);

	calls[shard] = dead_list_call(v->a, shard, false, l->bot, cursor, l->limit - l->of[shard]);
	shards_ask(v->api, v->a, calls, on_letters, v);
}

/* One answer is bounded in bytes, and may have fewer than wanted. */
static void on_letters(void *arg, unsigned shard, enum err err, const redisReply *reply)
{
	struct visitor *v = arg;
	struct listing *l = v->state;
	struct dead_letters page;

	if (err == ERR_OK)
		err = dead_letters_read(reply, shard, v->a, &page);
	if (err == ERR_OK) {
		for (size_t i = 0; i < page.n && l->n < l->room; i++, l->of[shard]++)
			l->v[l->n++] = (struct found){shard, page.v[i]};
		if (page.cursor && l->of[shard] < l->limit) {
			ask_letters(v, shard, page.cursor);
			return;
		}
		l->more |= page.cursor != NULL;
		l->total += page.total;
	} else {
		l->err = err;
		l->failed = shard;
	}
	if (--l->left == 0)
		end_list(v);
}

void dead_list(struct visitor *v)
{
	struct listing *l = arena_new(v->a, struct listing);
	const char *cursor = httpd_query(v->r, "cursor");
	struct span bot; /* any: a bot that nobody knows is a reason to die */
	int64_t limit;

	if (!visitor_query_i64(v, "limit", 1, LIMIT_MAX, LIMIT, &limit) ||
	    !visitor_query_text(v, "bot", BOT_BYTES, &bot))
		return;
	l->bot = bot.len ? bot.ptr : NULL;
	if (cursor && *cursor && !place_of(v, cursor, &l->after)) {
		visitor_invalid(v, "cursor",
		                arena_printf(v->a, "%s is no cursor: next_cursor is one", shown(v->a, cursor)));
		return;
	}
	l->limit = (size_t)limit;
	l->left = v->api->nshards;
	l->room = l->limit * v->api->nshards;
	l->v = arena_array(v->a, struct found, l->room);
	l->of = arena_array(v->a, size_t, v->api->nshards);
	v->state = l;
	for (unsigned i = 0; i < v->api->nshards; i++)
		ask_letters(v, i, after_of(v, l, i));
}

/* --- one */

/* The letter that the path names; false: it was refused. */
static bool named(struct visitor *v)
{
	struct place *p = arena_new(v->a, struct place);

	v->state = p;
	if (place_of(v, v->param, p))
		return true;
	no_letter(v);
	return false;
}

static void ask_one(struct visitor *v, struct queue_call *call, shards_each_fn *fn)
{
	const struct place *p = v->state;
	struct queue_call **calls = arena_array(v->a, struct queue_call *, v->api->nshards);

	calls[p->shard] = call;
	shards_ask(v->api, v->a, calls, fn, v);
}

static void on_shown(void *arg, unsigned shard, enum err err, const redisReply *reply)
{
	struct visitor *v = arg;
	struct dead_letters found = {0};
	const struct dead_letter *l;
	struct body body;

	if (err == ERR_OK)
		err = dead_letters_read(reply, shard, v->a, &found);
	if (err != ERR_OK || found.n == 0) {
		if (err != ERR_OK)
			visitor_failed(v, err, shards_server(v->api, v->a, shard));
		else
			no_letter(v);
		return;
	}
	l = &found.v[0];
	body = body_read(body_field(l->fields, l->nfields, "body"), v->a);
	json_begin_obj(&v->json);
	put_letter(v, shard, l);
	kv_json(&v->json, "fields", body_other_fields(l->fields, l->nfields, v->a));
	kv_json(&v->json, "body", body.json);
	visitor_kv_span(v, "body_text", body.text);
	visitor_kv_span(v, "body_base64", body.base64);
	json_end_obj(&v->json);
	visitor_send(v, 200);
}

void dead_show(struct visitor *v)
{
	const struct place *p;

	if (!named(v))
		return;
	p = v->state;
	ask_one(v, dead_show_call(v->a, p->shard, p->id), on_shown);
}

/* --- retry, drop */

static const char *target_of(struct visitor *v)
{
	return arena_printf(v->a, "dead:%s", text_of(v, *(const struct place *)v->state));
}

static void on_retried(void *arg, unsigned shard, enum err err, const redisReply *reply)
{
	struct visitor *v = arg;
	const char *entry = NULL, *why = "";

	if (err != ERR_OK) {
		note_failed(v, err, shards_server(v->api, v->a, shard), "dead.retry", target_of(v));
		return;
	}
	switch (dead_retry_read(reply, v->a, &entry, &why)) {
	case ERR_OK:
		json_begin_obj(&v->json);
		json_kv_str(&v->json, "id", text_of(v, *(const struct place *)v->state));
		json_kv_str(&v->json, "entry", text_of(v, (struct place){shard, entry}));
		note(v, "dead.retry", target_of(v), arena_printf(v->a, "{\"entry\":\"%s\"}", entry), note_end);
		break;
	case ERR_NOT_FOUND: no_letter(v); break;
	case ERR_CONFLICT:
		visitor_refuse(v, 409, "may_repeat", "%s; {\"force\": true} retries it all the same", why);
		break;
	default: visitor_refuse(v, 409, "refused", "%s", why);
	}
}

void dead_retry_it(struct visitor *v)
{
	const cJSON *body = visitor_body(v, "force"), *given;
	const struct place *p;
	bool force = false;

	if (!body)
		return;
	given = json_get(body, "force");
	if (given && !json_bool(body, "force", &force)) {
		visitor_invalid(v, "force", "force must be true or false");
		return;
	}
	if (!named(v))
		return;
	p = v->state;
	ask_one(v, dead_retry_call(v->a, p->shard, v->api->nshards, p->id, force), on_retried);
}

static void end_drop(struct visitor *v, bool noted)
{
	(void)noted;
	visitor_done(v);
}

static void on_dropped(void *arg, unsigned shard, enum err err, const redisReply *reply)
{
	struct visitor *v = arg;
	struct dead_letter l;
	const char *why = NULL; /* of the script; Redis may refuse, too */

	if (err == ERR_OK)
		err = dead_drop_read(reply, v->a, &l, &why);
	if (err == ERR_NOT_FOUND) {
		no_letter(v);
	} else if (err == ERR_REFUSED && why) {
		visitor_refuse(v, 409, "refused", "%s", why);
	} else if (err != ERR_OK) {
		note_failed(v, err, shards_server(v->api, v->a, shard), "dead.drop", target_of(v));
	} else {
		json_begin_obj(&v->json);
		json_kv_str(&v->json, "bot", l.bot.ptr);
		json_kv_str(&v->json, "lane", l.lane.ptr);
		json_kv_str(&v->json, "key", l.key.ptr);
		json_kv_str(&v->json, "error", l.error.ptr);
		json_end_obj(&v->json);
		note(v, "dead.drop", target_of(v), arena_span(v->a, buf_span(&v->out)).ptr, end_drop);
	}
}

void dead_drop_it(struct visitor *v)
{
	const struct place *p;

	if (!named(v))
		return;
	p = v->state;
	ask_one(v, dead_drop_call(v->a, p->shard, v->api->nshards, p->id), on_dropped);
}
