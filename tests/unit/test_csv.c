/* links: cli base */
#include "shoal/cli/csv.h"

#include "check.h"

/* Reads all of it into one line: fields in <>, records behind their line, "!line why" where it breaks off. */
static const char *read_text(struct arena *a, struct span text)
{
	const char *all = "";
	enum csv_got got;
	struct csv c;

	csv_open(&c, a, text);
	while ((got = csv_next(&c)) == CSV_RECORD) {
		all = arena_printf(a, "%s%u:", all, c.began);
		for (size_t i = 0; i < c.nfields; i++)
			all = arena_printf(a, "%s<%s>", all, c.field[i]);
	}
	return got == CSV_BAD ? arena_printf(a, "%s!%u %s", all, c.line, c.why) : all;
}

struct expected {
	struct span text;
	const char *read;
};

static void check_all(const struct expected *e, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		/* exactly as long as the text, so that ASan sees a step beyond it */
		char *copy = mem_alloc(e[i].text.len + 1);
		struct arena a;

		arena_init(&a);
		memcpy(copy, e[i].text.ptr, e[i].text.len);
		copy = mem_realloc(copy, e[i].text.len ? e[i].text.len : 1);
		CHECK_STR(read_text(&a, (struct span){copy, e[i].text.len}), e[i].read);
		free(copy);
		arena_release(&a);
	}
}

static void reads_what_rfc_4180_has(void)
{
	static const struct expected e[] = {
	    {SPAN(""), ""},
	    {SPAN("a"), "1:<a>"},
	    {SPAN("a,b\n"), "1:<a><b>"},
	    {SPAN("a,b\r\nc,d"), "1:<a><b>2:<c><d>"},
	    {SPAN(",\n"), "1:<><>"},
	    {SPAN("a,\n,b"), "1:<a><>2:<><b>"},
	    {SPAN("\"\"\n"), "1:<>"},
	    {SPAN("\"a,b\",c"), "1:<a,b><c>"},
	    {SPAN("\"say \"\"hi\"\"\"\n"), "1:<say \"hi\">"},
	    {SPAN("\"\"\"\""), "1:<\">"},
	    {SPAN("\"one\ntwo\r\nthree\",x\ny,z\n"), "1:<one\ntwo\r\nthree><x>4:<y><z>"},
	    {SPAN(" a , b \n"), "1:< a >< b >"},
	    {SPAN("na\xC3\xAFve,\xF0\x9F\x90\x9F\n"), "1:<na\xC3\xAFve><\xF0\x9F\x90\x9F>"},
	};

	check_all(e, sizeof(e) / sizeof(e[0]));
}

static void lets_a_mark_and_empty_lines_pass(void)
{
	static const struct expected e[] = {
	    {SPAN("\xEF\xBB\xBF"
	          "a,b\n"),
	     "1:<a><b>"},
	    {SPAN("\xEF\xBB\xBF\"a\"\n"), "1:<a>"},
	    {SPAN("\n\r\na\n\n\nb\n\n"), "3:<a>6:<b>"},
	    {SPAN("a\n\xEF\xBB\xBF"
	          "b\n"),
	     "1:<a>2:<\xEF\xBB\xBF"
	     "b>"},
	};

	check_all(e, sizeof(e) / sizeof(e[0]));
}

static void refuses_what_is_broken(void)
{
	static const struct expected e[] = {
	    {SPAN("a\nb\"c\n"), "1:<a>!2 a quote inside a field that does not begin with one"},
	    {SPAN("\"a\"b\n"), "!1 text behind a closing quote"},
	    {SPAN("\"a\" ,b\n"), "!1 text behind a closing quote"},
	    {SPAN("a\n\"b\nc\nd"), "1:<a>!2 a quote that is never closed"},
	    {SPAN("\""), "!1 a quote that is never closed"},
	    {SPAN("a\rb\n"), "!1 a carriage return without a line feed"},
	    {SPAN("a\r"), "!1 a carriage return without a line feed"},
	    {SPAN("\"a\"\r"), "!1 a carriage return without a line feed"},
	    {SPAN("\r"), "!1 a carriage return without a line feed"},
	    {SPAN("a\0b\n"), "!1 a NUL byte"},
	    {SPAN("ok\n\xC3(\n"), "1:<ok>!2 text that is not valid UTF-8"},
	    {SPAN("\"\xED\xA0\x80\""), "!1 text that is not valid UTF-8"},
	};

	check_all(e, sizeof(e) / sizeof(e[0]));
}

static void refuses_too_many_fields(void)
{
	char commas[101];
	struct arena a;

	arena_init(&a);
	memset(commas, ',', sizeof(commas));
	CHECK(strstr(read_text(&a, (struct span){commas, 99}), "!") == NULL);
	CHECK_STR(read_text(&a, (struct span){commas, 100}), "!1 more than 100 fields");
	arena_release(&a);
}

static const char *put(struct arena *a, const char *const *fields, size_t n)
{
	struct buf b;
	const char *text;

	buf_init(&b, 4096);
	csv_put(&b, fields, n);
	text = arena_strndup(a, b.ptr, b.len);
	buf_release(&b);
	return text;
}

static void quotes_only_where_it_must(void)
{
	struct arena a;

	arena_init(&a);
	CHECK_STR(put(&a, (const char *[]){"a", "", "b c"}, 3), "a,,b c\n");
	CHECK_STR(put(&a, (const char *[]){"a,b", "say \"hi\"", "x\ny", "p\rq"}, 4),
	          "\"a,b\",\"say \"\"hi\"\"\",\"x\ny\",\"p\rq\"\n");
	CHECK_STR(put(&a, (const char *[]){" a", "b\t"}, 2), "\" a\",\"b\t\"\n");
	CHECK_STR(put(&a, (const char *[]){""}, 1), "\"\"\n"); /* an empty line would be no record */
	arena_release(&a);
}

static void what_is_written_is_read_again(void)
{
	static const char *const fields[] = {"a,b",
	                                     "\"",
	                                     "\"\"",
	                                     "line\nbreak\r\n",
	                                     "\r",
	                                     "",
	                                     " spaces ",
	                                     ("\xEF\xBB\xBF"
	                                      "mark"),
	                                     "\xF0\x9F\x90\x9F,\"\xD0\x96\""};
	const size_t n = sizeof(fields) / sizeof(fields[0]);
	struct arena a;

	arena_init(&a);
	for (size_t first = 0; first < n; first++) {
		struct csv c;

		csv_open(&c, &a, span_of(put(&a, fields + first, n - first)));
		CHECK(csv_next(&c) == CSV_RECORD);
		CHECK_INT(c.nfields, n - first);
		for (size_t i = 0; i < c.nfields; i++)
			CHECK_STR(c.field[i], fields[first + i]);
		CHECK(csv_next(&c) == CSV_END);
	}
	arena_release(&a);
}

int main(void)
{
	RUN(reads_what_rfc_4180_has);
	RUN(lets_a_mark_and_empty_lines_pass);
	RUN(refuses_what_is_broken);
	RUN(refuses_too_many_fields);
	RUN(quotes_only_where_it_must);
	RUN(what_is_written_is_read_again);
	DONE();
}
