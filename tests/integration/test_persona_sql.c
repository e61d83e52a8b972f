/* links: base model io store */
/* The persona bot's statements against a real PostgreSQL: what each commit does, and that it does nothing twice,
 * nothing on another state than it was decided on, and nothing over a code's limit. */
#include "facts_fields.h"
#include "sqlcheck.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>

#define ANN "42", "Ann", "ann", "en", "persona"
#define BOB "43", "Bob", NONE, NONE, "persona"

/* --- as the pool sends those that wait at the same time (pg_stmt.many) */

enum { ROW = 13 };
typedef const char *row[ROW]; /* parameters, NULL: SQL NULL */

static void add_element(char **at, const char *v)
{
	if (!v) {
		*at += sprintf(*at, "NULL");
		return;
	}
	*(*at)++ = '"';
	for (; *v; v++) {
		if (*v == '"' || *v == '\\')
			*(*at)++ = '\\';
		*(*at)++ = *v;
	}
	*(*at)++ = '"';
}

static PGresult *run_many(PGconn *c, const char *name, const row *rows, int n)
{
	static __thread char text[ROW][4096];
	const struct pg_stmt *s = sql_get(name);
	const char *v[ROW];

	CHECK(s->many && s->nparams <= ROW);
	for (int p = 0; p < s->nparams; p++) {
		char *at = text[p];

		*at++ = '{';
		for (int i = 0; i < n; i++) {
			if (i)
				*at++ = ',';
			add_element(&at, rows[i][p]);
		}
		*at++ = '}';
		*at = 0;
		v[p] = text[p];
	}
	return PQexecParams(c, s->sql, s->nparams, NULL, v, NULL, NULL, 0);
}

/* Who is alone goes as a statement for one, or as a set of one: whatever is checked of one of them is checked of both.
 */
static bool in_sets;

static PGresult *run_alone(const char *name, const char *const *v, int n)
{
	struct pg_params p = {.n = n};
	row one;

	for (int i = 0; i < n; i++) {
		p.v[i] = v[i] ? span_of(v[i]) : (struct span){0};
		one[i] = v[i];
	}
	return in_sets && sql_get(name)->many ? run_many(db, name, (const row *)&one, 1) : sql_run(db, name, &p);
}

#undef COMMIT
#define COMMIT(name, key, ...)                                                                                         \
	({                                                                                                             \
		static char out_[512];                                                                                 \
		const char *v_[] = {key, "[]", __VA_ARGS__};                                                           \
		verdict(run_alone(name, v_, (int)(sizeof(v_) / sizeof(v_[0]))), out_, sizeof(out_));                   \
	})

static void clean(void)
{
	must("TRUNCATE users, guards, conversations, personas, start_codes RESTART IDENTITY CASCADE");
	must(
	    "INSERT INTO personas (key, name, replies) VALUES ('default', 'Luna', '{one,two}'), ('rex', 'Rex', '{r}')");
	must("INSERT INTO start_codes (code, persona_id, max_uses) VALUES ('open', 1, NULL), ('two', 2, 2)");
}

static void verified(const char *telegram_id)
{
	char sql[200];

	snprintf(sql, sizeof(sql), "INSERT INTO users (telegram_id, age_verified_at) VALUES (%s, now())", telegram_id);
	must(sql);
}

/* As the worker reads them. Takes r. */
static void read_facts(PGresult *r, struct arena *a, struct facts *f)
{
	struct pg_rows rows = pg_rows_all(r);
	const char *why = "";

	memset(f, 0, sizeof(*f));
	if (PQresultStatus(r) != PGRES_TUPLES_OK)
		printf("# %s", PQerrorMessage(db));
	CHECK_INT(rows_to_facts(&rows, a, f, &why), ERR_OK);
	PQclear(r);
}

static void load(const char *name, const char *id, const char *code_persona, const char *fallback, struct arena *a,
                 struct facts *f)
{
	read_facts(run_alone(name, (const char *[]){id, "persona", code_persona, fallback}, 4), a, f);
}

static void age_question_makes_the_person_and_their_source(void)
{
	clean();
	CHECK_STR(COMMIT("persona_ask", "k1", ANN, "open", "1"), "ok");
	CHECK_STR(get("SELECT concat_ws(' ', telegram_id, first_name, username, language_code, acquisition_source, "
	              "age_verified_at IS NULL, last_seen_at IS NOT NULL) FROM users"),
	          "42 Ann ann en open t t");
	CHECK_STR(get("SELECT concat_ws(' ', code_id, user_id) FROM start_code_uses"), "1 1");
	CHECK_STR(get("SELECT concat_ws(' ', key, effects) FROM guards"), "k1 []");
	CHECK_STR(COMMIT("persona_ask", "k2", "42", "Anna", NONE, "de", "persona", NONE, NONE), "ok");
	CHECK_STR(get("SELECT concat_ws(' ', first_name, username, language_code, acquisition_source) FROM users"),
	          "Anna de open");
	CHECK_STR(get("SELECT count(*) FROM users"), "1");
}

static void same_update_never_commits_twice(void)
{
	clean();
	verified("42");
	CHECK_STR(COMMIT("persona_open", "k", ANN, NONE, NONE, "f", "1", NONE), "ok");
	CHECK_STR(COMMIT("persona_say", "k2", ANN, "1", "1", "0", "f", "hi", "one"), "ok");
	CHECK_STR(COMMIT("persona_say", "k2", ANN, "1", "1", "1", "f", "hi", "two"), "23505 guards_pkey");
	CHECK_STR(COMMIT("persona_open", "k", ANN, NONE, NONE, "f", "1", "1"), "23505 guards_pkey");
	CHECK_STR(COMMIT("persona_ask", "k", BOB, NONE, NONE), "23505 guards_pkey");
	CHECK_STR(COMMIT("persona_stop", "k", ANN, "1"), "23505 guards_pkey");
	CHECK_STR(COMMIT("person_touch", "k", ANN), "23505 guards_pkey");
	CHECK_STR(COMMIT("person_block", "k", "42", "persona", "t"), "23505 guards_pkey");
	CHECK_STR(COMMIT("group_told", "k", "persona", "-5"), "23505 guards_pkey");
	CHECK_STR(
	    get("SELECT concat_ws(' ', (SELECT count(*) FROM messages), (SELECT turns FROM chats), (SELECT count(*) "
	        "FROM users), (SELECT count(*) FROM bot_users), (SELECT count(*) FROM conversations))"),
	    "2 1 1 0 0");
	CHECK_STR(get("SELECT effects FROM guards WHERE key = 'k2'"), "[]");
	CHECK_STR(COMMIT("guard_alone", "k"), "23505 guards_pkey");
	/* also where nobody could do any of it any more */
	CHECK_STR(COMMIT("group_told", "k3", "persona", "-5"), "ok");
	must("UPDATE users SET suspended_at = now()");
	CHECK_STR(COMMIT("persona_say", "k", ANN, "1", "1", "9", "f", "hi", "two"), "23505 guards_pkey");
	CHECK_STR(COMMIT("persona_open", "k", ANN, NONE, NONE, "f", "1", "9"), "23505 guards_pkey");
	CHECK_STR(COMMIT("persona_open", "k", ANN, NONE, NONE, "t", "1", NONE), "23505 guards_pkey");
	CHECK_STR(COMMIT("persona_ask", "k", ANN, NONE, NONE), "23505 guards_pkey");
	CHECK_STR(COMMIT("persona_stop", "k", "99", "X", NONE, NONE, "persona", "1"), "23505 guards_pkey");
	CHECK_STR(COMMIT("person_touch", "k", "99", "X", NONE, NONE, "persona"), "23505 guards_pkey");
	CHECK_STR(COMMIT("person_block", "k", "99", "persona", "t"), "23505 guards_pkey");
	CHECK_STR(COMMIT("group_told", "k", "persona", "-5"), "23505 guards_pkey");
}

