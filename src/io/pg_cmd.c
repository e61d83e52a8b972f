#include "shoal/io/pg_cmd.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "shoal/base/arena.h"
#include "shoal/base/clock.h"

/* The result of a set. Its members hold it in common, and the last one frees it. */
struct pg_shared {
	PGresult *res;
	unsigned users;
	int at[]; /* the numbers of its rows, member by member */
};

/* --- one */

struct pg_cmd *pg_cmd_new(struct pg_known *known, const struct pg_params *params, pg_fn *fn, void *arg)
{
	int n = params ? params->n : 0;
	size_t texts = 0, head = sizeof(struct pg_cmd) + (size_t)n * sizeof(char *);
	struct pg_cmd *cmd;
	char *text;

	ENSURE(n == known->stmt->nparams && n <= PG_PARAMS_MAX);
	for (int i = 0; i < n; i++)
		texts += params->v[i].ptr ? params->v[i].len + 1 : 0;
	cmd = mem_alloc(head + texts);
	memset(cmd, 0, sizeof(*cmd));
	pg_list_init(&cmd->company);
	cmd->known = known;
	cmd->fn = fn;
	cmd->arg = arg;
	cmd->asked_us = clock_us();
	cmd->size = texts;
	cmd->n = n;
	cmd->order = params ? params->order : 0;
	cmd->entry = params ? params->entry : NULL;
	cmd->trace_id = params ? params->trace_id : NULL;
	text = (char *)&cmd->v[n];
	for (int i = 0; i < n; i++) {
		struct span s = params->v[i];

		cmd->v[i] = s.ptr ? text : NULL;
		if (s.ptr == NULL)
			continue;
		if (memchr(s.ptr, '\0', s.len) != NULL)
			pg_cmd_fail(cmd, ERR_INVALID, "a parameter holds U+0000");
		memcpy(text, s.ptr, s.len);
		text[s.len] = '\0';
		text += s.len + 1;
	}
	return cmd;
}

static void drop_result(struct pg_cmd *cmd)
{
	if (cmd->shared == NULL) {
		PQclear(cmd->res);
	} else if (--cmd->shared->users == 0) {
		PQclear(cmd->shared->res);
		free(cmd->shared);
	}
	cmd->res = NULL;
	cmd->shared = NULL;
	cmd->at = NULL;
	cmd->nat = 0;
}

void pg_cmd_free(struct pg_cmd *cmd)
{
	struct pg_cmd *one;

	while ((one = pg_list_pop(&cmd->company)) != NULL)
		pg_cmd_free(one);
	drop_result(cmd);
	free(cmd);
}

void pg_cmd_fail(struct pg_cmd *cmd, enum err err, const char *why)
{
	if (cmd->err != ERR_OK)
		return;
	drop_result(cmd);
	cmd->err = err;
	cmd->why = why;
}

struct pg_rows pg_cmd_rows(const struct pg_cmd *cmd)
{
	struct pg_rows rows = pg_rows_all(cmd->res);

	rows.may_be_part = cmd->kind != NULL && cmd->known->stmt->many;
	if (cmd->shared != NULL) {
		rows.at = cmd->at;
		rows.n = cmd->nat;
	}
	return rows;
}

/* --- lists */

void pg_list_init(struct pg_list *l)
{
	l->head = NULL;
	l->tail = &l->head;
	l->n = 0;
}

static void list_put(struct pg_list *l, struct pg_cmd **at, struct pg_cmd *cmd)
{
	cmd->next = *at;
	*at = cmd;
	if (cmd->next == NULL)
		l->tail = &cmd->next;
	l->n++;
}

void pg_list_push(struct pg_list *l, struct pg_cmd *cmd)
{
	list_put(l, l->tail, cmd);
}

void pg_list_push_front(struct pg_list *l, struct pg_cmd *cmd)
{
	list_put(l, &l->head, cmd);
}

struct pg_cmd *pg_list_take(struct pg_list *l, struct pg_cmd **at)
{
	struct pg_cmd *cmd = *at;

	*at = cmd->next;
	if (*at == NULL)
		l->tail = at;
	l->n--;
	cmd->next = NULL;
	return cmd;
}

struct pg_cmd *pg_list_pop(struct pg_list *l)
{
	return l->head ? pg_list_take(l, &l->head) : NULL;
}

void pg_list_insert(struct pg_list *l, struct pg_cmd *cmd)
{
	struct pg_cmd **at = &l->head;

	while (*at != NULL && (*at)->order <= cmd->order)
		at = &(*at)->next;
	list_put(l, at, cmd);
}

bool pg_list_fits(const struct pg_list *l, const struct pg_cmd *cmd)
{
	for (const struct pg_cmd *one = l->head; one != NULL && cmd->order != 0; one = one->next)
		if (one->order == cmd->order)
			return false;
	return true;
}

/* --- sets */

