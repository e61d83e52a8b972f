/* links: base model io store */
#include "check.h"

#include <malloc.h>

#include "shoal/base/json.h"
#include "shoal/store/cache_value.h"

static struct cache_value *read_text(enum cache_kind kind, const char *key, const char *text)
{
	return cache_value_read(kind, span_of(key), span_of(text), true);
}

static void caches_are_found_by_name(void)
{
	enum cache_kind kind;

	CHECK(cache_kind_find(SPAN("startcode"), &kind) && kind == CACHE_STARTCODE);
	CHECK(cache_kind_find(SPAN("persona"), &kind) && kind == CACHE_PERSONA);
	CHECK(cache_kind_find(SPAN("player"), &kind) && kind == CACHE_PLAYER);
	CHECK(cache_kind_find(SPAN("static"), &kind) && kind == CACHE_STATIC);
	CHECK(!cache_kind_find(SPAN("players"), &kind));
	CHECK(!cache_kind_find(SPAN(""), &kind));
}

static void codes_are_read(void)
{
	struct cache_value *v = read_text(CACHE_STARTCODE, "x",
	                                  "{\"id\":9007199254740993,\"code\":\"x\",\"persona_id\":\"9007199254740995\","
	                                  "\"active\":true,\"max_uses\":null,\"expires_ms\":7}");
	const struct fact_code *c;

	CHECK(v);
	if (!v)
		return;
	c = &v->code;
	CHECK(v->kind == CACHE_STARTCODE && v->found && v->refs == 1);
	CHECK(c->asked && c->found && c->active && !c->limited && c->expires_ms == 7);
	CHECK_INT(c->id, 9007199254740993);
	CHECK_INT(c->persona_id, 9007199254740995);
	CHECK_STR(c->code, "x");
	cache_value_unref(v);
	v = read_text(CACHE_STARTCODE, "A_b-9",
	              "{\"id\":1,\"code\":\"A_b-9\",\"persona_id\":null,\"active\":false,\"max_uses\":3}");
	CHECK(v);
	if (!v)
		return;
	c = &v->code;
	CHECK(c->persona_id == 0 && c->limited && c->max_uses == 3 && !c->active && c->expires_ms == 0);
	cache_value_unref(v);
}

static void the_code_of_an_id_is_read(void)
{
	struct cache_value *v = read_text(CACHE_STARTCODE, "#12", "welcome");

	CHECK(v);
	if (v)
		CHECK_STR(v->alias, "welcome");
	cache_value_unref(v);
}

static void directories_know_their_codes(void)
{
	struct cache_value *v = read_text(CACHE_STARTCODE, "%", "[\"b\",\"abc\",\"a\",\"Z\",\"ab\",\"\xC3\xBC\"]");
	const char *const there[] = {"b", "abc", "a", "Z", "ab", "\xC3\xBC"};
	const char *const absent[] = {"", "aa", "abcd", "c", "z", "A", "\xC3", "bb", "\xC3\xBC "};

	CHECK(v);
	if (!v)
		return;
	CHECK(!v->directory.many);
	CHECK_INT(v->directory.n, 6);
	for (size_t i = 0; i < sizeof(there) / sizeof(there[0]); i++)
		CHECK(directory_has(&v->directory, span_of(there[i])));
	for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++)
		CHECK(!directory_has(&v->directory, span_of(absent[i])));
	CHECK(!directory_has(&v->directory, (struct span){"ab\0", 3}));
	CHECK(directory_has(&v->directory, (struct span){"abx", 2}));
	cache_value_unref(v);
	for (int kind = 0; kind < CACHE_KINDS; kind++) {
		v = read_text((enum cache_kind)kind, "%", "[\"4\",\"default\"]");
		CHECK(v && (int)v->kind == kind && directory_has(&v->directory, SPAN("default")));
		cache_value_unref(v);
	}
	v = read_text(CACHE_STARTCODE, "%", "[]");
	CHECK(v && v->directory.n == 0 && !directory_has(&v->directory, SPAN("")) && !v->directory.many);
	cache_value_unref(v);
	v = read_text(CACHE_STARTCODE, "%", "many");
	CHECK(v && v->directory.many && v->directory.n == 0 && !directory_has(&v->directory, SPAN("many")));
	cache_value_unref(v);
}

