/* links: base */
#include "check.h"

#include "shoal/base/embed.h"
#include "shoal/base/str.h"

static void integers_are_read_whole_or_not(void)
{
	static const struct {
		const char *text;
		bool good;
		int64_t value;
	} cases[] = {
	    {"0", true, 0},
	    {"-0", true, 0},
	    {"007", true, 7},
	    {"9223372036854775807", true, INT64_MAX},
	    {"-9223372036854775808", true, INT64_MIN},
	    {"9223372036854775808", false, 0},
	    {"-9223372036854775809", false, 0},
	    {"99999999999999999999999", false, 0},
	    {"", false, 0},
	    {"-", false, 0},
	    {"+1", false, 0},
	    {" 1", false, 0},
	    {"1 ", false, 0},
	    {"1.0", false, 0},
	    {"0x1", false, 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t v = 42;

		CHECK_INT(span_i64(span_of(cases[i].text), &v), cases[i].good);
		CHECK_INT(v, cases[i].good ? cases[i].value : 42);
	}
}

static void integers_become_text(void)
{
	static const struct {
		int64_t value;
		const char *text;
	} cases[] = {{0, "0"}, {-7, "-7"}, {INT64_MAX, "9223372036854775807"}, {INT64_MIN, "-9223372036854775808"}};
	char out[I64_TEXT_LEN];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CHECK(span_is(i64_text(out, cases[i].value), cases[i].text));
		CHECK_STR(out, cases[i].text);
	}
}

static void spans_compare_bytes(void)
{
	CHECK(span_eq(span_of(NULL), SPAN("")));
	CHECK(span_is((struct span){"abcd", 3}, "abc"));
	CHECK(!span_is((struct span){"ab\0", 3}, "ab"));
	CHECK(span_starts(SPAN("/start x"), "/start"));
	CHECK(!span_starts(SPAN("/st"), "/start"));
	CHECK(span_starts(span_of(NULL), ""));
}

static void a_buf_fails_for_good_at_its_maximum(void)
{
	struct buf b;

	buf_init(&b, 10);
	buf_adds(&b, "12345");
	buf_addf(&b, "%d", 67890);
	CHECK(!b.failed);
	CHECK_STR(b.ptr, "1234567890");
	buf_addc(&b, 'x');
	CHECK(b.failed);
	buf_add(&b, NULL, 0);
	CHECK(b.failed);
	CHECK_STR(b.ptr, "1234567890");
	buf_clear(&b);
	CHECK(!b.failed);
	buf_add_i64(&b, INT64_MIN);
	CHECK(b.failed);
	CHECK_INT(b.len, 0);
	buf_release(&b);
	buf_init(&b, 100);
	buf_add_i64(&b, INT64_MIN);
	buf_addc(&b, ' ');
	buf_add_i64(&b, INT64_MAX);
	CHECK_STR(b.ptr, "-9223372036854775808 9223372036854775807");
	buf_release(&b);
}

static void utf8_is_told_from_what_looks_like_it(void)
{
	static const char *const good[] = {"",
	                                   "plain",
	                                   "\x7F",
	                                   "\xC2\x80",
	                                   "\xDF\xBF",
	                                   "\xE0\xA0\x80",
	                                   "\xED\x9F\xBF",
	                                   "\xEE\x80\x80",
	                                   "\xEF\xBF\xBF",
	                                   "\xF0\x90\x80\x80",
	                                   "\xF4\x8F\xBF\xBF",
	                                   "12345678\xC3\xA9"};
	static const char *const bad[] = {"\x80",
	                                  "\xBF",
	                                  "\xC0\x80",
	                                  "\xC1\xBF",
	                                  "\xC3",
	                                  "\xE0\x9F\xBF",
	                                  "\xE2\x82",
	                                  "\xED\xA0\x80",
	                                  "\xED\xBF\xBF",
	                                  "\xF0\x8F\xBF\xBF",
	                                  "\xF0\x9F\x98",
	                                  "\xF4\x90\x80\x80",
	                                  "\xF5\x80\x80\x80",
	                                  "\xFF",
	                                  "1234567\x80",
	                                  "12345678901234\xC3"};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		CHECK(utf8_valid(span_of(good[i])));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK(!utf8_valid(span_of(bad[i])));
}

static void ill_formed_bytes_become_replacements(void)
{
	struct buf b;

	buf_init(&b, 100);
	buf_add_utf8(&b, SPAN("a\xFF"
	                      "b\xE2\x82"
	                      "c\xC3\xA9"));
	CHECK_STR(b.ptr, "a\xEF\xBF\xBD"
	                 "b\xEF\xBF\xBD\xEF\xBF\xBD"
	                 "c\xC3\xA9");
	CHECK(utf8_valid(buf_span(&b)));
	buf_release(&b);
}

static void text_is_counted_in_utf16(void)
{
	struct span s = SPAN("a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80z"); /* a é € (emoji) z */

	CHECK_INT(utf8_utf16_len(s), 6);
	CHECK_INT(utf8_chars(s), 5);
	CHECK_INT(utf8_prefix_utf16(s, 0).len, 0);
	CHECK_INT(utf8_prefix_utf16(s, 2).len, 3);
	CHECK_INT(utf8_prefix_utf16(s, 3).len, 6);
	CHECK_INT(utf8_prefix_utf16(s, 4).len, 6); /* the emoji takes two */
	CHECK_INT(utf8_prefix_utf16(s, 5).len, 10);
	CHECK_INT(utf8_prefix_utf16(s, 99).len, s.len);
}

static void embedded_files_are_found_by_name(void)
{
	CHECK(embed_find("no/such/file") == NULL);
	for (const struct embed_file *f = embed_files; f->name; f++) {
		CHECK(embed_find(f->name) == f);
		CHECK_INT(f->data[f->len], 0);
	}
}

int main(void)
{
	RUN(integers_are_read_whole_or_not);
	RUN(integers_become_text);
	RUN(spans_compare_bytes);
	RUN(a_buf_fails_for_good_at_its_maximum);
	RUN(utf8_is_told_from_what_looks_like_it);
	RUN(ill_formed_bytes_become_replacements);
	RUN(text_is_counted_in_utf16);
	RUN(embedded_files_are_found_by_name);
	DONE();
}
