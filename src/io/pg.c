#include "shoal/io/pg.h"

#include <stdlib.h>
#include <string.h>

#include "shoal/base/clock.h"
#include "shoal/base/log.h"
#include "shoal/base/metrics.h"
#include "shoal/io/pg_cmd.h"
#include "shoal/io/pg_conn.h"
#include "shoal/io/pg_dial.h"

#define DEPTH_MAX 64          /* statements under way on one connection */
#define WAITING_MAX 4096      /* beyond those */
#define GROUP_MAX 64          /* in one statement, or under one Sync */
#define GROUP_BYTES (1 << 20) /* of their parameters, from which on no more join */

/* How many must wait before another group leaves, by how many are under way: one that is in company at the server costs
 * a fraction of one that is alone there, and would but wait for it to finish. But never more than a share of all who
 * are there: where few come it is not company that one would wait for, but the disk that holds up others. */
static const unsigned enough[] = {1, 1, 8, 16};
#define SHARE 4
#define PATIENCE_MS 20 /* whoever has waited so long leaves in whatever company there is */

/* A statement's way: waiting -> a connection's list -> finished -> its callback. All callbacks are made from one place,
 * pool_turn or pg_close, so they may call whatever they like. */
struct pg {
	struct loop *loop;
	struct arena arena; /* what lives as long as the pool */
	struct pg_opts opts;
	struct pg_conn **conns;
	unsigned nconns;
	struct pg_list waiting, finished;
	struct pg_kind reads; /* what locks nothing may go with all that locks nothing */
	struct task turn;
	struct timer patience; /* of who waits for company */
	bool told_up;          /* what on_change was told */
	unsigned calling;      /* callbacks on the stack: the last one out frees a closed pool */
	enum { POOL_OPEN, POOL_CLOSED } state;
	struct pg_known **known; /* hash table by pointer of statement, cap is a power of 2, at most half full */
	unsigned nknown, known_cap;
	unsigned nforms; /* of them; those for one count apart */
	struct series *slow;
	int64_t complained_ms; /* of statements that are wrong */
	unsigned held_back;    /* complaints since */
};

/* --- the catalogue, as far as it was used */

static struct pg_known **known_slot(struct pg_known **table, unsigned cap, const struct pg_stmt *stmt)
{
	uint64_t h = ((uint64_t)(uintptr_t)stmt >> 3) * UINT64_C(0x9e3779b97f4a7c15);
	unsigned i = (unsigned)(h >> 32) & (cap - 1);

	while (table[i] != NULL && table[i]->stmt != stmt)
		i = (i + 1) & (cap - 1);
	return &table[i];
}

static void known_grow(struct pg *p)
{
	unsigned cap = p->known_cap ? 2 * p->known_cap : 64;
	struct pg_known **table = mem_zalloc(cap * sizeof(struct pg_known *));

	for (unsigned i = 0; i < p->known_cap; i++)
		if (p->known[i] != NULL)
			*known_slot(table, cap, p->known[i]->stmt) = p->known[i];
	free(p->known);
	p->known = table;
	p->known_cap = cap;
}

static bool known_as(const struct pg_known *k, const char *name)
{
	return k != NULL && (strcmp(k->prepared_name, name) == 0 || known_as(k->one, name));
}

/* The name, unless another statement or its form for one has it. */
static const char *known_name(struct pg *p, const struct pg_stmt *stmt)
{
	for (unsigned i = 0; i < p->known_cap; i++)
		if (known_as(p->known[i], stmt->name))
			return arena_printf(&p->arena, "%s/%u", stmt->name, p->nforms);
	return stmt->name;
}

static struct pg_known *known_new(struct pg *p, const struct pg_stmt *stmt)
{
	struct pg_known *k = arena_new(&p->arena, struct pg_known);

	k->stmt = stmt;
	k->prepared_name = known_name(p, stmt);
	k->index = p->nforms++;
	return k;
}

static struct pg_known *pool_know(struct pg *p, const struct pg_stmt *stmt)
{
	struct pg_known **slot, *k;

	if (2 * p->nknown >= p->known_cap)
		known_grow(p);
	slot = known_slot(p->known, p->known_cap, stmt);
	if (*slot != NULL)
		return *slot;
	k = *slot = known_new(p, stmt);
	k->one = stmt->one ? known_new(p, stmt->one) : NULL;
	k->count = SERIES(metric_counter("shoal_sql_statements_total", "statement",
	                                 "Statements that Postgres was sent; one that goes again counts once."),
	                  stmt->name);
	k->asked = SERIES(metric_counter("shoal_sql_asked_total", "statement",
	                                 "What the statements were sent for; several may be asked by one statement."),
	                  stmt->name);
	k->seconds = SERIES(
	    metric_histogram("shoal_sql_seconds", "statement", "Time from sending a statement to its commit.", NULL, 0),
	    stmt->name);
	p->nknown++;
	return k;
}

