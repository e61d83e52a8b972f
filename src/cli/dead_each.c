#include "shoal/cli/dead_each.h"

#include <stdio.h>
#include <stdlib.h>

#include "shoal/base/json.h"
#include "shoal/cli/long_work.h"

enum { SAID_MAX = 20, NOTED_MAX = 100 };

enum fate { LEFT, DONE, GONE, REFUSED, FAILED, FATES };
static const char *const fates[FATES] = {"left", "done", "gone", "refused", "failed"};

struct target {
	struct shard *shard;
	const char *id, *text;
	enum fate fate;
};

struct each {
	struct session *s;
	const struct dead_change *change;
	struct shard_set set;
	struct target *v;
	size_t n;
	int64_t count[FATES];
	bool all, stopped;
};

static const struct out_col columns[] = {{"id", OUT_TEXT}, {"result", OUT_TEXT}, {"text", OUT_TEXT}, {0}};
static const struct out_col columns_all[] = {{"letters", OUT_INT},
                                             {"done", OUT_INT},
                                             {"gone", OUT_INT},
                                             {"refused", OUT_INT},
                                             {"failed", OUT_INT},
                                             {"left", OUT_INT},
                                             {0}};

static const char *id_of(const struct each *e, const struct target *t)
{
	return shard_id(e->s->a, t->shard->n, t->id);
}

/* --- which */

static bool name_targets(struct each *e)
{
	const struct args *args = e->s->args;

	e->v = arena_array(e->s->a, struct target, args->noperands);
	for (size_t i = 0; i < args->noperands; i++) {
		e->v[i].shard = shard_of_id(&e->set, args->operands[i], &e->v[i].id);
		if (!e->v[i].shard)
			return false;
	}
	e->n = args->noperands;
	return true;
}

static bool find_targets(struct each *e)
{
	struct dead_letters_found found;
	bool whole = dead_collect(&e->set, args_get(e->s->args, "bot"), false, 0, &found);

	e->v = arena_array(e->s->a, struct target, found.n + 1);
	e->n = found.n;
	for (size_t i = 0; i < found.n; i++) {
		const struct dead_found *f = &found.v[found.n - 1 - i];

		e->v[i] = (struct target){.shard = &e->set.v[f->shard], .id = f->letter.id};
	}
	free(found.v);
	if (!whole)
		session_fail(e->s, EXIT_FAILED, "stopped before any was %s", e->change->done);
	return whole;
}

/* --- doing */

static void do_one(struct each *e, struct target *t)
{
	struct arena a;
	const redisReply *r;
	const char *text = "";
	enum err err;

	arena_init(&a);
	err = shard_ask(&e->set, t->shard, e->change->call(&e->set, &a, t->shard, t->id), &a, &r);
	if (err != ERR_OK) {
		t->fate = FAILED;
	} else {
		err = e->change->read(r, &a, &text);
		t->fate = err == ERR_OK ? DONE : err == ERR_NOT_FOUND ? GONE : REFUSED;
		t->text = arena_strdup(e->s->a, text);
	}
	arena_release(&a);
}

/* A shard that cannot serve is not asked for each of its letters anew. */
static void do_all(struct each *e)
{
	bool *broken = arena_array(e->s->a, bool, e->set.n);
	struct long_work work;

	long_work_begin(&work, e->change->doing, (int64_t)e->n);
	for (size_t i = 0; i < e->n; i++) {
		struct target *t = &e->v[i];

		if (t->shard->redis && !broken[t->shard->n]) {
			do_one(e, t);
			broken[t->shard->n] = t->fate == FAILED;
		}
		e->count[t->fate]++;
		if (long_work_step(&work, 1) || i + 1 == e->n)
			continue;
		e->count[LEFT] += (int64_t)(e->n - i - 1);
		e->stopped = true;
		break;
	}
	long_work_end(&work);
}

/* --- telling */

/* On stderr, for each that was not done; of many the first. Sets the exit code. */
static void say_failures(struct each *e)
{
	int64_t said = 0, refused = e->count[REFUSED] + (e->all ? 0 : e->count[GONE]);

	for (size_t i = 0; i < e->n && said < SAID_MAX; i++) {
		const struct target *t = &e->v[i];

		if (t->fate != REFUSED && (t->fate != GONE || e->all))
			continue;
		session_fail(e->s, e->s->code, "%s: %s", id_of(e, t), t->text);
		said++;
	}
	if (said < refused)
		session_fail(e->s, e->s->code, "and %lld more", (long long)(refused - said));
	if (e->stopped)
		session_fail(e->s, e->s->code, "stopped: %lld of %zu were %s, %lld are as they were",
		             (long long)e->count[DONE], e->n, e->change->done, (long long)e->count[LEFT]);
	if (e->count[REFUSED] > 0 || e->stopped)
		shard_weigh(&e->set, EXIT_FAILED);
	else if (e->count[GONE] > 0 && !e->all)
		shard_weigh(&e->set, EXIT_NOT_THERE);
}