static void first_code_is_the_source_for_good(void)
{
	clean();
	CHECK_STR(COMMIT("persona_ask", "k1", ANN, "open", "1"), "ok");
	/* decided when the person had no source yet: undone whole */
	CHECK_STR(COMMIT("persona_ask", "k2", ANN, "two", "2"), "SH001 changed");
	CHECK_STR(get("SELECT concat_ws(' ', count(*), min(key)) FROM guards"), "1 k1");
	CHECK_STR(get("SELECT acquisition_source FROM users"), "open");
	CHECK_STR(get("SELECT count(*) FROM start_code_uses WHERE code_id = 2"), "0");
	CHECK_STR(COMMIT("persona_open", "k3", ANN, NONE, NONE, "t", "2", NONE), "ok");
	CHECK_STR(COMMIT("persona_open", "k4", ANN, "two", "2", "f", "2", "1"), "SH001 changed");
	CHECK_STR(get("SELECT acquisition_source FROM users"), "open");
}

static void verified_person_without_source_gets_one_when_opening(void)
{
	clean();
	verified("42");
	CHECK_STR(COMMIT("persona_open", "k1", ANN, "two", "2", "f", "2", NONE), "ok");
	CHECK_STR(get("SELECT acquisition_source FROM users"), "two");
	CHECK_STR(get("SELECT concat_ws(' ', code_id, user_id) FROM start_code_uses"), "2 1");
	CHECK_STR(get("SELECT concat_ws(' ', persona_id, opened_at IS NOT NULL, turns) FROM chats"), "2 t 0");
}

static void limit_holds_and_leaves_nothing_behind(void)
{
	clean();
	CHECK_STR(COMMIT("persona_ask", "k1", ANN, "two", "2"), "ok");
	CHECK_STR(COMMIT("persona_ask", "k2", BOB, "two", "2"), "ok");
	CHECK_STR(COMMIT("persona_ask", "k3", "44", "Cat", NONE, NONE, "persona", "two", "2"), "SH001 used_up");
	CHECK_STR(get("SELECT count(*) FROM users"), "2");
	CHECK_STR(get("SELECT count(*) FROM guards"), "2");
	CHECK_STR(COMMIT("persona_ask", "k3", "44", "Cat", NONE, NONE, "persona", "gone", "99"), "SH001 code_gone");
	CHECK_STR(get("SELECT count(*) FROM users"), "2");
}

struct racer {
	PGconn *conn;
	char id[16], key[16], result[128];
};

static void *race(void *arg)
{
	struct racer *r = arg;
	const char *v[] = {r->key, "[]", r->id, "R", NULL, NULL, "persona", "few", "3"};

	run_on(r->conn, r->result, sizeof(r->result), "persona_ask", v, 9);
	return NULL;
}

static void limit_holds_with_twenty_at_once(void)
{
	enum { RACERS = 20 };
	static struct racer racers[RACERS];
	pthread_t threads[RACERS];
	int won = 0, lost = 0;

	clean();
	must("INSERT INTO start_codes (code, persona_id, max_uses) VALUES ('few', 1, 7)");
	for (int i = 0; i < RACERS; i++) {
		racers[i].conn = pgserver_connect(&server);
		snprintf(racers[i].id, sizeof(racers[i].id), "%d", 1000 + i);
		snprintf(racers[i].key, sizeof(racers[i].key), "r%d", i);
	}
	for (int i = 0; i < RACERS; i++)
		CHECK(pthread_create(&threads[i], NULL, race, &racers[i]) == 0);
	for (int i = 0; i < RACERS; i++) {
		pthread_join(threads[i], NULL);
		won += strcmp(racers[i].result, "ok") == 0;
		lost += strcmp(racers[i].result, "SH001 used_up") == 0;
		PQfinish(racers[i].conn);
	}
	CHECK_INT(won, 7);
	CHECK_INT(lost, RACERS - 7);
	CHECK_STR(get("SELECT count(*) FROM start_code_uses WHERE code_id = 3"), "7");
	CHECK_STR(get("SELECT count(*) FROM users WHERE acquisition_source = 'few'"), "7");
	CHECK_STR(get("SELECT count(*) FROM guards"), "7");
}

static void yes_confirms_the_age_and_opens_the_chat(void)
{
	clean();
	CHECK_STR(COMMIT("persona_ask", "k1", ANN, NONE, NONE), "ok");
	CHECK_STR(COMMIT("persona_open", "k2", ANN, NONE, NONE, "t", "2", NONE), "ok");
	CHECK_STR(get("SELECT age_verified_at IS NOT NULL FROM users"), "t");
	CHECK_STR(get("SELECT concat_ws(' ', user_id, persona_id, opened_at IS NOT NULL) FROM chats"), "1 2 t");
	/* decided before the first yes was known */
	CHECK_STR(COMMIT("persona_open", "k3", ANN, NONE, NONE, "t", "2", NONE), "SH001 changed");
	/* whose row was erased meanwhile: a new person */
	CHECK_STR(COMMIT("persona_open", "k4", BOB, NONE, NONE, "t", NONE, NONE), "ok");
	CHECK_STR(get("SELECT age_verified_at IS NOT NULL FROM users WHERE telegram_id = 43"), "t");
	CHECK_STR(get("SELECT count(*) FROM chats"), "1");
}

static void opening_needs_the_chat_as_it_was(void)
{
	clean();
	verified("42");
	CHECK_STR(COMMIT("persona_open", "k1", ANN, NONE, NONE, "f", "1", "77"), "SH001 changed");
	CHECK_STR(COMMIT("persona_open", "k1", ANN, NONE, NONE, "f", "99", NONE), "SH001 changed");
	CHECK_STR(COMMIT("persona_open", "k1", ANN, NONE, NONE, "f", "1", NONE), "ok");
	CHECK_STR(COMMIT("persona_open", "k2", ANN, NONE, NONE, "f", "1", NONE), "SH001 changed");
	must("UPDATE chats SET opened_at = now() - interval '1 day'");
	CHECK_STR(COMMIT("persona_open", "k3", ANN, NONE, NONE, "f", "1", "1"), "ok");
	CHECK_STR(get("SELECT opened_at > now() - interval '1 minute' FROM chats"), "t");
	CHECK_STR(get("SELECT count(*) FROM guards"), "2");
}