/* --- callbacks */

static void pool_measure(struct pg *p, const struct pg_cmd *cmd)
{
	int64_t us = clock_us() - cmd->sent_us;

	if (cmd->sent_us == 0)
		return; /* was never sent */
	series_add(cmd->known->count, 1);
	series_add(cmd->known->asked, 1);
	series_observe(cmd->known->seconds, (double)us / 1e6);
	if (p->opts.slow_ms == 0 || us < (int64_t)p->opts.slow_ms * 1000)
		return;
	series_add(p->slow, 1);
	log_warn("slow statement", LOG_STR("statement", cmd->known->stmt->name), LOG_NUM("ms", (double)us / 1000),
	         LOG_NUM("waited_ms", (double)(cmd->sent_us - cmd->asked_us) / 1000),
	         LOG_STR("error", cmd->err ? err_text(cmd->err) : NULL), LOG_STR("entry", cmd->entry),
	         LOG_STR("trace_id", cmd->trace_id));
}

static void cmd_fault(const struct pg_cmd *cmd, struct pg_fault *fault)
{
	const char *state = cmd->res ? PQresultErrorField(cmd->res, PG_DIAG_SQLSTATE) : NULL;
	const char *message = cmd->res ? PQresultErrorField(cmd->res, PG_DIAG_MESSAGE_PRIMARY) : cmd->why;
	const char *detail = cmd->res ? PQresultErrorField(cmd->res, PG_DIAG_MESSAGE_DETAIL) : NULL;
	const char *constraint = cmd->res ? PQresultErrorField(cmd->res, PG_DIAG_CONSTRAINT_NAME) : NULL;

	memset(fault, 0, sizeof(*fault));
	if (state != NULL && strlen(state) == 5)
		memcpy(fault->sqlstate, state, 5);
	fault->message = message ? message : "";
	fault->detail = detail ? detail : "";
	fault->constraint = constraint ? constraint : "";
}

static void pool_count_fault(struct pg *p, const struct pg_cmd *cmd, const struct pg_fault *fault)
{
	char class[3] = {fault->sqlstate[0], fault->sqlstate[1], '\0'};

	if (class[0] != '\0')
		pg_count_error(class);
	bool wrong = cmd->err == ERR_INTERNAL || strncmp(fault->sqlstate, "42", 2) == 0;
	if (!wrong || !log_due(&p->complained_ms, &p->held_back))
		return;
	log_error("statement failed", LOG_STR("statement", cmd->known->stmt->name),
	          LOG_STR("sqlstate", fault->sqlstate), LOG_STR("message", fault->message),
	          LOG_STR("entry", cmd->entry), LOG_STR("trace_id", cmd->trace_id), LOG_INT("held_back", p->held_back));
	p->held_back = 0;
}

static void pool_answer(struct pg *p, struct pg_cmd *cmd)
{
	struct pg_fault fault = {.message = "", .detail = "", .constraint = ""};

	pool_measure(p, cmd);
	if (cmd->err == ERR_OK) {
		struct pg_rows rows = pg_cmd_rows(cmd);

		cmd->fn(cmd->arg, ERR_OK, &rows, &fault);
		cmd->res = rows.res; /* or they were kept */
	} else {
		cmd_fault(cmd, &fault);
		pool_count_fault(p, cmd, &fault);
		cmd->fn(cmd->arg, cmd->err, NULL, &fault);
	}
	pg_cmd_free(cmd);
}

/* --- the turn */

static void pool_free(struct pg *p)
{
	task_cancel(&p->turn);
	timer_release(&p->patience);
	free(p->conns);
	free(p->known);
	arena_release(&p->arena);
	free(p);
}

static void pool_soon(struct pg *p)
{
	if (p->state == POOL_OPEN)
		loop_defer(p->loop, &p->turn);
}

static void pool_finish(struct pg *p, struct pg_cmd *cmd, enum err err, const char *why)
{
	if (err != ERR_OK)
		pg_cmd_fail(cmd, err, why);
	pg_list_push(&p->finished, cmd);
	pool_soon(p);
}

bool pg_up(const struct pg *p)
{
	for (unsigned i = 0; i < p->nconns; i++)
		if (pg_conn_up(p->conns[i]))
			return true;
	return false;
}

const char *pg_trouble(const struct pg *p)
{
	if (pg_up(p))
		return NULL;
	return p->nconns > 0 ? pg_conn_trouble(p->conns[0]) : "the connection string cannot be used";
}

/* The connection with the least under way; NULL when all are full or away. */
static struct pg_conn *pool_pick(const struct pg *p)
{
	struct pg_conn *best = NULL;

