#include "shoal/worker/recall.h"

#include "shoal/store/cache.h"
#include "shoal/store/cache_key.h"
#include "shoal/worker/full_codes.h"
#include "shoal/worker/worker.h"

typedef void got_fn(struct job *j, const struct cache_value *v);

struct recall {
	struct job *job;
	got_fn *got;
};

static void on_value(void *arg, enum err err, struct cache_value *v)
{
	struct recall *r = arg;
	struct job *j = r->job;

	job_op_failed(j, err);
	if (err == ERR_OK) {
		cache_value_hold(v, &j->arena);
		r->got(j, v);
	} else if (!j->error) {
		j->error = arena_printf(&j->arena, "caches: %s", err_text(err));
	}
	job_end(j);
}

static void recall(struct job *j, enum cache_kind kind, const char *key, got_fn *got)
{
	struct cache_value *v = cache_peek(j->worker->cache, kind, span_of(key));
	struct recall *r;

	if (v) {
		cache_value_hold(v, &j->arena);
		got(j, v);
		return;
	}
	r = arena_new(&j->arena, struct recall);
	*r = (struct recall){j, got};
	job_begin(j);
	cache_get(j->worker->cache, kind, span_of(key), on_value, r);
}

static const char *id_key(struct job *j, int64_t id)
{
	return arena_i64(&j->arena, id);
}

static void got_fallback(struct job *j, const struct cache_value *v)
{
	if (v->found)
		j->facts.fallback = v->persona;
}

static void got_persona(struct job *j, const struct cache_value *v)
{
	if (v->found)
		j->facts.persona = v->persona;
}

static void got_code_persona(struct job *j, const struct cache_value *v)
{
	if (v->found)
		j->facts.code_persona = v->persona;
}

static void got_code(struct job *j, const struct cache_value *v)
{
	if (!v->found)
		return;
	j->facts.code = v->code;
	j->facts.code.asked = true;
	j->facts.code.full = full_codes_has(&j->worker->full_codes, &v->code, j->stage_began_us / 1000);
	if (v->code.persona_id)
		recall(j, CACHE_PERSONA, id_key(j, v->code.persona_id), got_code_persona);
}

static void got_alias(struct job *j, const struct cache_value *v)
{
	if (v->found)
		recall(j, CACHE_STARTCODE, v->alias, got_code);
}

void recall_start(struct job *j, const char *code)
{
	j->facts.code.asked = code != NULL;
	recall(j, CACHE_PERSONA, "default", got_fallback);
	if (code)
		recall(j, CACHE_STARTCODE, code, code[0] == '#' ? got_alias : got_code);
}

void recall_persona(struct job *j, int64_t id)
{
	recall(j, CACHE_PERSONA, id_key(j, id), got_persona);
}

static void got_player(struct job *j, const struct cache_value *v)
{
	if (v->found)
		j->facts.player = v->player;
}

void recall_player(struct job *j, int64_t uid)
{
	recall(j, CACHE_PLAYER, id_key(j, uid), got_player);
}

static void got_board(struct job *j, const struct cache_value *v)
{
	if (v->found)
		j->facts.board = v->board;
}

void recall_board(struct job *j, const char *key)
{
	if (key && cache_key_valid(span_of(key)))
		recall(j, CACHE_BOARD, key, got_board);
}
