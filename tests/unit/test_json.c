/* links: base */
#include "check.h"

#include "shoal/base/json.h"

#define FFFD "\xEF\xBF\xBD"

static struct arena arena;

static cJSON *parse(const char *text)
{
	const char *why = NULL;
	cJSON *tree = json_parse(&arena, span_of(text), &why);

	if (!tree)
		printf("# %s: %s\n", text, why);
	return tree;
}

static const char *fault(struct span text)
{
	const char *why = "taken";

	return json_parse(&arena, text, &why) ? "taken" : why;
}

/* The tree written again. */
static const char *again(const char *text)
{
	struct json_writer w;
	const char *copy;
	struct buf b;

	buf_init(&b, 100000);
	json_writer_init(&w, &b);
	json_put(&w, parse(text));
	copy = arena_strndup(&arena, b.ptr, b.len);
	buf_release(&b);
	return copy;
}

static void integers_are_exact(void)
{
	static const struct {
		const char *text;
		bool good;
		int64_t value;
	} cases[] = {
	    {"0", true, 0},
	    {"-0", true, 0},
	    {"-1001234567890", true, -1001234567890},
	    {"999999999999999", true, 999999999999999},
	    {"9007199254740991", true, 9007199254740991},
	    {"9007199254740992", true, 9007199254740992},
	    {"9007199254740993", true, 9007199254740993},
	    {"-9007199254740993", true, -9007199254740993},
	    {"9223372036854775807", true, INT64_MAX},
	    {"-9223372036854775808", true, INT64_MIN},
	    {"9223372036854775808", false, 0},
	    {"-9223372036854775809", false, 0},
	    {"123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890", false, 0},
	    {"1.0", false, 0},
	    {"1e5", false, 0},
	    {"1E+2", false, 0},
	    {"10.50", false, 0},
	    {"9007199254740992.0", false, 0},
	    {"\"5\"", false, 0},
	    {"true", false, 0},
	    {"null", false, 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cJSON *tree = parse(arena_printf(&arena, "{\"v\":%s}", cases[i].text));
		int64_t v = 42;

		CHECK_INT(json_i64(tree, "v", &v), cases[i].good);
		CHECK_INT(v, cases[i].good ? cases[i].value : 42);
	}
}

static void numbers_are_numbers_however_written(void)
{
	cJSON *tree = parse("{\"a\":1e3,\"b\":9007199254740993,\"c\":-2.5,\"d\":1e999,\"e\":\"1\"}");
	double v = 0;

	CHECK(cJSON_IsNumber(json_get(tree, "a")) && cJSON_IsNumber(json_get(tree, "b")));
	CHECK(json_str(tree, "b") == NULL);
	CHECK(json_num(tree, "a", &v) && v == 1000);
	CHECK(json_num(tree, "b", &v) && v == 9007199254740992.0);
	CHECK(json_num(tree, "c", &v) && v == -2.5);
	CHECK(!json_num(tree, "d", &v));
	CHECK(!json_num(tree, "e", &v));
}

static void strings_keep_their_place_for_nul_and_surrogates(void)
{
	CHECK_STR(json_str(parse("{\"v\":\"a\\u0000b\"}"), "v"), "a" FFFD "b");
	CHECK_STR(json_str(parse("{\"v\":\"\\ud83d\\ude00\"}"), "v"), "\xF0\x9F\x98\x80");
	CHECK_STR(json_str(parse("{\"v\":\"\\uD83Dx\"}"), "v"), FFFD "x");
	CHECK_STR(json_str(parse("{\"v\":\"\\ude00\\ud83d\"}"), "v"), FFFD FFFD);
	CHECK_STR(json_str(parse("{\"v\":\"\\ud83d\\ud83d\\ude00\"}"), "v"), FFFD "\xF0\x9F\x98\x80");
	CHECK_STR(json_str(parse("{\"v\":\"\\ud83d\\u0041\"}"), "v"), FFFD "A");
	CHECK_STR(json_str(parse("{\"v\":\"\\\\u0000\"}"), "v"), "\\u0000");
	CHECK_STR(json_str(parse("{\"\\u0000\":\"x\"}"), FFFD), "x");
	CHECK_STR(json_str(parse("{\"v\":\"\\\"\\/\\b\\f\\n\\r\\t\"}"), "v"), "\"/\b\f\n\r\t");
	CHECK_STR(json_str(parse("{\"n\":9007199254740993,\"v\":\"\\u0000\",\"m\":1.0}"), "v"), FFFD);
}

static void what_is_not_json_is_refused(void)
{
	static const char *const bad[] = {
	    "{",
	    "}",
	    "[1,]",
	    "{\"a\":}",
	    "{\"a\" 1}",
	    "{a:1}",
	    "01",
	    "-",
	    "1.",
	    ".5",
	    "+1",
	    "1e",
	    "-01",
	    "1e+",
	    "nul",
	    "truex",
	    "[1 2]",
	    "\"",
	    "\"a",
	    "\"\\",
	    "\"\\x\"",
	    "\"\\u12\"",
	    "\"\\u12g4\"",
	    "\"\n\"",
	    "{} {}",
	    "[1]]",
	    "1,2",
	    "\"a\"b",
	    "{\"a\":1,}",
	    "NaN",
	    "Infinity",
	    "'a'",
	    "[1]\x01",
	    "\x01[1]",
	    "{123456789012345678:1}",
	    "{1.0:1}",
	    "[1]\xFF",
	    "\"\xED\xA0\x80\"",
	    "\"\xC0\x80\"",
	    "[\xFF]",
	    "{\"a\":1e5",
	    "0x10",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const char *why = fault(span_of(bad[i]));

		if (strcmp(why, "taken") == 0)
			printf("# taken: %s\n", bad[i]);
		CHECK(strncmp(why, "not JSON", 8) == 0);
	}
	CHECK_STR(fault((struct span){NULL, 0}), "not JSON: empty");
	CHECK_STR(fault(SPAN(" \n\t")), "not JSON: empty");
	CHECK_STR(fault(SPAN("[1,\"a\0b\"]")), "not JSON: control character in a string at byte 5");
	CHECK_STR(fault(SPAN("[1\0]")), "not JSON: control character at byte 2");
	CHECK_STR(fault(SPAN("[1e5,1e5,!]")), "not JSON near byte 9");
}

static void every_prefix_of_a_text_is_refused_quietly(void)
{
	static const char text[] = "{\"a\":[1,-2.5e3,\"x\\ud83d\\ude00\\u0000\",9007199254740993],\"b\":{\"c\":null}}";

	for (size_t len = 0; len < sizeof(text) - 1; len++) {
		char *copy = malloc(len ? len : 1); /* exactly as long: a sanitizer sees a read beyond it */

		memcpy(copy, text, len);
		CHECK(strcmp(fault((struct span){copy, len}), "taken") != 0);
		free(copy);
	}
	CHECK_STR(fault(SPAN("  {\"a\":1} \r\n")), "taken");
}

static const char *nested(size_t depth)
{
	char *text = arena_alloc(&arena, 2 * depth + 1);

	memset(text, '[', depth);
	memset(text + depth, ']', depth);
	return text;
}

static void depth_is_bounded(void)
{
	CHECK_STR(fault(span_of(nested(200))), "taken");
	CHECK_STR(fault(span_of(nested(201))), "not JSON: nested more than 200 deep at byte 200");
	CHECK_STR(fault(span_of(nested(500000))), "not JSON: nested more than 200 deep at byte 200");
	CHECK_STR(fault(SPAN("\"[[[[\"")), "taken");
}

static void members_are_there_or_not(void)
{
	cJSON *tree = parse("{\"o\":{},\"a\":[],\"s\":\"x\",\"t\":true,\"f\":false,\"n\":null,\"S\":\"big\"}");
	bool flag = true;
	int64_t v = 42;

	CHECK(json_obj(tree, "o") && !json_obj(tree, "a") && !json_obj(tree, "x"));
	CHECK(json_arr(tree, "a") && !json_arr(tree, "o"));
	CHECK_STR(json_str(tree, "s"), "x");
	CHECK_STR(json_str(tree, "S"), "big");
	CHECK(!json_str(tree, "n") && !json_str(NULL, "s") && !json_str(json_arr(tree, "a"), "s"));
	CHECK(json_bool(tree, "f", &flag) && !flag);
	CHECK(json_bool(tree, "t", &flag) && flag);
	CHECK(!json_bool(tree, "n", &flag) && !json_i64(tree, "t", &v) && v == 42);
}

static void a_tree_is_written_as_it_was(void)
{
	static const char *const same[] = {
	    "{\"a\":[1,-2.5,9007199254740993,-9223372036854775808,1e5,1.0,123456789012345678901234567890],\"b\":{}}",
	    "[true,false,null,\"\",[],[[]],{\"x\":{}}]",
	    "[0.1,1e-7,1e999,0.10000000000000000000001]",
	    "\"\\\"\\\\\\n\\t\\r\\b\\f\\u0001\\u007f\xC3\xA9\xF0\x9F\x98\x80\"",
	};

	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
		CHECK_STR(again(same[i]), same[i]);
	CHECK_STR(again(" [ 1 , 0 ] "), "[1,0]");
}

static void the_writer_quotes_and_separates(void)
{
	struct json_writer w;
	struct buf b;

	buf_init(&b, 1000);
	json_writer_init(&w, &b);
	json_begin_obj(&w);
	json_kv_i64(&w, "i", INT64_MIN);
	json_kv_id(&w, "id", 9007199254740993);
	json_kv_num(&w, "n", 0.1);
	json_kv_num(&w, "inf", 1e308 * 10);
	json_kv_bool(&w, "b", true);
	json_kv_str(&w, "s", "a\"\xFF");
	json_kv_str(&w, "null", NULL);
	json_key(&w, "arr");
	json_begin_arr(&w);
	json_put_raw(&w, SPAN("{}"));
	json_put_span(&w, SPAN("a\0b"));
	json_end_arr(&w);
	json_end_obj(&w);
	CHECK_STR(b.ptr, "{\"i\":-9223372036854775808,\"id\":\"9007199254740993\",\"n\":0.1,\"inf\":null,\"b\":true,"
	                 "\"s\":\"a\\\"" FFFD "\",\"null\":null,\"arr\":[{},\"a\\u0000b\"]}");
	buf_release(&b);
	buf_init(&b, 5);
	json_writer_init(&w, &b);
	json_put_str(&w, "longer");
	CHECK(b.failed);
	buf_release(&b);
}

int main(void)
{
	arena_init(&arena);
	RUN(integers_are_exact);
	RUN(numbers_are_numbers_however_written);
	RUN(strings_keep_their_place_for_nul_and_surrogates);
	RUN(what_is_not_json_is_refused);
	RUN(every_prefix_of_a_text_is_refused_quietly);
	RUN(depth_is_bounded);
	RUN(members_are_there_or_not);
	RUN(a_tree_is_written_as_it_was);
	RUN(the_writer_quotes_and_separates);
	arena_release(&arena);
	DONE();
}