	for (unsigned i = 0; i < p->nconns; i++) {
		struct pg_conn *c = p->conns[i];

		if (pg_conn_up(c) && pg_conn_depth(c) < DEPTH_MAX &&
		    (best == NULL || pg_conn_depth(c) < pg_conn_depth(best)))
			best = c;
	}
	return best;
}

/* --- who goes next, and with whom */

static void pool_wait(struct pg *p, struct pg_cmd *cmd)
{
	pg_list_push(&p->waiting, cmd);
	if (cmd->kind != NULL)
		cmd->kind->waiting++;
}

static struct pg_cmd *pool_take(struct pg *p, struct pg_cmd **at)
{
	struct pg_cmd *cmd = pg_list_take(&p->waiting, at);

	if (cmd->kind != NULL)
		cmd->kind->waiting--;
	return cmd;
}

/* Whether so many may leave now. They want a connection for themselves, as who comes after them would wait for all. */
static bool pool_enough(const struct pg *p, unsigned n)
{
	unsigned groups = 0, all = p->waiting.n, most = sizeof(enough) / sizeof(enough[0]) - 1;

	for (unsigned i = 0; i < p->nconns; i++) {
		groups += pg_conn_sociable(p->conns[i]) > 0;
		all += pg_conn_sociable(p->conns[i]);
	}
	return n >= enough[groups < most ? groups : most] || n >= (all + SHARE - 1) / SHARE;
}

/* The first one that may leave, on the connection c, which is the idlest; NULL: none. What waits for a connection of
 * its own is not overtaken; what waits for company is. */
static struct pg_cmd **pool_next(struct pg *p, const struct pg_conn *c)
{
	for (struct pg_cmd **at = &p->waiting.head; *at != NULL; at = &(*at)->next) {
		const struct pg_kind *kind = (*at)->kind;

		if (kind == NULL)
			return at;
		if (pg_conn_depth(c) > 0)
			return NULL;
		if (pool_enough(p, kind->waiting) || clock_us() - (*at)->asked_us >= PATIENCE_MS * 1000)
			return at;
	}
	if (p->waiting.head && !timer_armed(&p->patience))
		timer_set(&p->patience, PATIENCE_MS);
	return NULL;
}

/* Of those that are as idle as c the first one that does not know the statement as it would go there: what that costs
 * once, some ms for one of the bots', is better spent now than while the others are held up. */
static struct pg_conn *pool_learner(const struct pg *p, struct pg_conn *c, const struct pg_cmd *cmd)
{
	for (unsigned i = 0; i < p->nconns && cmd->kind != NULL; i++)
		if (pg_conn_up(p->conns[i]) && pg_conn_depth(p->conns[i]) == 0 && !pg_conn_knows(p->conns[i], cmd))
			return p->conns[i];
	return c;
}

/* Those that go with the first one. Two that lock the same rows do not: what they do happens one after the other. */
static void pool_group(struct pg *p, struct pg_cmd **at, struct pg_list *group)
{
	struct pg_kind *kind = (*at)->kind;
	size_t size = 0;

	pg_list_init(group);
	do {
		if ((*at)->kind == kind && pg_list_fits(group, *at)) {
			struct pg_cmd *cmd = pool_take(p, at);

			size += cmd->size;
			pg_list_insert(group, cmd);
		} else {
			at = &(*at)->next;
		}
	} while (*at != NULL && kind != NULL && group->n < GROUP_MAX && size < GROUP_BYTES);
	if (kind != NULL && kind != &p->reads)
		pg_list_push(group, pg_set_form(group));
}

static void pool_dispatch(struct pg *p)
{
	struct pg_list group;
	struct pg_conn *c;
	struct pg_cmd **next;

	while (p->waiting.n > 0 && (c = pool_pick(p)) != NULL && (next = pool_next(p, c)) != NULL) {
		pool_group(p, next, &group);
		pg_conn_send(pool_learner(p, c, group.head), &group);
	}
	if (p->waiting.n > 0 && !pg_up(p))
		while (p->waiting.n > 0)
			pool_finish(p, pool_take(p, &p->waiting.head), ERR_UNREACHABLE, "no connection to postgres");
}

static void pool_flush(struct pg *p)
{
	for (unsigned i = 0; i < p->nconns; i++)
		pg_conn_flush(p->conns[i]);
}

static void pool_tell_change(struct pg *p)
{
	bool up = pg_up(p);

	if (up == p->told_up)
		return;
	p->told_up = up;
	if (p->opts.on_change != NULL)
		p->opts.on_change(p->opts.arg, up);
}

/* Answers what had finished when it began: what the callbacks add has another turn. */
static void pool_turn(void *arg)
{
	struct pg *p = arg;
	unsigned n = p->finished.n;
	struct pg_cmd *cmd;

	p->calling++;
	pool_tell_change(p);
	while (n-- > 0 && p->state == POOL_OPEN && (cmd = pg_list_pop(&p->finished)) != NULL)
		pool_answer(p, cmd);
	p->calling--;
	if (p->state == POOL_CLOSED) {
		if (p->calling == 0)
			pool_free(p);
		return;
	}
	pool_dispatch(p);
	pool_flush(p);
	if (p->finished.n > 0)
		pool_soon(p);
}

