/* shoal dead: its subverbs, and looking at dead letters. */
#include "shoal/cli/dead.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shoal/cli/body.h"
#include "shoal/cli/cli.h"
#include "shoal/cli/long_work.h"
#include "shoal/cli/sub.h"
#include "shoal/store/queue_admin.h"

enum { LIMIT = 50, LIMIT_MAX = 1000000, PAGE = 256 };

static const struct arg_opt options[] = {
    {"json", false, false},   {"bot", true, false},  {"limit", true, false},
    {"oldest", false, false}, {"all", false, false}, {"force", false, false},
    {"yes", false, false},    {"raw", false, false}, {0},
};

#define WHOLE                                                                                                          \
	{"id", OUT_KEY}, {"died_at", OUT_TIME}, {"age_seconds", OUT_NUM}, {"bot", OUT_TEXT}, {"lane", OUT_KEY},        \
	    {"key", OUT_KEY}, {"error", OUT_TEXT}, {"retries", OUT_INT}, {"takeovers", OUT_INT}, {"sent", OUT_INT},    \
	    {"maybe_applied", OUT_BOOL}, {"retried", OUT_BOOL}, {"worker", OUT_TEXT}, {"trace_id", OUT_TEXT},          \
	    {"entry", OUT_KEY}, {"received_at", OUT_TIME},                                                             \
	{                                                                                                              \
		"body_bytes", OUT_INT                                                                                  \
	}

static const struct out_col columns_json[] = {WHOLE, {0}};
static const struct out_col columns_one[] = {
    WHOLE, {"fields", OUT_JSON}, {"body", OUT_JSON}, {"body_text", OUT_TEXT}, {"body_base64", OUT_TEXT}, {0}};
static const struct out_col columns_table[] = {
    {"id", OUT_KEY},     {"died_at", OUT_TIME}, {"bot", OUT_TEXT},      {"lane", OUT_KEY},           {"key", OUT_KEY},
    {"error", OUT_TEXT}, {"retries", OUT_INT},  {"takeovers", OUT_INT}, {"maybe_applied", OUT_BOOL}, {0}};

/* --- collecting */

static void add(struct dead_letters_found *out, const struct dead_letter *letter, unsigned shard, int64_t now_ms)
{
	if (out->n == out->room) {
		out->room = out->room ? out->room * 2 : 64;
		out->v = mem_realloc(out->v, out->room * sizeof(*out->v));
	}
	out->v[out->n++] = (struct dead_found){.letter = *letter, .shard = shard, .now_ms = now_ms};
}

/* Newest first ends where it began to look: letters that come meanwhile are not met. */
static bool collect_shard(struct shard_set *set, struct shard *shard, const char *bot, bool oldest_first, size_t limit,
                          struct dead_letters_found *out, struct long_work *work)
{
	struct arena *a = set->s->a;
	size_t before = out->n, want = PAGE;
	const char *cursor = NULL;
	struct dead_letters page = {0};
	const redisReply *r;

	do {
		if (limit > 0 && limit - (out->n - before) < PAGE)
			want = limit - (out->n - before);
		if (shard_ask(set, shard, dead_list_call(a, shard->n, oldest_first, bot, cursor, want), a, &r) !=
		    ERR_OK)
			return true;
		if (dead_letters_read(r, shard->n, a, &page) != ERR_OK) {
			shard_fail(set, shard, EXIT_FAILED, "its answer makes no sense");
			return true;
		}
		for (size_t i = 0; i < page.n; i++)
			add(out, &page.v[i], shard->n, page.now_ms);
		cursor = page.cursor;
		if (!long_work_step(work, (int64_t)page.n))
			return false;
	} while (cursor && (limit == 0 || out->n - before < limit));
	out->more |= cursor != NULL;
	out->total += page.total;
	return true;
}

static int by_death(const void *a, const void *b)
{
	const struct dead_found *x = a, *y = b;
	int64_t dx = queue_id_ms(x->letter.id), dy = queue_id_ms(y->letter.id);

	if (dx != dy)
		return dx < dy ? -1 : 1;
	if (x->shard != y->shard)
		return x->shard < y->shard ? -1 : 1;
	dx = strtoll(strchr(x->letter.id, '-') + 1, NULL, 10);
	dy = strtoll(strchr(y->letter.id, '-') + 1, NULL, 10);
	return (dx > dy) - (dx < dy);
}

static int by_death_reversed(const void *a, const void *b)
{
	return by_death(b, a);
}

bool dead_collect(struct shard_set *set, const char *bot, bool oldest_first, size_t limit,
                  struct dead_letters_found *out)
{
	struct long_work work;
	bool whole = true;

	*out = (struct dead_letters_found){0};
	long_work_begin(&work, "looking", 0);
	for (unsigned i = 0; i < set->n && whole; i++)
		if (set->v[i].redis)
			whole = collect_shard(set, &set->v[i], bot, oldest_first, limit, out, &work);
	long_work_end(&work);
	if (out->n > 1)
		qsort(out->v, out->n, sizeof(*out->v), oldest_first ? by_death : by_death_reversed);
	if (limit > 0 && out->n > limit) {
		out->n = limit;
		out->more = true;
	}
	return whole;
}

/* --- output */

static void put_span(struct out *o, struct span s)
{
	if (s.ptr)
		out_span(o, s);
	else
		out_null(o);
}