static void talk_is_stored_counted_and_answered_in_turn(void)
{
	clean();
	verified("42");
	CHECK_STR(COMMIT("persona_say", "k1", ANN, "1", NONE, "0", "t", "hello", "one"), "ok");
	CHECK_STR(COMMIT("persona_say", "k2", ANN, "1", "1", "1", "f", "more", "two"), "ok");
	CHECK_STR(get("SELECT string_agg(concat_ws('/', direction, text, update_key), ' ' ORDER BY id) FROM messages"),
	          "in/hello/k1 out/one in/more/k2 out/two");
	CHECK_STR(get("SELECT concat_ws(' ', persona_id, turns, opened_at IS NOT NULL) FROM chats"), "1 2 t");
	CHECK_STR(get("SELECT concat_ws(' ', user_id, day = (now() AT TIME ZONE 'UTC')::date, messages) FROM "
	              "activity_daily"),
	          "1 t 2");
	CHECK_STR(get("SELECT concat_ws(' ', first_name, last_seen_at IS NOT NULL) FROM users"), "Ann t");
	/* another turn, another chat, a chat that was left, a chat that is there already */
	CHECK_STR(COMMIT("persona_say", "k3", ANN, "1", "1", "1", "f", "x", "y"), "SH001 changed");
	CHECK_STR(COMMIT("persona_say", "k3", ANN, "2", "1", "2", "f", "x", "y"), "SH001 changed");
	CHECK_STR(COMMIT("persona_say", "k3", ANN, "1", NONE, "0", "t", "x", "y"), "SH001 changed");
	must("UPDATE chats SET opened_at = NULL");
	CHECK_STR(COMMIT("persona_say", "k3", ANN, "1", "1", "2", "f", "x", "y"), "SH001 changed");
	CHECK_STR(get("SELECT count(*) FROM messages"), "4");
	CHECK_STR(get("SELECT messages FROM activity_daily"), "2");
	CHECK_STR(get("SELECT count(*) FROM guards"), "2");
	CHECK_STR(COMMIT("persona_say", "k3", ANN, "1", "1", "2", "t", "x", "y"), "ok");
	CHECK_STR(get("SELECT opened_at IS NOT NULL FROM chats"), "t");
}

static void suspended_person_changes_nothing(void)
{
	clean();
	verified("42");
	CHECK_STR(COMMIT("persona_open", "k1", ANN, NONE, NONE, "f", "1", NONE), "ok");
	must("UPDATE users SET suspended_at = now(), first_name = 'before'");
	must("INSERT INTO bot_users VALUES ('persona', 1, now())");
	CHECK_STR(COMMIT("persona_say", "k2", ANN, "1", "1", "0", "f", "x", "y"), "SH001 changed");
	CHECK_STR(COMMIT("persona_open", "k2", ANN, NONE, NONE, "f", "1", "1"), "SH001 changed");
	CHECK_STR(COMMIT("persona_stop", "k2", ANN, "1"), "SH001 changed");
	CHECK_STR(COMMIT("person_touch", "k2", ANN), "SH001 changed");
	must("UPDATE users SET age_verified_at = NULL");
	CHECK_STR(COMMIT("persona_ask", "k2", ANN, NONE, NONE), "SH001 changed");
	CHECK_STR(COMMIT("persona_open", "k2", ANN, NONE, NONE, "t", "1", "1"), "SH001 changed");
	CHECK_STR(get("SELECT concat_ws(' ', (SELECT count(*) FROM guards), (SELECT first_name FROM users), (SELECT "
	              "blocked_at IS NOT NULL FROM bot_users), (SELECT count(*) FROM messages))"),
	          "1 before t 0");
}

static void unverified_person_cannot_talk(void)
{
	clean();
	CHECK_STR(COMMIT("persona_ask", "k1", ANN, NONE, NONE), "ok");
	CHECK_STR(COMMIT("persona_say", "k2", ANN, "1", NONE, "0", "t", "x", "y"), "SH001 changed");
	CHECK_STR(COMMIT("persona_open", "k2", ANN, NONE, NONE, "f", "1", NONE), "SH001 changed");
	verified("43");
	CHECK_STR(COMMIT("persona_ask", "k2", BOB, NONE, NONE), "SH001 changed");
	CHECK_STR(get("SELECT count(*) FROM chats"), "0");
}

static void blocks_are_set_and_cleared(void)
{
	static const char blocked[] =
	    "SELECT blocked_at IS NOT NULL FROM bot_users WHERE bot = 'persona' AND user_id = 1";

	clean();
	verified("42");
	CHECK_STR(COMMIT("person_block", "k1", "42", "persona", "t"), "ok");
	CHECK_STR(get(blocked), "t");
	CHECK_STR(COMMIT("person_touch", "k2", ANN), "ok");
	CHECK_STR(get(blocked), "f");
	CHECK_STR(COMMIT("person_touch", "k3", ANN), "SH001 changed");
	CHECK_STR(COMMIT("person_block", "k4", "42", "persona", "t"), "ok");
	CHECK_STR(COMMIT("person_block", "k5", "42", "persona", "f"), "ok");
	CHECK_STR(get(blocked), "f");
	CHECK_STR(COMMIT("person_block", "k6", "999", "persona", "t"), "SH001 changed");
	CHECK_STR(get("SELECT count(*) FROM users"), "1");
	must("UPDATE bot_users SET blocked_at = now()");
	must("INSERT INTO bot_users VALUES ('escrow', 1, now())");
	CHECK_STR(COMMIT("persona_open", "k7", ANN, NONE, NONE, "f", "1", NONE), "ok");
	CHECK_STR(get(blocked), "f");
	must("UPDATE bot_users SET blocked_at = now()");
	CHECK_STR(COMMIT("persona_say", "k8", ANN, "1", "1", "0", "f", "x", "y"), "ok");
	CHECK_STR(get(blocked), "f");
	must("UPDATE bot_users SET blocked_at = now()");
	CHECK_STR(COMMIT("persona_stop", "k9", ANN, "1"), "ok");
	CHECK_STR(get(blocked), "f");
	must("UPDATE bot_users SET blocked_at = now()");
	must("UPDATE users SET age_verified_at = NULL");
	CHECK_STR(COMMIT("persona_ask", "k10", ANN, NONE, NONE), "ok");
	CHECK_STR(get(blocked), "f");
	/* other bots know for themselves */
	CHECK_STR(get("SELECT blocked_at IS NOT NULL FROM bot_users WHERE bot = 'escrow'"), "t");
}

static void stop_leaves_all_chats_and_keeps_the_account(void)
{
	clean();
	verified("42");
	verified("43");
	CHECK_STR(COMMIT("persona_open", "k1", ANN, NONE, NONE, "f", "1", NONE), "ok");
	CHECK_STR(COMMIT("persona_open", "k2", ANN, NONE, NONE, "f", "2", NONE), "ok");
	CHECK_STR(COMMIT("persona_open", "k3", BOB, NONE, NONE, "f", "1", NONE), "ok");
	CHECK_STR(COMMIT("persona_stop", "k4", ANN, "3"), "SH001 changed");
	CHECK_STR(COMMIT("persona_stop", "k4", ANN, "2"), "ok");
	CHECK_STR(get("SELECT string_agg(concat_ws('', id, opened_at IS NULL), ' ' ORDER BY id) FROM chats"),
	          "1t 2t 3f");
	CHECK_STR(get("SELECT age_verified_at IS NOT NULL FROM users WHERE id = 1"), "t");
	CHECK_STR(COMMIT("persona_stop", "k5", ANN, "2"), "SH001 changed");
}