/* --- hooks of the connections */

static void on_finished(void *arg, struct pg_cmd *cmd)
{
	struct pg *p = arg;

	series_add(cmd->known->asked, cmd->company.n);
	if (cmd->company.n > 0)
		pg_set_part(cmd, &p->finished);
	else
		pg_list_push(&p->finished, cmd);
	pool_soon(p);
}

static void on_again(void *arg, struct pg_cmd *cmd)
{
	struct pg *p = arg;

	pg_list_push_front(&p->waiting, cmd);
	if (cmd->kind != NULL)
		cmd->kind->waiting++;
	pool_soon(p);
}

static void on_changed(void *arg)
{
	pool_soon(arg);
}

/* --- the calls */

struct pg *pg_open(struct loop *l, const struct pg_opts *opts)
{
	struct pg *p = mem_zalloc(sizeof(*p));
	struct pg_hooks hooks = {.arg = p, .finished = on_finished, .again = on_again, .changed = on_changed};
	struct pg_conn_conf conf = {.prepare = opts->prepare,
	                            .plan_once = opts->plan_once && opts->prepare,
	                            .writes = opts->writes,
	                            .keepalive_s = opts->keepalive_s,
	                            .statement_timeout_ms = opts->statement_timeout_ms};
	struct pg_target *target;
	const char *why;

	p->loop = l;
	p->opts = *opts;
	p->turn.fn = pool_turn;
	p->turn.arg = p;
	timer_init(&p->patience, l, pool_turn, p);
	arena_init(&p->arena);
	pg_list_init(&p->waiting);
	pg_list_init(&p->finished);
	p->slow = SERIES0(metric_counter("shoal_sql_slow_total", "", "Statements slower than SHOAL_SLOW_QUERY_MS."));
	/* poolers take no options in the start-up packet: there the client's own limit is all there is */
	target = pg_target_parse(&p->arena, opts->url, opts->application_name,
	                         opts->prepare ? opts->statement_timeout_ms : 0, &why);
	if (target == NULL) {
		log_error("postgres cannot be used", LOG_STR("why", why));
		return p;
	}
	if (conf.plan_once)
		pg_target_option(target, &p->arena, "plan_cache_mode=force_generic_plan");
	if (opts->writes)
		pg_target_writes(target);
	conf.target = target;
	p->conns = mem_zalloc((opts->connections ? opts->connections : 1) * sizeof(struct pg_conn *));
	while (p->nconns < opts->connections) {
		struct pg_conn *c = pg_conn_open(l, &conf, &hooks);

		p->conns[p->nconns++] = c;
	}
	return p;
}

enum err pg_check_url(const char *url, struct arena *a, const char **why)
{
	return pg_target_parse(a, url, NULL, 0, why) ? ERR_OK : ERR_INVALID;
}

void pg_close(struct pg *p)
{
	struct pg_cmd *cmd;

	if (p == NULL || p->state == POOL_CLOSED)
		return;
	p->state = POOL_CLOSED;
	task_cancel(&p->turn);
	timer_stop(&p->patience);
	for (unsigned i = 0; i < p->nconns; i++)
		pg_conn_close(p->conns[i]);
	p->nconns = 0;
	while (p->waiting.n > 0)
		pool_finish(p, pool_take(p, &p->waiting.head), ERR_UNREACHABLE, "the pool is closing");
	p->calling++;
	while ((cmd = pg_list_pop(&p->finished)) != NULL)
		pool_answer(p, cmd);
	p->calling--;
	if (p->calling == 0)
		pool_free(p);
}

void pg_exec(struct pg *p, const struct pg_stmt *stmt, const struct pg_params *params, pg_fn *fn, void *arg)
{
	struct pg_cmd *cmd = pg_cmd_new(pool_know(p, stmt), params, fn, arg);

	ENSURE(fn != NULL);
	if (params && params->together)
		cmd->kind = stmt->many ? &cmd->known->kind : &p->reads;
	if (p->waiting.n >= WAITING_MAX)
		pool_dispatch(p); /* many in one turn: what the connections can take does not count */
	if (cmd->err != ERR_OK)
		pool_finish(p, cmd, ERR_OK, NULL);
	else if (p->state == POOL_CLOSED)
		pool_finish(p, cmd, ERR_UNREACHABLE, "the pool is closing");
	else if (p->waiting.n >= WAITING_MAX)
		pool_finish(p, cmd, ERR_UNREACHABLE, "too many statements are waiting");
	else
		pool_wait(p, cmd);
	pool_soon(p);
}