/* A thousand codes of 12 bytes: each costs its bytes and a number of four. */
static void a_thousand_codes_are_compact(void)
{
	struct cache_value *v;
	struct json_writer w;
	struct buf text;
	char code[16] = "";

	buf_init(&text, 1000000);
	json_writer_init(&w, &text);
	json_begin_arr(&w);
	for (int i = 0; i < 1000; i++)
		json_put_span(&w, (struct span){code, (size_t)snprintf(code, sizeof(code), "code-%07d", i * 37)});
	json_end_arr(&w);
	v = cache_value_read(CACHE_STARTCODE, SPAN("%"), buf_span(&text), true);
	CHECK(v && v->directory.n == 1000 && v->bytes < 1000 * (12 + 4) + 100);
	for (int i = 0; v && i < 37000; i++) {
		struct span s = {code, (size_t)snprintf(code, sizeof(code), "code-%07d", i)};

		CHECK(directory_has(&v->directory, s) == (i % 37 == 0));
	}
	cache_value_unref(v);
	buf_release(&text);
}

#define PERSONA                                                                                                        \
	"{\"id\":4,\"key\":\"k\",\"name\":\"n\",\"greeting\":\"g\",\"prompt\":null,\"replies\":[\"a\",\"\",\"c d\"],"  \
	"\"active\":true}"

static void personas_are_read(void)
{
	static const char *const keys[] = {"4", "default"};

	for (int i = 0; i < 2; i++) {
		struct cache_value *v = read_text(CACHE_PERSONA, keys[i], PERSONA);
		const struct fact_persona *p;

		CHECK(v);
		if (!v)
			return;
		p = &v->persona;
		CHECK(p->found && p->id == 4 && p->active && !p->prompt && p->nreplies == 3);
		CHECK_STR(p->key, "k");
		CHECK_STR(p->name, "n");
		CHECK_STR(p->greeting, "g");
		CHECK_STR(p->replies[0], "a");
		CHECK_STR(p->replies[1], "");
		CHECK_STR(p->replies[2], "c d");
		cache_value_unref(v);
	}
}

static void players_are_read(void)
{
	struct cache_value *v =
	    read_text(CACHE_PLAYER, "1234567890123456789",
	              "{\"name\":\"Zo\xC3\xAB\",\"country\":\"DE\",\"region\":\"EUW\",\"tos_ms\":1700000000000,"
	              "\"setup_ms\":1700000000001}");

	CHECK(v);
	if (!v)
		return;
	CHECK(v->player.found && v->player.tos_ms == 1700000000000 && v->player.setup_ms == 1700000000001);
	CHECK_INT(v->player.uid, 1234567890123456789);
	CHECK_STR(v->player.name, "Zo\xC3\xAB");
	CHECK_STR(v->player.country, "DE");
	CHECK_STR(v->player.region, "EUW");
	CHECK(v->bytes <= 112);
	cache_value_unref(v);
	v = read_text(CACHE_PLAYER, "7", "{\"name\":null,\"tos_ms\":null}");
	CHECK(v);
	if (!v)
		return;
	CHECK(v->player.found && v->player.uid == 7 && !v->player.name && !v->player.country && !v->player.region);
	CHECK(v->player.tos_ms == 0 && v->player.setup_ms == 0);
	cache_value_unref(v);
}

static void tables_are_searched_and_listed(void)
{
	struct cache_value *v = read_text(
	    CACHE_STATIC, "maps",
	    "[{\"code\":\"m2\",\"name\":\"Two\",\"active\":false},{\"code\":\"m10\",\"name\":\"Ten\",\"active\":true},"
	    "{\"code\":\"a\",\"name\":\"\",\"game\":\"bw\"},{\"code\":\"b\",\"name\":\"B\",\"game\":null}]");
	static const char *const codes[] = {"m2", "m10", "a", "b"};

	CHECK(v);
	if (!v)
		return;
	CHECK_INT(v->table.n, 4);
	for (size_t i = 0; i < 4; i++) {
		CHECK_STR(v->table.rows[i].code, codes[i]);
		CHECK(static_find(&v->table, codes[i]) == &v->table.rows[i]);
	}
	CHECK(!v->table.rows[0].active && v->table.rows[1].active && v->table.rows[2].active);
	CHECK_STR(v->table.rows[1].name, "Ten");
	CHECK_STR(v->table.rows[2].game, "bw");
	CHECK(!v->table.rows[3].game);
	CHECK(!static_find(&v->table, "m1") && !static_find(&v->table, "") && !static_find(&v->table, "z"));
	cache_value_unref(v);
	v = read_text(CACHE_STATIC, "maps", "[]");
	CHECK(v && v->table.n == 0 && !static_find(&v->table, "a"));
	cache_value_unref(v);
}

