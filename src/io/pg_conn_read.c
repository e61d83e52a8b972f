/* What the server answers: each result to its statement, each group's end to all of it. */
#include <string.h>

#include "shoal/base/clock.h"
#include "shoal/base/log.h"
#include "shoal/io/pg_conn_parts.h"

static const char *result_state(const PGresult *res)
{
	const char *state = res ? PQresultErrorField(res, PG_DIAG_SQLSTATE) : NULL;

	return state ? state : "";
}

/* The server's word ends the session ("FATAL"), not only the statement. PgBouncer gives it in one form only. */
static bool result_is_fatal(const PGresult *res)
{
	const char *severity = PQresultErrorField(res, PG_DIAG_SEVERITY_NONLOCALIZED);

	if (severity == NULL)
		severity = PQresultErrorField(res, PG_DIAG_SEVERITY);
	return severity != NULL && (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0);
}

/* False: it is libpq's own word, for a connection that broke. */
static bool conn_error(struct pg_conn *c, struct pg_cmd *cmd, PGresult *res)
{
	const char *state = result_state(res);
	enum err err = pg_classify(state);

	if (state[0] == '\0') {
		PQclear(res);
		return false;
	}
	if (result_is_fatal(res)) {
		/* from a pooler it may be the pooler's word only, with a server at work behind it */
		c->server_gone = c->conf.prepare && strncmp(state, "57P", 3) == 0;
		if (cmd->res != NULL || !c->conf.prepare || strncmp(state, "08", 2) == 0) /* perhaps after the commit */
			err = ERR_UNKNOWN;
	}
	if (cmd->err != ERR_OK) {
		PQclear(res);
		return true;
	}
	PQclear(cmd->res);
	cmd->res = res;
	cmd->err = err == ERR_OK ? ERR_INTERNAL : err;
	return true;
}

/* Whether it failed only for its prepared name: a pooler gave us another server session (26000, 42P05), or the tables
 * changed under the plan (0A000). Its transaction is undone, so it may go again. */
static bool cmd_goes_again(const struct pg_cmd *cmd)
{
	const char *state = result_state(cmd->res);

	switch (cmd->way) {
	case CMD_PARSING: return strcmp(state, "42P05") == 0 || strcmp(state, "26000") == 0;
	case CMD_NAMED: return strcmp(state, "26000") == 0 || strcmp(state, "0A000") == 0;
	default: return false;
	}
}

/* As if it had not been sent; where that was for its prepared name, without one. */
static void cmd_again(struct pg_conn *c, struct pg_cmd *cmd)
{
	if (cmd->err != ERR_OK && cmd_goes_again(cmd)) {
		log_debug("prepared statement not usable here", LOG_STR("statement", cmd->known->stmt->name));
		pg_conn_note_prepared(c, cmd->form, PREP_NEVER);
		cmd->plain = true;
	}
	PQclear(cmd->res);
	cmd->res = NULL;
	cmd->err = ERR_OK;
	c->hooks.again(c->hooks.arg, cmd);
}

void pg_conn_again(struct pg_conn *c, struct pg_cmd *cmd)
{
	struct pg_cmd *one;

	while ((one = pg_list_pop(&cmd->company)) != NULL) {
		one->kind = NULL;
		c->hooks.again(c->hooks.arg, one);
	}
	cmd->kind = NULL;
	cmd_again(c, cmd);
}

static void conn_finish(struct pg_conn *c, struct pg_cmd *cmd, bool in_failed_group)
{
	if (cmd->fn == NULL) {
		pg_cmd_free(cmd);
		return;
	}
	if (cmd->way == CMD_PARSING && pg_conn_prepared(c, cmd->form) == PREP_PENDING)
		pg_conn_note_prepared(c, cmd->form, PREP_NO);
	if (cmd->err != ERR_OK && strcmp(result_state(cmd->res), "25006") == 0 && c->state == CONN_UP)
		pg_conn_set_state(c, CONN_LEAVING);
	if (in_failed_group)
		pg_conn_again(c, cmd);
	else if (cmd->err != ERR_OK && cmd_goes_again(cmd))
		cmd_again(c, cmd);
	else
		c->hooks.finished(c->hooks.arg, cmd);
}