/* --- many at once */

#define MANY(name, ...)                                                                                                \
	({                                                                                                             \
		static char out_[512];                                                                                 \
		const row rows_[] = {__VA_ARGS__};                                                                     \
		verdict(run_many(db, name, rows_, (int)(sizeof(rows_) / sizeof(rows_[0]))), out_, sizeof(out_));       \
	})
#define CAT "44", "Cat", "cat", "de", "persona"
#define DAN "45", "Dan", NONE, NONE, "persona"

static const char *guards(void)
{
	return get("SELECT coalesce(string_agg(key, ' ' ORDER BY key), '') FROM guards");
}

static void many_open_at_once(void)
{
	clean();
	verified("42");
	verified("43");
	verified("44");
	CHECK_STR(COMMIT("persona_open", "k0", BOB, NONE, NONE, "f", "2", NONE), "ok");
	CHECK_STR(MANY("persona_open", {"k1", "[1]", ANN, "open", "1", "f", "1", NONE},
	               {"k2", "[2]", BOB, NONE, NONE, "f", "2", "1"}, {"k3", "[3]", CAT, NONE, NONE, "f", NONE, NONE},
	               {"k4", "[4]", DAN, NONE, NONE, "t", "1", NONE}),
	          "ok");
	CHECK_STR(get("SELECT string_agg(key || effects, ' ' ORDER BY key) FROM guards"),
	          "k0[] k1[1] k2[2] k3[3] k4[4]");
	CHECK_STR(get("SELECT string_agg(concat_ws('/', telegram_id, first_name, language_code, acquisition_source, "
	              "age_verified_at IS NOT NULL, last_seen_at IS NOT NULL), ' ' ORDER BY telegram_id) FROM users"),
	          "42/Ann/en/open/t/t 43/Bob/t/t 44/Cat/de/t/t 45/Dan/t/t");
	CHECK_STR(get("SELECT string_agg(concat_ws('/', u.telegram_id, c.persona_id), ' ' ORDER BY u.telegram_id) FROM "
	              "chats c JOIN users u ON u.id = c.user_id"),
	          "42/1 43/2 45/1");
	CHECK_STR(
	    get("SELECT concat_ws('/', u.telegram_id, code_id) FROM start_code_uses c JOIN users u ON u.id = user_id"),
	    "42/1");
}

/* Whatever is wrong with one of them, nothing remains of any: each then goes by itself. */
static void many_stand_or_fall_together(void)
{
	clean();
	verified("42");
	verified("43");
	CHECK_STR(COMMIT("persona_open", "k1", ANN, NONE, NONE, "f", "1", NONE), "ok");
	CHECK_STR(MANY("persona_open", {"k1", "[]", ANN, NONE, NONE, "f", "1", "1"},
	               {"k2", "[]", BOB, NONE, NONE, "f", "1", NONE}),
	          "23505 guards_pkey");
	CHECK_STR(MANY("persona_open", {"k2", "[]", ANN, NONE, NONE, "f", "1", "1"},
	               {"k2", "[]", BOB, NONE, NONE, "f", "1", NONE}),
	          "23505 guards_pkey");
	CHECK_STR(MANY("persona_open", {"k2", "[]", ANN, NONE, NONE, "f", "1", "1"},
	               {"k3", "[]", BOB, NONE, NONE, "f", "1", "9"}),
	          "SH001 changed");
	CHECK_STR(MANY("persona_open", {"k2", "[]", ANN, NONE, NONE, "f", NONE, "1"},
	               {"k3", "[]", BOB, NONE, NONE, "f", "1", "1"}),
	          "SH001 changed");
	CHECK_STR(MANY("persona_open", {"k2", "[]", ANN, NONE, NONE, "f", "1", "1"},
	               {"k3", "[]", CAT, NONE, NONE, "f", "1", NONE}),
	          "SH001 changed");
	CHECK_STR(MANY("persona_open", {"k2", "[]", BOB, "gone", "9", "f", "1", NONE},
	               {"k3", "[]", ANN, NONE, NONE, "f", "1", "1"}),
	          "SH001 code_gone");
	/* the same person twice */
	CHECK_STR(MANY("persona_open", {"k2", "[]", ANN, NONE, NONE, "f", "1", "1"},
	               {"k3", "[]", ANN, NONE, NONE, "f", "1", "1"}),
	          "SH001 changed");
	CHECK_STR(MANY("persona_open", {"k2", "[]", CAT, NONE, NONE, "t", "1", NONE},
	               {"k3", "[]", CAT, NONE, NONE, "t", "1", NONE}),
	          "21000 ON CONFLICT DO UPDATE command cannot affect row a second time");
	CHECK_STR(MANY("persona_say", {"k2", "[]", ANN, "1", "1", "0", "f", "a", "b"},
	               {"k3", "[]", ANN, "1", "1", "0", "f", "c", "d"}),
	          "SH001 changed");
	CHECK_STR(MANY("persona_say", {"k2", "[]", ANN, "1", "1", "0", "f", "a", "b"},
	               {"k3", "[]", BOB, "1", NONE, "0", "t", "c", "d"},
	               {"k1", "[]", CAT, "1", NONE, "0", "t", "e", "f"}),
	          "23505 guards_pkey");
	CHECK_STR(MANY("persona_ask", {"k2", "[]", CAT, "open", "1"}, {"k3", "[]", ANN, NONE, NONE}), "SH001 changed");
	CHECK_STR(MANY("persona_stop", {"k2", "[]", ANN, "1"}, {"k3", "[]", BOB, "1"}), "SH001 changed");
	CHECK_STR(MANY("person_touch", {"k2", "[]", ANN}, {"k3", "[]", BOB}), "SH001 changed");
	CHECK_STR(MANY("person_block", {"k2", "[]", "42", "persona", "t"}, {"k3", "[]", "999", "persona", "t"}),
	          "SH001 changed");
	CHECK_STR(guards(), "k1");
	CHECK_STR(
	    get("SELECT concat_ws(' ', (SELECT count(*) FROM users), (SELECT count(*) FROM chats WHERE opened_at IS "
	        "NOT "
	        "NULL), (SELECT count(*) FROM messages), (SELECT count(*) FROM activity_daily), (SELECT count(*) FROM "
	        "bot_users), (SELECT count(*) FROM start_code_uses), (SELECT sum(turns) FROM chats))"),
	    "2 1 0 0 0 0 0");
}