#define BOARD                                                                                                          \
	"{\"race\":\"r\",\"page\":2,\"pages\":3,\"total\":21,\"entries\":[{\"race\":\"R\",\"place\":11,\"mmr\":-5,"    \
	"\"games\":4,\"name\":null,\"country\":\"DE\"}]}"

static void pages_of_the_leaderboard_are_read(void)
{
	struct cache_value *v = read_text(CACHE_BOARD, "r|||2", BOARD);

	CHECK(v);
	if (!v)
		return;
	CHECK(v->board.known && !v->board.unknown && !v->board.region && !v->board.race_name);
	CHECK_STR(v->board.race, "r");
	CHECK(v->board.page == 2 && v->board.pages == 3 && v->board.total == 21 && v->board.n == 1);
	CHECK_STR(v->board.v[0].race, "R");
	CHECK_STR(v->board.v[0].country, "DE");
	CHECK(!v->board.v[0].name && v->board.v[0].place == 11 && v->board.v[0].mmr == -5 && v->board.v[0].played == 4);
	cache_value_unref(v);
	v = read_text(CACHE_BOARD, "x|||1", "{\"unknown\":\"race\",\"page\":1,\"pages\":1,\"total\":0,\"entries\":[]}");
	CHECK(v && v->board.n == 0);
	CHECK_STR(v ? v->board.unknown : NULL, "race");
	cache_value_unref(v);
}

static void a_negative_value_is_small(void)
{
	for (int kind = 0; kind < CACHE_KINDS; kind++) {
		struct cache_value *v = cache_value_read((enum cache_kind)kind, SPAN("?"), SPAN("nonsense"), false);

		CHECK(v && !v->found && (int)v->kind == kind && v->bytes == 32);
		cache_value_unref(v);
	}
}