static void put_time(struct out *o, int64_t ms)
{
	if (ms >= 0)
		out_time(o, ms);
	else
		out_null(o);
}

static void put_whole(struct session *s, struct out *o, const struct dead_found *f)
{
	const struct dead_letter *l = &f->letter;
	int64_t age = f->now_ms - l->died_ms;

	out_row(o);
	out_text(o, shard_id(s->a, f->shard, l->id));
	put_time(o, l->died_ms);
	out_num(o, age > 0 ? (double)age / 1e3 : 0);
	put_span(o, l->bot);
	put_span(o, l->lane);
	put_span(o, l->key);
	put_span(o, l->error);
	out_int(o, l->retries);
	out_int(o, l->takeovers);
	out_int(o, l->sent);
	out_bool(o, l->maybe_applied);
	out_bool(o, l->retried);
	out_text(o, l->worker);
	out_text(o, l->trace_id);
	out_text(o, l->entry_id);
	put_time(o, l->received_ms);
	out_int(o, l->body_bytes);
}

static void put_short(struct session *s, struct out *o, const struct dead_found *f)
{
	const struct dead_letter *l = &f->letter;

	out_row(o);
	out_text(o, shard_id(s->a, f->shard, l->id));
	put_time(o, l->died_ms);
	put_span(o, l->bot);
	put_span(o, l->lane);
	put_span(o, l->key);
	put_span(o, l->error);
	out_int(o, l->retries);
	out_int(o, l->takeovers);
	out_bool(o, l->maybe_applied);
}

static int list(struct session *s)
{
	const char *bot = args_get(s->args, "bot"), *none;
	struct dead_letters_found found;
	int64_t limit = LIMIT;
	struct shard_set set;
	struct out o;
	int code;

	if (!args_i64(s->args, "limit", 1, LIMIT_MAX, &limit))
		return EXIT_USAGE;
	if (!shard_set_open(&set, s))
		return s->code;
	dead_collect(&set, bot, args_has(s->args, "oldest"), (size_t)limit, &found);
	out_begin(&o, s->json, s->json ? columns_json : columns_table);
	for (size_t i = 0; i < found.n; i++)
		(s->json ? put_whole : put_short)(s, &o, &found.v[i]);
	none = bot ? "there are no dead letters of this bot" : "there are no dead letters";
	code = out_end(&o, s->code == EXIT_DONE ? none : NULL);
	if (found.more)
		fprintf(stderr, "%zu of %lld%s; --limit N shows more\n", found.n, (long long)found.total,
		        bot ? " of any bot" : "");
	free(found.v);
	return s->code != EXIT_DONE ? s->code : code;
}

/* --- show */

static int show_one(struct session *s, const struct dead_found *f, struct span bytes)
{
	const struct dead_letter *l = &f->letter;
	struct body body = body_read(bytes, s->a);
	struct span other = body_other_fields(l->fields, l->nfields, s->a);
	struct out o;
	int code;

	out_begin_one(&o, s->json, s->json ? columns_one : columns_json);
	put_whole(s, &o, f);
	if (s->json) {
		put_span(&o, other);
		put_span(&o, body.json);
		put_span(&o, body.text);
		put_span(&o, body.base64);
	}
	code = out_end(&o, NULL);
	return s->json || code != EXIT_DONE ? code : body_print(&body);
}

static int show_raw(struct session *s, struct span bytes)
{
	if (fwrite(bytes.ptr ? bytes.ptr : "", 1, bytes.len, stdout) == bytes.len && fflush(stdout) == 0)
		return EXIT_DONE;
	return session_fail(s, EXIT_FAILED, "cannot write to stdout");
}

static int show(struct session *s)
{
	const char *operand = s->args->operands[0], *id;
	struct dead_letters found;
	const redisReply *r;
	struct shard_set set;
	struct shard *shard;
	struct span bytes;
	int code;

	if (s->json && args_has(s->args, "raw"))
		return session_usage(s, "--raw is the body, byte for byte: it goes without --json");
	if (!shard_set_open(&set, s) || !(shard = shard_of_id(&set, operand, &id)) ||
	    shard_ask(&set, shard, dead_show_call(s->a, shard->n, id), s->a, &r) != ERR_OK)
		return s->code;
	if (dead_letters_read(r, shard->n, s->a, &found) != ERR_OK)
		return session_fail(s, EXIT_FAILED, "the answer makes no sense");
	if (found.n == 0)
		return session_fail(s, EXIT_NOT_THERE, "there is no dead letter %s", operand);
	bytes = body_field(found.v[0].fields, found.v[0].nfields, "body");
	code = args_has(s->args, "raw") ? show_raw(s, bytes)
	                                : show_one(s, &(struct dead_found){found.v[0], shard->n, found.now_ms}, bytes);
	return code == EXIT_DONE && set.foreign ? s->code : code;
}

static const struct sub subs[] = {
    {"list", "json bot limit oldest", 0, 0, "", list},
    {"show", "json raw", 1, 1, "ID", show},
    {"retry", "json all bot force", 0, SIZE_MAX, "ID", dead_retry},
    {"drop", "json all bot yes", 0, SIZE_MAX, "ID", dead_drop},
    {0},
};

int verb_dead(int argc, char **argv)
{
	return sub_run(argc, argv, options, subs);
}