static void many_say_and_do_the_rest(void)
{
	clean();
	CHECK_STR(MANY("persona_ask", {"a1", "[]", ANN, "open", "1"}, {"a2", "[]", BOB, NONE, NONE},
	               {"a3", "[]", CAT, "two", "2"}),
	          "ok");
	CHECK_STR(get("SELECT string_agg(concat_ws('/', telegram_id, acquisition_source), ' ' ORDER BY telegram_id) "
	              "FROM users"),
	          "42/open 43 44/two");
	CHECK_STR(get("SELECT string_agg(concat_ws('/', u.telegram_id, code_id), ' ' ORDER BY code_id) FROM "
	              "start_code_uses c "
	              "JOIN users u ON u.id = user_id"),
	          "42/1 44/2");
	must("UPDATE users SET age_verified_at = now()");
	must("INSERT INTO bot_users SELECT 'persona', id, now() FROM users WHERE telegram_id < 44");
	CHECK_STR(COMMIT("persona_open", "o1", BOB, NONE, NONE, "f", "2", NONE), "ok");
	CHECK_STR(MANY("persona_say", {"s1", "[]", ANN, "1", NONE, "0", "t", "hi\"", "one\\"},
	               {"s2", "[]", BOB, "2", "1", "0", "f", "{ho}", "r"},
	               {"s3", "[]", CAT, "1", NONE, "0", "t", "", "NULL"}),
	          "ok");
	CHECK_STR(get("SELECT string_agg(concat_ws('/', u.telegram_id, c.persona_id, direction, text, update_key), ' ' "
	              "ORDER BY "
	              "m.id) FROM messages m JOIN chats c ON c.id = chat_id JOIN users u ON u.id = user_id"),
	          "42/1/in/hi\"/s1 42/1/out/one\\ 43/2/in/{ho}/s2 43/2/out/r 44/1/in//s3 44/1/out/NULL");
	CHECK_STR(get("SELECT string_agg(concat_ws('/', persona_id, turns, opened_at IS NOT NULL), ' ' ORDER BY "
	              "user_id) FROM "
	              "chats"),
	          "1/1/t 2/1/t 1/1/t");
	CHECK_STR(get("SELECT count(*) FROM activity_daily WHERE messages = 1"), "3");
	CHECK_STR(get("SELECT count(*) FROM bot_users WHERE blocked_at IS NULL"), "2");
	CHECK_STR(MANY("person_block", {"b1", "[]", "42", "persona", "t"}, {"b2", "[]", "44", "persona", "t"},
	               {"b3", "[]", "43", "persona", "f"}),
	          "ok");
	CHECK_STR(get("SELECT count(*) FROM bot_users WHERE blocked_at IS NOT NULL"), "2");
	CHECK_STR(MANY("person_touch", {"t1", "[]", ANN}, {"t2", "[]", CAT}), "ok");
	CHECK_STR(get("SELECT count(*) FROM bot_users WHERE blocked_at IS NOT NULL"), "0");
	CHECK_STR(MANY("persona_stop", {"p1", "[]", BOB, "1"}, {"p2", "[]", CAT, "3"}), "ok");
	CHECK_STR(get("SELECT string_agg(u.telegram_id::text, ' ') FROM chats c JOIN users u ON u.id = user_id WHERE "
	              "opened_at "
	              "IS NOT NULL"),
	          "42");
	CHECK_STR(guards(), "a1 a2 a3 b1 b2 b3 o1 p1 p2 s1 s2 s3 t1 t2");
}

static void many_are_loaded_at_once(void)
{
	const row rows[] = {{"44", "persona", NONE, "1"}, {"43", "persona", "2", NONE}, {"42", "persona", "2", "1"}};
	PGresult *r;

	clean();
	verified("42");
	verified("44");
	CHECK_STR(COMMIT("persona_open", "k1", ANN, NONE, NONE, "f", "2", NONE), "ok");
	r = run_many(db, "persona_load", rows, 3);
	CHECK_INT(PQntuples(r), 2); /* nobody knows 43 */
	for (int i = 0; i < PQntuples(r); i++) {
		bool third = strcmp(PQgetvalue(r, i, 0), "3") == 0;

		CHECK_STR(PQgetvalue(r, i, PQfnumber(r, "n")), third ? "3" : "1");
		CHECK_STR(PQgetvalue(r, i, PQfnumber(r, "user_id")), third ? "1" : "2");
		CHECK_STR(PQgetvalue(r, i, PQfnumber(r, "code_chat_id")), third ? "1" : "");
	}
	PQclear(r);
}

static void many_come_back_and_others_are_told_of(void)
{
	const row rows[] = {{"r1", "[]", BOB, "2", "2", "1"},
	                    {"r2", "[]", ANN, "1", NONE, "1"},
	                    {"r3", "[]", "45", "D", NONE, NONE, "persona", "1", NONE, "1"},
	                    {"r4", "[]", CAT, "2", "2", "1"}};
	PGresult *r;

	clean();
	verified("42");
	verified("43");
	verified("44");
	must("UPDATE users SET acquisition_source = 'open'");
	must("INSERT INTO chats (user_id, persona_id, opened_at) VALUES (1, 1, NULL), (2, 1, NULL), (3, 2, NULL)");
	r = run_many(db, "persona_return", rows, 4);
	CHECK_INT(PQntuples(r), 3); /* nobody knows 45 */
	for (int i = 0; i < PQntuples(r); i++) {
		bool first = strcmp(PQgetvalue(r, i, PQfnumber(r, "n")), "1") == 0;

		CHECK_STR(PQgetvalue(r, i, PQfnumber(r, "presumed")), first ? "f" : "t");
		CHECK_STR(PQgetvalue(r, i, PQfnumber(r, "user_id")), first ? "2" : "");
		CHECK_STR(PQgetvalue(r, i, PQfnumber(r, "fallback_chat_id")), first ? "2" : "");
	}
	PQclear(r);
	CHECK_STR(guards(), "r2 r4");
	CHECK_STR(get("SELECT string_agg(id::text, ' ' ORDER BY id) FROM chats WHERE opened_at IS NOT NULL"), "1 3");
	CHECK_STR(get("SELECT string_agg(first_name, ' ' ORDER BY id) FROM users WHERE last_seen_at IS NOT NULL"),
	          "Ann Cat");
}

/* One that runs beside another transaction. */
struct waiter {
	pthread_t thread;
	PGconn *conn;
	const char *statement;
	const row *rows;
	int n;
	char result[128];
};

static void *run_waiter(void *arg)
{
	struct waiter *w = arg;

	verdict(run_many(w->conn, w->statement, w->rows, w->n), w->result, sizeof(w->result));
	return NULL;
}

/* Returns when it stands at a lock, the nth that does. */
static void start_waiting(struct waiter *w, const char *statement, const row *rows, int n, const char *nth)
{
	*w = (struct waiter){.conn = pgserver_connect(&server), .statement = statement, .rows = rows, .n = n};
	CHECK(pthread_create(&w->thread, NULL, run_waiter, w) == 0);
	for (int i = 0; i < 1000; i++) {
		if (strcmp(get("SELECT count(*) FROM pg_locks WHERE NOT granted"), nth) == 0)
			return;
		usleep(10000);
	}
	CHECK(!"it waits");
}

static const char *ended(struct waiter *w)
{
	pthread_join(w->thread, NULL);
	PQfinish(w->conn);
	return w->result;
}

static void two_people_are_back(void)
{
	clean();
	verified("42");
	verified("43");
	must("UPDATE users SET acquisition_source = 'open'");
	must("INSERT INTO chats (user_id, persona_id) VALUES (1, 1), (2, 1)");
}