/* The Sync's result is here. Of several the failure of one has undone all: whose it is shows when each goes alone. */
static void conn_finish_group(struct pg_conn *c)
{
	struct pg_list group;
	struct pg_cmd *cmd;
	bool failed = false, several = false;

	pg_list_init(&group);
	do {
		cmd = pg_list_pop(&c->under_way);
		failed = failed || cmd->err != ERR_OK;
		several = group.n > 0 || cmd->company.n > 0;
		c->sociable -= cmd->kind ? 1 + cmd->company.n : 0;
		pg_list_push(&group, cmd);
	} while (!cmd->syncs);
	c->reading = c->under_way.head;
	c->head_ms = c->used_ms = clock_ms();
	pg_conn_count_busy(c);
	if (failed && several)
		pg_count_error("group");
	while ((cmd = pg_list_pop(&group)) != NULL)
		conn_finish(c, cmd, failed && several);
}

/* The last one of the first group: what goes wrong at the commit is told of it. */
static struct pg_cmd *conn_last_of_group(const struct pg_conn *c)
{
	struct pg_cmd *cmd = c->under_way.head;

	while (!cmd->syncs)
		cmd = cmd->next;
	return cmd;
}

static void conn_rows(struct pg_conn *c, struct pg_cmd *cmd, PGresult *res)
{
	if (cmd->way == CMD_PARSING && pg_conn_prepared(c, cmd->form) == PREP_PENDING) {
		pg_conn_note_prepared(c, cmd->form, PREP_YES);
		PQclear(res);
		return;
	}
	PQclear(cmd->res);
	cmd->res = res;
}

/* False: the connection is of no use any more. */
static bool conn_result(struct pg_conn *c, PGresult *res)
{
	struct pg_cmd *cmd = c->reading ? c->reading : conn_last_of_group(c);

	switch (PQresultStatus(res)) {
	case PGRES_PIPELINE_SYNC:
		PQclear(res);
		conn_finish_group(c);
		return true;
	case PGRES_PIPELINE_ABORTED: /* what stands between an error and its Sync */ PQclear(res); break;
	case PGRES_COMMAND_OK:
	case PGRES_TUPLES_OK:
	case PGRES_EMPTY_QUERY: conn_rows(c, cmd, res); break;
	case PGRES_FATAL_ERROR: c->results = true; return conn_error(c, cmd, res);
	default: /* COPY and the like have no place in a pipeline */
		PQclear(res);
		pg_cmd_fail(cmd, ERR_INTERNAL, "the statement is of a kind that cannot be pipelined");
		return false;
	}
	c->results = true;
	return true;
}

/* All results of a query are here. Where the statement was to be prepared first, that was a query too. */
static void conn_query_over(struct pg_conn *c)
{
	struct pg_cmd *cmd = c->reading;

	c->results = false;
	if (cmd == NULL)
		return;
	if (cmd->way == CMD_PARSING && !cmd->parsed) {
		cmd->parsed = true;
		return;
	}
	c->reading = cmd->syncs ? NULL : cmd->next;
	c->head_ms = clock_ms();
}

/* Takes every result that is here. NULL ends the results of one query, and comes once; a Sync has none. After an
 * error libpq makes up results without reading the socket, so this goes on for as long as it is not busy. */
bool pg_conn_drain(struct pg_conn *c)
{
	unsigned ends = 0;

	while (c->under_way.head != NULL && !PQisBusy(c->pq)) {
		PGresult *res = PQgetResult(c->pq);

		if (res != NULL) {
			ends = 0;
			if (!conn_result(c, res))
				return false;
		} else if (c->results) {
			conn_query_over(c);
		} else if (++ends > 2) {
			return false;
		}
	}
	return true;
}

bool pg_conn_read_only(const struct pg_conn *c)
{
	static const char *const settings[] = {"default_transaction_read_only", "in_hot_standby"};

	for (int i = 0; c->conf.writes && i < 2; i++) {
		const char *value = PQparameterStatus(c->pq, settings[i]);

		if (value != NULL && strcmp(value, "on") == 0)
			return true;
	}
	return false;
}
