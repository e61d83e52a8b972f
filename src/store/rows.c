#include "shoal/store/rows.h"

#include <string.h>

enum column_type { COLUMN_ID, COLUMN_BOOL, COLUMN_TEXT };

/* A fact, and the flag that says that it is there ("found"): offsets into struct facts; no flag: 0, which is now_ms. */
struct column {
	const char *name;
	enum column_type type;
	size_t offset, flag;
};

#define AT(member) offsetof(struct facts, member)

static const struct column columns[] = {
    {"user_id", COLUMN_ID, AT(user.id), AT(user.known)},
    {"user_age_verified", COLUMN_BOOL, AT(user.age_verified), 0},
    {"user_suspended", COLUMN_BOOL, AT(user.suspended), 0},
    {"user_blocked", COLUMN_BOOL, AT(user.blocked), 0},
    {"user_source", COLUMN_TEXT, AT(user.source), 0},
    {"chat_id", COLUMN_ID, AT(chat.id), AT(chat.found)},
    {"chat_persona_id", COLUMN_ID, AT(chat.persona_id), 0},
    {"chat_turns", COLUMN_ID, AT(chat.turns), 0},
    {"code_chat_id", COLUMN_ID, AT(code_chat.id), AT(code_chat.found)},
    {"code_chat_persona_id", COLUMN_ID, AT(code_chat.persona_id), 0},
    {"code_chat_turns", COLUMN_ID, AT(code_chat.turns), 0},
    {"fallback_chat_id", COLUMN_ID, AT(fallback_chat.id), AT(fallback_chat.found)},
    {"fallback_chat_persona_id", COLUMN_ID, AT(fallback_chat.persona_id), 0},
    {"fallback_chat_turns", COLUMN_ID, AT(fallback_chat.turns), 0},
    {"conversation", COLUMN_TEXT, AT(conversation), AT(conversation_known)},
};

static const struct column *find_column(const char *name)
{
	for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
		if (strcmp(columns[i].name, name) == 0)
			return &columns[i];
	}
	return NULL;
}

static bool store_bool(struct span v, bool *out)
{
	*out = span_is(v, "t");
	return *out || span_is(v, "f");
}

static bool store_value(const struct column *c, struct span v, struct arena *a, struct facts *f)
{
	char *base = (char *)f;

	switch (c->type) {
	case COLUMN_ID:
		if (!span_i64(v, (int64_t *)(base + c->offset)))
			return false;
		break;
	case COLUMN_BOOL:
		if (!store_bool(v, (bool *)(base + c->offset)))
			return false;
		break;
	case COLUMN_TEXT: *(const char **)(base + c->offset) = arena_span(a, v).ptr; break;
	}
	if (c->flag)
		*(bool *)(base + c->flag) = true;
	return true;
}

static struct span value_at(const PGresult *res, int row, int column)
{
	return (struct span){PQgetvalue(res, row, column), (size_t)PQgetlength(res, row, column)};
}

/* Rows in which nothing was said are there for their other columns. */
static bool read_history(const PGresult *res, int out, int text, struct arena *a, struct fact_history *h)
{
	int rows = PQntuples(res);
	struct fact_line *lines = arena_array(a, struct fact_line, (size_t)rows);

	*h = (struct fact_history){.lines = lines};
	for (int i = 0; i < rows; i++) {
		if (PQgetisnull(res, i, text))
			continue;
		if (!store_bool(value_at(res, i, out), &lines[h->n].out))
			return false;
		lines[h->n++].text = arena_span(a, value_at(res, i, text)).ptr;
	}
	return true;
}

enum err rows_to_facts(const PGresult *res, struct arena *a, struct facts *f, const char **why)
{
	int out = PQfnumber(res, "history_out"), text = PQfnumber(res, "history_text");

	if ((out < 0) != (text < 0)) {
		*why = "history_out and history_text come together";
		return ERR_INTERNAL;
	}
	for (int i = 0; i < PQnfields(res); i++) {
		const struct column *c = find_column(PQfname(res, i));

		if (!c && i != out && i != text) {
			*why = arena_printf(a, "no fact for the column %s", PQfname(res, i));
			return ERR_INTERNAL;
		}
		if (!c || PQntuples(res) == 0 || PQgetisnull(res, 0, i))
			continue;
		if (!store_value(c, value_at(res, 0, i), a, f)) {
			*why = arena_printf(a, "the column %s holds \"%.40s\"", c->name, PQgetvalue(res, 0, i));
			return ERR_INTERNAL;
		}
	}
	if (text < 0 && PQntuples(res) > 1) {
		*why = "several rows where one was expected";
		return ERR_INTERNAL;
	}
	if (text >= 0 && !read_history(res, out, text, a, &f->history)) {
		*why = "history_out is no boolean";
		return ERR_INTERNAL;
	}
	return ERR_OK;
}