static const row two_back[] = {{"k1", "[]", ANN, "1", NONE, "1"}, {"k2", "[]", BOB, "1", NONE, "1"}};

/* What happens to one of them while the set waits for that very row: nothing is written of anybody. */
static void who_changes_meanwhile_is_not_let_in(void)
{
	static const char *const changes[] = {
	    "UPDATE users SET suspended_at = now() WHERE id = 2",
	    "UPDATE users SET age_verified_at = NULL WHERE id = 2",
	    "UPDATE users SET acquisition_source = NULL WHERE id = 2",
	    "DELETE FROM users WHERE id = 2",
	    "WITH u AS (SELECT FROM users WHERE id = 2 FOR UPDATE) DELETE FROM chats USING u WHERE user_id = 2",
	};

	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		struct waiter w;

		two_people_are_back();
		must("BEGIN");
		must(changes[i]);
		start_waiting(&w, "persona_return", two_back, 2, "1");
		must("COMMIT");
		CHECK_STR(ended(&w), "SH001 changed");
		CHECK_STR(get("SELECT count(*) FROM guards"), "0");
		CHECK_STR(get("SELECT count(*) FROM chats WHERE opened_at IS NOT NULL"), "0");
		CHECK_STR(get("SELECT count(*) FROM users WHERE last_seen_at IS NOT NULL"), "0");
	}
	two_people_are_back();
	struct waiter w;
	must("BEGIN");
	must("UPDATE users SET first_name = 'else' WHERE id = 2");
	start_waiting(&w, "persona_return", two_back, 2, "1");
	must("COMMIT");
	CHECK_STR(ended(&w), "ok");
	CHECK_STR(get("SELECT string_agg(first_name, ' ' ORDER BY id) FROM users"), "Ann Bob");
	CHECK_STR(guards(), "k1 k2");
}

/* A run that stood still and the one that was given its update in its place: whoever comes later finds the guard. */
static void two_runs_of_an_update_do_not_wait_for_each_other_in_a_ring(void)
{
	const row again[] = {{"k1", "[]", ANN, NONE, NONE, "f", "1", "1"}};
	struct waiter first, second;

	two_people_are_back();
	must("BEGIN");
	must("SELECT FROM users WHERE id = 2 FOR UPDATE");
	start_waiting(&first, "persona_return", two_back, 2, "1");
	start_waiting(&second, "persona_open", again, 1, "2");
	must("COMMIT");
	CHECK_STR(ended(&first), "ok");
	CHECK_STR(ended(&second), "23505 guards_pkey");
	CHECK_STR(guards(), "k1 k2");
}

/* What workers that have the same people in hand do: each set in rising order, of several statements. */
static void *crowd(void *arg)
{
	enum { PEOPLE = 30, ROUNDS = 15 };
	static const char *const statements[] = {"persona_open", "person_block", "persona_return"};
	struct racer *r = arg;
	char key[PEOPLE][40], id[PEOPLE][20];
	row rows[PEOPLE];

	for (int i = 0; i < ROUNDS && (i == 0 || strcmp(r->result, "ok") == 0); i++) {
		for (int k = 0; k < PEOPLE; k++) {
			const row open = {key[k], "[]", id[k], "C", NONE, NONE, "persona", NONE, NONE, "f", NONE, NONE};
			const row block = {key[k], "[]", id[k], "persona", "t"};
			const row back = {key[k], "[]", id[k], "C", NONE, NONE, "persona", "1", NONE, "1"};

			snprintf(key[k], sizeof(key[k]), "%s.%d.%d", r->key, i, k);
			snprintf(id[k], sizeof(id[k]), "%d", 2000 + 7 * k);
			memcpy(rows[k], i % 3 == 2 ? back : i % 3 == 1 ? block : open, sizeof(row));
		}
		verdict(run_many(r->conn, statements[i % 3], rows, PEOPLE), r->result, sizeof(r->result));
	}
	return NULL;
}

static void sets_of_the_same_people_do_not_wait_for_each_other_in_a_ring(void)
{
	enum { RACERS = 6 };
	static struct racer racers[RACERS];
	pthread_t threads[RACERS];

	clean();
	must("INSERT INTO users (telegram_id, age_verified_at, acquisition_source) SELECT i, now(), 'open' FROM "
	     "generate_series(1500, 3500) i ORDER BY random()");
	must("INSERT INTO chats (user_id, persona_id) SELECT id, 1 FROM users ORDER BY random()");
	must("ANALYZE users, chats");
	for (int i = 0; i < RACERS; i++) {
		racers[i].conn = pgserver_connect(&server);
		PQclear(PQexec(racers[i].conn, "SET plan_cache_mode = force_generic_plan"));
		snprintf(racers[i].key, sizeof(racers[i].key), "c%d", i);
		CHECK(pthread_create(&threads[i], NULL, crowd, &racers[i]) == 0);
	}
	for (int i = 0; i < RACERS; i++) {
		pthread_join(threads[i], NULL);
		CHECK_STR(racers[i].result, "ok");
		PQfinish(racers[i].conn);
	}
	CHECK_STR(get("SELECT count(*) FROM guards"), "2700"); /* of six times fifteen sets of thirty */
}

static void group_is_told_once(void)
{
	const char *v[] = {"persona", "-5"};
	struct pg_params p = {.n = 2, .v = {span_of(v[0]), span_of(v[1])}};
	struct facts f = {0};
	struct arena a;
	const char *why;
	PGresult *r;
	struct pg_rows rows;

	clean();
	arena_init(&a);
	r = sql_run(db, "group_load", &p);
	rows = pg_rows_all(r);
	CHECK_INT(rows_to_facts(&rows, &a, &f, &why), ERR_OK);
	CHECK(!f.conversation_known);
	PQclear(r);
	CHECK_STR(COMMIT("group_told", "k1", "persona", "-5"), "ok");
	CHECK_STR(COMMIT("group_told", "k2", "persona", "-5"), "SH001 told_before");
	CHECK_STR(COMMIT("group_told", "k2", "escrow", "-5"), "ok");
	r = sql_run(db, "group_load", &p);
	rows = pg_rows_all(r);
	CHECK_INT(rows_to_facts(&rows, &a, &f, &why), ERR_OK);
	CHECK(f.conversation_known);
	CHECK_STR(f.conversation, "{\"told_private_only\": true}");
	PQclear(r);
	arena_release(&a);
}