struct pg_cmd *pg_set_form(struct pg_list *members)
{
	struct pg_cmd *first = pg_list_pop(members), *one;

	while ((one = pg_list_pop(members)) != NULL)
		pg_list_push(&first->company, one);
	return first;
}

static void add_i32(struct buf *b, int32_t v)
{
	uint32_t wire = htonl((uint32_t)v);

	buf_add(b, &wire, sizeof(wire));
}

#define TEXT_OID 25 /* pg_type.h: part of the protocol, the same in every server */

static void add_element(struct buf *b, const char *text)
{
	size_t len = text ? strlen(text) : 0;
	uint32_t wire = text ? htonl((uint32_t)len) : UINT32_MAX;
	char *to = buf_extend(b, sizeof(wire) + len);

	if (to == NULL)
		return;
	memcpy(to, &wire, sizeof(wire));
	if (len > 0)
		memcpy(to + sizeof(wire), text, len);
}

/* As array_recv() takes it: dimensions, whether there are NULLs, type, length, number of the first one, elements. */
static void add_array(struct buf *b, const struct pg_cmd *set, int param)
{
	bool nulls = set->v[param] == NULL;

	for (const struct pg_cmd *one = set->company.head; one != NULL && !nulls; one = one->next)
		nulls = one->v[param] == NULL;
	add_i32(b, 1);
	add_i32(b, nulls);
	add_i32(b, TEXT_OID);
	add_i32(b, (int32_t)set->company.n + 1);
	add_i32(b, 1);
	add_element(b, set->v[param]);
	for (const struct pg_cmd *one = set->company.head; one != NULL; one = one->next)
		add_element(b, one->v[param]);
}

void pg_set_arrays(const struct pg_cmd *set, struct buf *scratch, struct pg_arrays *out)
{
	size_t start[PG_PARAMS_MAX + 1];

	buf_clear(scratch);
	for (int i = 0; i < set->n; i++) {
		start[i] = scratch->len;
		add_array(scratch, set, i);
	}
	start[set->n] = scratch->len;
	ENSURE(!scratch->failed);
	for (int i = 0; i < set->n; i++) {
		out->v[i] = scratch->ptr + start[i];
		out->len[i] = (int)(start[i + 1] - start[i]);
		out->format[i] = 1;
	}
}

/* Whose row it is, from 0; -1: nobody's. */
static int row_owner(const PGresult *res, int row)
{
	int64_t n;

	if (!span_i64((struct span){PQgetvalue(res, row, 0), (size_t)PQgetlength(res, row, 0)}, &n))
		return -1;
	return n > 0 && n <= INT32_MAX ? (int)n - 1 : -1;
}

static bool tells_owners(const PGresult *res)
{
	return PQntuples(res) > 0 && strcmp(PQfname(res, 0), "n") == 0;
}

/* False: a row is nobody's. */
static bool give_rows(struct pg_shared *s, struct pg_cmd **members, unsigned n)
{
	int rows = tells_owners(s->res) ? PQntuples(s->res) : 0, *at = s->at;

	for (int row = 0; row < rows; row++) {
		int owner = row_owner(s->res, row);

		if (owner < 0 || (unsigned)owner >= n)
			return false;
		members[owner]->nat++;
	}
	for (unsigned i = 0; i < n; i++) {
		members[i]->at = at;
		at += members[i]->nat;
		members[i]->nat = 0;
	}
	for (int row = 0; row < rows; row++) {
		struct pg_cmd *owner = members[row_owner(s->res, row)];

		owner->at[owner->nat++] = row;
	}
	return true;
}

static struct pg_shared *share_result(PGresult *res, struct pg_cmd **members, unsigned n)
{
	struct pg_shared *s = mem_alloc(sizeof(*s) + (size_t)PQntuples(res) * sizeof(s->at[0]));

	s->res = res;
	s->users = n;
	for (unsigned i = 0; i < n; i++) {
		members[i]->res = res;
		members[i]->shared = s;
	}
	return s;
}

void pg_set_part(struct pg_cmd *set, struct pg_list *to)
{
	unsigned n = set->company.n + 1;
	struct pg_cmd **members = mem_alloc(n * sizeof(struct pg_cmd *)), *one;
	bool whole = true;

	members[0] = set;
	for (unsigned i = 1; (one = pg_list_pop(&set->company)) != NULL; i++) {
		members[i] = one;
		one->err = set->err;
		one->why = set->why ? set->why : "it failed with others";
	}
	if (set->err == ERR_OK)
		whole = give_rows(share_result(set->res, members, n), members, n);
	for (unsigned i = 0; i < n; i++) {
		if (!whole) /* who got none would take that for an answer */
			pg_cmd_fail(members[i], ERR_INTERNAL, "a row of the set has no number of one of its members");
		pg_list_push(to, members[i]);
	}
	free(members);
}