static void nonsense_is_refused(void)
{
	static const struct {
		enum cache_kind kind;
		const char *key, *text;
	} cases[] = {
	    {CACHE_STARTCODE, "x", ""},
	    {CACHE_STARTCODE, "x", "null"},
	    {CACHE_STARTCODE, "x", "[]"},
	    {CACHE_STARTCODE, "x", "{"},
	    {CACHE_STARTCODE, "x", "x"},
	    {CACHE_STARTCODE, "x", "{\"id\":1,\"active\":true}"},
	    {CACHE_STARTCODE, "x", "{\"id\":1,\"code\":\"x\"}"},
	    {CACHE_STARTCODE, "x", "{\"code\":\"x\",\"active\":true}"},
	    {CACHE_STARTCODE, "x", "{\"id\":\"1\",\"code\":\"x\",\"active\":true}"},
	    {CACHE_STARTCODE, "x", "{\"id\":1.5,\"code\":\"x\",\"active\":true}"},
	    {CACHE_STARTCODE, "x", "{\"id\":1,\"code\":\"x\",\"active\":1}"},
	    {CACHE_STARTCODE, "x", "{\"id\":1,\"code\":\"x\",\"active\":true,\"persona_id\":\"x\"}"},
	    {CACHE_STARTCODE, "x", "{\"id\":1,\"code\":\"x\",\"active\":true,\"persona_id\":3}"},
	    {CACHE_STARTCODE, "x", "{\"id\":1,\"code\":\"x\",\"active\":true,\"max_uses\":\"3\"}"},
	    {CACHE_STARTCODE, "x", "{\"id\":1,\"code\":\"x\",\"active\":true,\"expires_ms\":false}"},
	    {CACHE_STARTCODE, "x", "{\"id\":1,\"code\":\"y\",\"active\":true}"},
	    {CACHE_STARTCODE, "#1", ""},
	    {CACHE_STARTCODE, "#1", "\xFF"},
	    {CACHE_STARTCODE, "%", ""},
	    {CACHE_STARTCODE, "%", "Many"},
	    {CACHE_STARTCODE, "%", "{}"},
	    {CACHE_STARTCODE, "%", "[1]"},
	    {CACHE_STARTCODE, "%", "[\"a\",null]"},
	    {CACHE_STARTCODE, "%", "[\"a\"] x"},
	    {CACHE_PERSONA, "4", ""},
	    {CACHE_PERSONA, "4", "7"},
	    {CACHE_PERSONA, "4", "{\"id\":4}"},
	    {CACHE_PERSONA, "4", "{\"id\":4,\"key\":\"k\",\"name\":\"n\",\"greeting\":\"g\",\"active\":true}"},
	    {CACHE_PERSONA, "4",
	     "{\"id\":4,\"key\":\"k\",\"name\":\"n\",\"greeting\":\"g\",\"replies\":[1],\"active\":true}"},
	    {CACHE_PERSONA, "4",
	     "{\"id\":4,\"key\":null,\"name\":\"n\",\"greeting\":\"g\",\"replies\":[],\"active\":true}"},
	    {CACHE_PERSONA, "4",
	     "{\"id\":4,\"key\":\"k\",\"name\":\"n\",\"greeting\":\"g\",\"prompt\":1,\"replies\":[],\"active\":true}"},
	    {CACHE_PERSONA, "5", PERSONA},
	    {CACHE_PERSONA, "k", PERSONA},
	    {CACHE_PLAYER, "7", ""},
	    {CACHE_PLAYER, "7", "null"},
	    {CACHE_PLAYER, "7", "[]"},
	    {CACHE_PLAYER, "7", "{\"name\":7}"},
	    {CACHE_PLAYER, "7", "{\"tos_ms\":\"7\"}"},
	    {CACHE_PLAYER, "7", "{\"setup_ms\":1e30}"},
	    {CACHE_PLAYER, "x", "{}"},
	    {CACHE_PLAYER, "", "{}"},
	    {CACHE_PLAYER, "9223372036854775808", "{}"},
	    {CACHE_STATIC, "maps", ""},
	    {CACHE_STATIC, "maps", "{}"},
	    {CACHE_STATIC, "maps", "[1]"},
	    {CACHE_STATIC, "maps", "[{\"code\":\"a\"}]"},
	    {CACHE_STATIC, "maps", "[{\"name\":\"a\"}]"},
	    {CACHE_STATIC, "maps", "[{\"code\":\"a\",\"name\":\"A\",\"active\":\"t\"}]"},
	    {CACHE_STATIC, "maps", "[{\"code\":\"a\",\"name\":\"A\",\"game\":2}]"},
	    {CACHE_STATIC, "maps",
	     "[{\"code\":\"a\",\"name\":\"A\"},{\"code\":\"b\",\"name\":\"\"},"
	     "{\"code\":\"a\",\"name\":\"B\"}]"},
	    {CACHE_BOARD, "|||1", ""},
	    {CACHE_BOARD, "|||1", "[]"},
	    {CACHE_BOARD, "|||1", "{}"},
	    {CACHE_BOARD, "|||1", "{\"page\":1,\"pages\":1,\"total\":0}"},
	    {CACHE_BOARD, "|||1", "{\"page\":1,\"pages\":1,\"entries\":[]}"},
	    {CACHE_BOARD, "|||1", "{\"race\":1,\"page\":1,\"pages\":1,\"total\":0,\"entries\":[]}"},
	    {CACHE_BOARD, "|||1", "{\"page\":1,\"pages\":1,\"total\":1,\"entries\":[1]}"},
	    {CACHE_BOARD, "|||1",
	     "{\"page\":1,\"pages\":1,\"total\":1,\"entries\":[{\"race\":\"R\",\"place\":1,\"mmr\":1}]}"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct cache_value *v = read_text(cases[i].kind, cases[i].key, cases[i].text);

		if (v)
			printf("# taken for %s: %s\n", cases[i].key, cases[i].text);
		CHECK(!v);
		cache_value_unref(v);
	}
	CHECK(!cache_value_read(CACHE_STARTCODE, SPAN("#1"), (struct span){"a\0b", 3}, true));
	CHECK(!cache_value_read(CACHE_PLAYER, (struct span){"7\0", 2}, SPAN("{}"), true));
}

/* Texts with bytes changed at random: read or refused, never worse (the sanitizers watch). */
/* A greeting that makes the whole text so long. */
static struct cache_value *read_long(size_t len)
{
	static const char head[] =
	    "{\"id\":1,\"key\":\"k\",\"name\":\"n\",\"replies\":[],\"active\":true,\"greeting\":\"";
	char *text = mem_alloc(len);
	struct cache_value *v;

	memset(text, 'x', len);
	memcpy(text, head, sizeof(head) - 1);
	memcpy(text + len - 2, "\"}", 2);
	v = cache_value_read(CACHE_PERSONA, SPAN("1"), (struct span){text, len}, true);
	free(text);
	return v;
}

static void too_much_is_refused(void)
{
	struct cache_value *v = read_long(CACHE_TEXT_MAX);

	CHECK(v && strlen(v->persona.greeting) > CACHE_TEXT_MAX - 100);
	cache_value_unref(v);
	CHECK(!read_long(CACHE_TEXT_MAX + 1));
}

static void damaged_texts_do_no_harm(void)
{
	static const struct {
		enum cache_kind kind;
		const char *key, *text;
	} cases[] = {
	    {CACHE_STARTCODE, "x",
	     "{\"id\":1,\"code\":\"x\",\"persona_id\":\"2\",\"active\":true,\"max_uses\":3,\"expires_ms\":4}"},
	    {CACHE_STARTCODE, "%", "[\"ab\",\"cd\",\"\\u0041\"]"},
	    {CACHE_STARTCODE, "#7", "welcome"},
	    {CACHE_PERSONA, "4", PERSONA},
	    {CACHE_PLAYER, "7", "{\"name\":\"n\",\"country\":\"DE\",\"region\":null,\"tos_ms\":1,\"setup_ms\":0}"},
	    {CACHE_STATIC, "races", "[{\"code\":\"a\",\"name\":\"A\",\"game\":\"g\"},{\"code\":\"b\",\"name\":\"B\"}]"},
	    {CACHE_BOARD, "r|||2", BOARD},
	};
	static const char bytes[] = "\"\\,:{}[]01-e.\xFF\x80 ntab";
	int read = 0, refused = 0;
	unsigned seed = 1;

	for (int round = 0; round < 20000; round++) {
		size_t which = (size_t)round % (sizeof(cases) / sizeof(cases[0])), len = strlen(cases[which].text);
		char text[256];
		struct cache_value *v;

		memcpy(text, cases[which].text, len);
		for (int changes = 1 + rand_r(&seed) % 3; changes > 0; changes--)
			text[(size_t)rand_r(&seed) % len] = bytes[(size_t)rand_r(&seed) % (sizeof(bytes) - 1)];
		len -= (size_t)rand_r(&seed) % 8 == 0 ? (size_t)rand_r(&seed) % len : 0;
		v = cache_value_read(cases[which].kind, span_of(cases[which].key), (struct span){text, len}, true);
		read += v != NULL;
		refused += v == NULL;
		cache_value_unref(v);
	}
	CHECK(read > 100 && refused > 100);
}

static void values_live_as_long_as_they_are_held(void)
{
	struct cache_value *v = read_text(CACHE_STARTCODE, "#12", "welcome");
	struct arena a;

	arena_init(&a);
	CHECK(v && v->refs == 1);
	if (!v)
		return;
	CHECK(cache_value_ref(v) == v && v->refs == 2);
	cache_value_hold(v, &a);
	CHECK_INT(v->refs, 3);
	cache_value_unref(v);
	cache_value_unref(v);
	CHECK_INT(v->refs, 1);
	CHECK_STR(v->alias, "welcome");
	cache_value_ref(v);
	arena_release(&a);
	CHECK_INT(v->refs, 1);
	cache_value_unref(v);
}

/* What a block is said to take is what malloc gives it. Under a sanitizer malloc is another one, which mallinfo2 does
 * not know. */
static void malloc_is_known(void)
{
	for (size_t size = 1; size < 5000; size += 7) {
		void *p = malloc(size);

		if (mallinfo2().arena != 0)
			CHECK_INT(cache_malloc_bytes(size), malloc_usable_size(p) + 8);
		else
			CHECK(cache_malloc_bytes(size) >= malloc_usable_size(p));
		free(p);
	}
}

int main(void)
{
	RUN(caches_are_found_by_name);
	RUN(codes_are_read);
	RUN(the_code_of_an_id_is_read);
	RUN(directories_know_their_codes);
	RUN(a_thousand_codes_are_compact);
	RUN(personas_are_read);
	RUN(players_are_read);
	RUN(tables_are_searched_and_listed);
	RUN(pages_of_the_leaderboard_are_read);
	RUN(a_negative_value_is_small);
	RUN(nonsense_is_refused);
	RUN(too_much_is_refused);
	RUN(damaged_texts_do_no_harm);
	RUN(values_live_as_long_as_they_are_held);
	RUN(malloc_is_known);
	DONE();
}