static void load_tells_what_there_is(void)
{
	struct arena a;
	struct facts f;

	clean();
	arena_init(&a);
	load("persona_load", "42", "2", "1", &a, &f);
	CHECK(!f.user.known && !f.chat.found);
	CHECK_STR(COMMIT("persona_ask", "k1", "42", "x", NONE, NONE, "persona", "open", "1"), "ok");
	load("persona_load", "42", NULL, NULL, &a, &f);
	CHECK(f.user.known && !f.user.age_verified && !f.user.suspended && !f.user.blocked && !f.chat.found);
	CHECK_STR(f.user.source, "open");
	CHECK_STR(COMMIT("persona_open", "k2", ANN, NONE, NONE, "t", "2", NONE), "ok");
	CHECK_STR(COMMIT("persona_say", "k3", ANN, "2", "1", "0", "f", "a", "b"), "ok");
	CHECK_STR(COMMIT("persona_open", "k4", ANN, NONE, NONE, "f", "1", NONE), "ok");
	must("UPDATE users SET suspended_at = now()");
	must("INSERT INTO bot_users VALUES ('persona', 1, now())");
	load("persona_load", "42", "2", "1", &a, &f);
	CHECK(f.user.age_verified && f.user.suspended && f.user.blocked);
	CHECK_INT(f.user.id, 1);
	CHECK(f.chat.found && f.chat.id == 2 && f.chat.persona_id == 1 && f.chat.turns == 0);
	CHECK(f.code_chat.found && f.code_chat.id == 1 && f.code_chat.persona_id == 2 && f.code_chat.turns == 1);
	CHECK(f.fallback_chat.found && f.fallback_chat.id == 2);
	CHECK_INT(f.history.n, 0);
	must("UPDATE chats SET opened_at = NULL WHERE id = 2");
	load("persona_load", "42", NULL, "1", &a, &f);
	CHECK(f.chat.found && f.chat.id == 1 && !f.code_chat.found && f.fallback_chat.found);
	/* whatever somebody wrote there, and to the microsecond */
	must("UPDATE chats SET opened_at = CASE id WHEN 1 THEN 'infinity' ELSE now() END");
	load("persona_load", "42", NULL, NULL, &a, &f);
	CHECK_INT(f.chat.id, 1);
	must("UPDATE chats SET opened_at = CASE id WHEN 1 THEN '-infinity' ELSE now() END");
	load("persona_load", "42", NULL, NULL, &a, &f);
	CHECK_INT(f.chat.id, 2);
	must("UPDATE chats SET opened_at = timestamptz '2026-11-21 10:00' + (3 - id) * interval '1 microsecond'");
	load("persona_load", "42", NULL, NULL, &a, &f);
	CHECK_INT(f.chat.id, 1);
	must("UPDATE bot_users SET bot = 'escrow'");
	load("persona_load", "42", NULL, NULL, &a, &f);
	CHECK(!f.user.blocked);
	arena_release(&a);
}

