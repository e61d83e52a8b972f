/* How statements leave: under which name, with which parameters, behind which Sync. */
#include <string.h>

#include "shoal/base/clock.h"
#include "shoal/io/pg_conn_parts.h"

#define SCRATCH_KEPT (64 << 10) /* a few that are longer need not cost memory for good */

enum prepared pg_conn_prepared(const struct pg_conn *c, const struct pg_known *k)
{
	return k->index < c->nprepared ? (enum prepared)c->prepared[k->index] : PREP_NO;
}

void pg_conn_note_prepared(struct pg_conn *c, const struct pg_known *k, enum prepared to)
{
	if (k->index >= c->nprepared) {
		unsigned n = k->index + 32;

		c->prepared = mem_realloc(c->prepared, n);
		memset(c->prepared + c->nprepared, PREP_NO, n - c->nprepared);
		c->nprepared = n;
	}
	c->prepared[k->index] = (uint8_t)to;
}

/* Who is alone goes as a set all the same where the connection does not know that yet: what learning it costs, some ms,
 * is not to come when others wait and sets are formed. */
static struct pg_known *conn_form(const struct pg_conn *c, const struct pg_cmd *cmd)
{
	struct pg_known *k = cmd->known;
	bool learns = c->conf.prepare && !cmd->plain && pg_conn_prepared(c, k) == PREP_NO;

	return k->one != NULL && cmd->company.n == 0 && !learns ? k->one : k;
}

bool pg_conn_knows(const struct pg_conn *c, const struct pg_cmd *cmd)
{
	return !c->conf.prepare || cmd->plain || pg_conn_prepared(c, conn_form(c, cmd)) != PREP_NO;
}

static bool conn_put(struct pg_conn *c, struct pg_cmd *cmd)
{
	const char *const *v = cmd->v;
	const int *len = NULL, *format = NULL;
	struct pg_arrays a;
	const struct pg_known *k = cmd->form = conn_form(c, cmd);
	enum prepared prepared = c->conf.prepare && !cmd->plain ? pg_conn_prepared(c, k) : PREP_NEVER;

	cmd->way = prepared == PREP_NO ? CMD_PARSING : prepared == PREP_YES ? CMD_NAMED : CMD_UNNAMED;
	if (cmd->way == CMD_PARSING) {
		if (PQsendPrepare(c->pq, k->prepared_name, k->stmt->sql, 0, NULL) != 1)
			return false;
		pg_conn_note_prepared(c, k, PREP_PENDING);
	}
	if (k->stmt->many) {
		pg_set_arrays(cmd, &c->scratch, &a);
		v = a.v, len = a.len, format = a.format;
	}
	if (cmd->way == CMD_UNNAMED)
		return PQsendQueryParams(c->pq, k->stmt->sql, cmd->n, NULL, v, len, format, 0) == 1;
	return PQsendQueryPrepared(c->pq, k->prepared_name, cmd->n, v, len, format, 0) == 1;
}

/* libpq 15 writes to the socket at every Sync; from 17 on it can leave that to the flush after the batch. */
static bool conn_sync(struct pg_conn *c)
{
#ifdef LIBPQ_HAS_SEND_PIPELINE_SYNC
	return PQsendPipelineSync(c->pq) == 1;
#else
	return PQpipelineSync(c->pq) == 1;
#endif
}

/* Without its Sync nothing of a group can have been committed; with it perhaps. */
static void conn_send_failed(struct pg_conn *c, struct pg_cmd *first, struct pg_list *rest)
{
	struct pg_cmd *cmd;

	while ((cmd = pg_list_pop(rest)) != NULL)
		pg_list_push(&c->under_way, cmd);
	for (cmd = first; cmd != NULL; cmd = cmd->next)
		pg_cmd_fail(cmd, ERR_UNREACHABLE, "the statement could not be sent");
	pg_conn_drop(c, ERR_UNKNOWN, "lost", "connection lost");
}

void pg_conn_send(struct pg_conn *c, struct pg_list *group)
{
	struct pg_cmd *first = group->head;
	int64_t now = clock_us();

	if (c->under_way.n == 0) {
		c->head_ms = now / 1000;
		c->reading = first;
	}
	for (struct pg_cmd *cmd; (cmd = pg_list_pop(group)) != NULL;) {
		bool put = conn_put(c, cmd);

		cmd->sent_us = now;
		cmd->parsed = false;
		cmd->syncs = group->n == 0;
		c->sociable += cmd->kind ? 1 + cmd->company.n : 0;
		c->sent += 1 + cmd->company.n;
		pg_list_push(&c->under_way, cmd);
		if (!put) {
			conn_send_failed(c, first, group);
			return;
		}
	}
	if (!conn_sync(c)) {
		pg_conn_drop(c, ERR_UNKNOWN, "lost", "connection lost");
		return;
	}
	pg_conn_count_busy(c);
	pg_conn_watch_limit(c);
	if (c->scratch.cap > SCRATCH_KEPT)
		buf_release(&c->scratch);
}