static int put_counts(const struct each *e)
{
	struct out o;

	out_begin_one(&o, true, columns_all);
	out_row(&o);
	out_int(&o, (int64_t)e->n);
	out_int(&o, e->count[DONE]);
	out_int(&o, e->count[GONE]);
	out_int(&o, e->count[REFUSED]);
	out_int(&o, e->count[FAILED]);
	out_int(&o, e->count[LEFT]);
	return out_end(&o, NULL);
}

static int put_each(const struct each *e)
{
	struct out o;

	out_begin(&o, true, columns);
	for (size_t i = 0; i < e->n; i++) {
		out_row(&o);
		out_text(&o, id_of(e, &e->v[i]));
		out_text(&o, e->v[i].fate == DONE ? e->change->done : fates[e->v[i].fate]);
		out_text(&o, e->v[i].text);
	}
	return out_end(&o, NULL);
}

static int say_counts(const struct each *e)
{
	if (e->n == 0)
		return out_done(false, "there are no dead letters%s%s",
		                args_has(e->s->args, "bot") ? " of this bot" : "",
		                e->s->code == EXIT_DONE ? "" : " on the shards in reach");
	if (e->count[GONE] > 0)
		return out_done(false, "%lld of %zu dead letters %s; %lld were gone already", (long long)e->count[DONE],
		                e->n, e->change->done, (long long)e->count[GONE]);
	return out_done(false, "%lld of %zu dead letters %s", (long long)e->count[DONE], e->n, e->change->done);
}

static int say_each(const struct each *e)
{
	int code = EXIT_DONE;

	for (size_t i = 0; i < e->n && code == EXIT_DONE; i++)
		if (e->v[i].fate == DONE)
			code = out_done(false, "%s %s: %s", id_of(e, &e->v[i]), e->change->done,
			                out_plain(e->s->a, e->v[i].text));
	return code;
}

/* {"done":2,"ids":["0:17-0","0:18-0"]}; of many the first. */
static const char *details(const struct each *e)
{
	struct json_writer w;
	const char *text;
	struct buf b;
	size_t noted = 0;

	buf_init(&b, 1 << 20);
	json_writer_init(&w, &b);
	json_begin_obj(&w);
	json_kv_i64(&w, "done", e->count[DONE]);
	json_kv_bool(&w, "force", args_has(e->s->args, "force"));
	json_key(&w, "ids");
	json_begin_arr(&w);
	for (size_t i = 0; i < e->n && noted < NOTED_MAX; i++) {
		if (e->v[i].fate != DONE)
			continue;
		json_put_str(&w, id_of(e, &e->v[i]));
		noted++;
	}
	json_end_arr(&w);
	json_end_obj(&w);
	text = arena_span(e->s->a, buf_span(&b)).ptr;
	buf_release(&b);
	return text;
}

static int tell(struct each *e)
{
	static int (*const tellers[2][2])(const struct each *) = {{say_each, put_each}, {say_counts, put_counts}};

	say_failures(e);
	return tellers[e->all][e->s->json](e);
}

int dead_each(struct session *s, const struct dead_change *change, const char *name)
{
	struct each e = {.s = s, .change = change, .all = args_has(s->args, "all")};
	int code;

	if (e.all && s->args->noperands > 0)
		return session_usage(s, "name dead letters, or say --all, not both");
	if (!e.all && s->args->noperands == 0)
		return session_usage(s, "say which: ID... as `shoal dead list` shows them, or --all");
	if (!e.all && args_has(s->args, "bot"))
		return session_usage(s, "--bot goes with --all");
	if (!shard_set_open(&e.set, s) || e.set.foreign || !(e.all ? find_targets(&e) : name_targets(&e)))
		return s->code;
	if (e.n > 0 && change->confirm && !change->confirm(s, e.all, e.n))
		return s->code;
	do_all(&e);
	code = tell(&e);
	if (e.count[DONE] > 0)
		session_note(s, arena_printf(s->a, "dead.%s", name),
		             e.all ? "dead:*" : arena_printf(s->a, "dead:%s", id_of(&e, &e.v[0])), details(&e));
	return s->code != EXIT_DONE ? s->code : code;
}