static void come_back(const char *key, const char *persona, const char *code_persona, struct arena *a, struct facts *f)
{
	const char *v[] = {key, "[]", ANN, persona, code_persona, "1"};

	read_facts(run_alone("persona_return", v, (int)(sizeof(v) / sizeof(v[0]))), a, f);
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_field(const struct field *d, const struct facts *a, const struct facts *b)
{
	const char *x = (const char *)a + d->offset, *y = (const char *)b + d->offset;

	switch (d->type) {
	case FLAG: return *(const bool *)x == *(const bool *)y;
	case NUMBER: return *(const int64_t *)x == *(const int64_t *)y;
	case TEXT: return same_text(*(const char *const *)x, *(const char *const *)y);
	}
	return false;
}

static bool same_facts(const struct facts *a, const struct facts *b)
{
	bool same = true;

	for (size_t i = 0; i < sizeof(facts_fields) / sizeof(facts_fields[0]); i++) {
		if (same_field(&facts_fields[i], a, b))
			continue;
		printf("# %s\n", facts_fields[i].name);
		same = false;
	}
	return same;
}

/* Nothing is written of a person who is not as presumed, and what is told of them is what persona_load tells. */
static void check_stays_away(struct arena *a)
{
	struct facts f, loaded;
	char before[256];
	const char *all =
	    "SELECT concat_ws(' ', (SELECT string_agg(u.xmin || '.' || u.xmax || '.' || u.ctid, ',') FROM users u), "
	    "(SELECT string_agg(c.xmin || '.' || c.ctid, ',') FROM chats c), (SELECT count(*) FROM guards))";

	snprintf(before, sizeof(before), "%s", get(all));
	load("persona_load", "42", "2", "1", a, &loaded);
	come_back("away", "2", "2", a, &f);
	CHECK_STR(get(all), before);
	CHECK(!f.presumed);
	CHECK(same_facts(&f, &loaded));
}

static void who_comes_back_is_let_in_at_once(void)
{
	struct arena a;
	struct facts f;

	clean();
	arena_init(&a);
	check_stays_away(&a); /* nobody knows her */
	CHECK_STR(COMMIT("persona_ask", "k1", "42", "x", NONE, NONE, "persona", "open", "1"), "ok");
	check_stays_away(&a); /* not of age yet */
	CHECK_STR(COMMIT("persona_open", "k2", ANN, NONE, NONE, "t", "1", NONE), "ok");
	check_stays_away(&a); /* never there */
	CHECK_STR(COMMIT("persona_open", "k3", ANN, NONE, NONE, "f", "2", NONE), "ok");
	must("UPDATE users SET acquisition_source = NULL");
	check_stays_away(&a);
	must("UPDATE users SET acquisition_source = 'open', suspended_at = now()");
	check_stays_away(&a);
	must("UPDATE users SET suspended_at = NULL, age_verified_at = NULL");
	check_stays_away(&a);

	must(
	    "UPDATE users SET age_verified_at = now(), last_seen_at = now() - interval '1 day', first_name = 'before'");
	must("UPDATE chats SET opened_at = now() - interval '1 day'");
	must("INSERT INTO bot_users VALUES ('persona', 1, now()), ('escrow', 1, now())");
	come_back("k4", "2", "2", &a, &f);
	CHECK(f.presumed && !f.user.known && !f.chat.found);
	CHECK_STR(get("SELECT concat_ws(' ', first_name, username, language_code, acquisition_source, last_seen_at > "
	              "now() - interval '1 minute') FROM users"),
	          "Ann ann en open t");
	CHECK_STR(get("SELECT string_agg(concat_ws('/', persona_id, turns, opened_at > now() - interval '1 minute'), "
	              "' ' ORDER BY id) FROM chats"),
	          "1/0/f 2/0/t");
	CHECK_STR(get("SELECT string_agg(bot, ' ') FROM bot_users WHERE blocked_at IS NOT NULL"), "escrow");
	CHECK_STR(get("SELECT string_agg(key, ' ' ORDER BY key) FROM guards"), "k1 k2 k3 k4");
	CHECK_STR(COMMIT("persona_return", "k4", ANN, "2", "2", "1"), "23505 guards_pkey");
	arena_release(&a);
}

static void history_is_the_last_lines_oldest_first(void)
{
	struct arena a;
	struct facts f;

	clean();
	arena_init(&a);
	verified("42");
	load("persona_load_history", "42", NULL, "1", &a, &f);
	CHECK(f.user.known && f.history.n == 0);
	CHECK_STR(COMMIT("persona_say", "k1", ANN, "1", NONE, "0", "t", "first", "reply"), "ok");
	load("persona_load_history", "42", NULL, "1", &a, &f);
	CHECK_INT(f.history.n, 2);
	CHECK(!f.history.lines[0].out && f.history.lines[1].out);
	CHECK_STR(f.history.lines[0].text, "first");
	CHECK_STR(f.history.lines[1].text, "reply");
	must("INSERT INTO messages (chat_id, text) SELECT 1, 'n' || i FROM generate_series(1, 30) i");
	load("persona_load_history", "42", NULL, "1", &a, &f);
	CHECK_INT(f.history.n, 20);
	CHECK_STR(f.history.lines[0].text, "n11");
	CHECK_STR(f.history.lines[19].text, "n30");
	CHECK(f.chat.found && f.chat.turns == 1);
	arena_release(&a);
}

/* The plan with many people. */
static const char *const cached[] = {"start_codes", "personas", NULL};

static void plan(const char *name, int nparams, const char *args)
{
	check_plan(name, nparams, args, cached);
}

static void loads_go_by_index_and_leave_the_cached_tables_alone(void)
{
	clean();
	must("INSERT INTO users (telegram_id, age_verified_at) SELECT 100000 + i, now() FROM generate_series(1, 20000) "
	     "i");
	must("INSERT INTO chats (user_id, persona_id, opened_at) SELECT id, 1, now() FROM users");
	must("INSERT INTO messages (chat_id, text) SELECT id, 'x' FROM chats, generate_series(1, 3)");
	must("INSERT INTO bot_users SELECT 'persona', id, now() FROM users");
	must("INSERT INTO conversations (bot, chat_id) SELECT 'persona', -i FROM generate_series(1, 20000) i");
	must("INSERT INTO guards (key) SELECT 'g' || i FROM generate_series(1, 20000) i");
	must("ANALYZE");
	plan("persona_load", 4, "'{100005,100006}', '{persona,persona}', '{2,NULL}', '{1,1}'");
	check_plan_of(sql_get("persona_load")->one, 4, "'100005', 'persona', '2', '1'", cached);
	plan("persona_return", 10,
	     "'{k1,k2}', '{e,e}', '{100005,100006}', '{A,B}', '{a,b}', '{en,en}', "
	     "'{persona,persona}', '{1,1}', '{NULL,NULL}', '{1,1}'");
	check_plan_of(sql_get("persona_return")->one, 10,
	              "'k1', 'e', '100005', 'A', 'a', 'en', 'persona', '1', NULL, '1'", cached);
	plan("persona_load_history", 4, "'100005', 'persona', '2', '1'");
	plan("group_load", 2, "'persona', '-5'");
	plan("guard_find", 1, "'g7'");
	must("SET plan_cache_mode = force_generic_plan");
	plan("persona_load", 4, "'{100005,100006}', '{persona,persona}', '{2,NULL}', '{1,1}'");
	check_plan_of(sql_get("persona_load")->one, 4, "'100005', 'persona', '2', '1'", cached);
	plan("persona_return", 10,
	     "'{k1,k2}', '{e,e}', '{100005,100006}', '{A,B}', '{a,b}', '{en,en}', "
	     "'{persona,persona}', '{1,1}', '{NULL,NULL}', '{1,1}'");
	check_plan_of(sql_get("persona_return")->one, 10,
	              "'k1', 'e', '100005', 'A', 'a', 'en', 'persona', '1', NULL, '1'", cached);
	plan("persona_load_history", 4, "'100005', 'persona', '2', '1'");
	must("RESET plan_cache_mode");
}

/* Every statement of the catalogue can be prepared, with as many parameters as were counted. */
static void is_sound(const struct pg_stmt *s)
{
	PGresult *r;

	PQclear(PQprepare(db, "s", s->sql, 0, NULL));
	r = PQdescribePrepared(db, "s");
	if (PQresultStatus(r) != PGRES_COMMAND_OK) {
		printf("# %s: %s", s->name, PQerrorMessage(db));
		check_failed_here++;
	}
	CHECK_INT(PQnparams(r), s->nparams);
	PQclear(r);
	must("DEALLOCATE s");
}

static void every_statement_is_sound(void)
{
	int n = 0;

	for (const struct embed_file *f = embed_files; f->name; f++) {
		char name[128];

		if (sscanf(f->name, "sql/queries/%127[^.]", name) != 1)
			continue;
		n++;
		is_sound(sql_get(name));
		if (sql_get(name)->many)
			is_sound(sql_get(name)->one);
	}
	CHECK(n >= 13);
}

static void demo_data_can_be_put_in_again_and_again(void)
{
	const struct embed_file *seed = embed_find("sql/seed/demo.sql");
	const char *count =
	    "SELECT concat_ws(' ', (SELECT count(*) FROM personas), (SELECT count(*) FROM start_codes), "
	    "(SELECT sum(cardinality(replies)) FROM personas))";
	char first[64];

	must("TRUNCATE users, guards, personas, start_codes RESTART IDENTITY CASCADE");
	CHECK(seed);
	must(seed->data);
	snprintf(first, sizeof(first), "%s", get(count));
	must(seed->data);
	CHECK_STR(get(count), first);
	CHECK_STR(get("SELECT count(*) FROM personas WHERE key = 'default' AND active"), "1");
	CHECK_STR(
	    get("SELECT count(*) >= 4 FROM personas WHERE active AND cardinality(replies) >= 5 AND length(greeting) > "
	        "20 AND length(prompt) > 20"),
	    "t");
	CHECK_STR(get("SELECT concat_ws(' ', bool_or(max_uses IS NOT NULL), bool_or(expires_at < now()), bool_or(NOT "
	              "active), count(*) >= 6) FROM start_codes"),
	          "t t t t");
}

int main(void)
{
	sqlcheck_begin();
	RUN(every_statement_is_sound);
	for (int i = 0; i < 2; i++) {
		in_sets = i;
		RUN(age_question_makes_the_person_and_their_source);
		RUN(same_update_never_commits_twice);
		RUN(first_code_is_the_source_for_good);
		RUN(verified_person_without_source_gets_one_when_opening);
		RUN(limit_holds_and_leaves_nothing_behind);
		RUN(limit_holds_with_twenty_at_once);
		RUN(yes_confirms_the_age_and_opens_the_chat);
		RUN(opening_needs_the_chat_as_it_was);
		RUN(talk_is_stored_counted_and_answered_in_turn);
		RUN(suspended_person_changes_nothing);
		RUN(unverified_person_cannot_talk);
		RUN(blocks_are_set_and_cleared);
		RUN(stop_leaves_all_chats_and_keeps_the_account);
		RUN(load_tells_what_there_is);
		RUN(who_comes_back_is_let_in_at_once);
		RUN(history_is_the_last_lines_oldest_first);
	}
	in_sets = false;
	RUN(many_open_at_once);
	RUN(many_stand_or_fall_together);
	RUN(many_say_and_do_the_rest);
	RUN(many_are_loaded_at_once);
	RUN(many_come_back_and_others_are_told_of);
	RUN(who_changes_meanwhile_is_not_let_in);
	RUN(two_runs_of_an_update_do_not_wait_for_each_other_in_a_ring);
	RUN(sets_of_the_same_people_do_not_wait_for_each_other_in_a_ring);
	RUN(group_is_told_once);
	RUN(loads_go_by_index_and_leave_the_cached_tables_alone);
	RUN(demo_data_can_be_put_in_again_and_again);
	PQfinish(db);
	DONE();
}
