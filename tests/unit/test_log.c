/* links: base */
#include "check.h"

#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <unistd.h>

#include "shoal/base/clock.h"
#include "shoal/base/json.h"
#include "shoal/base/log.h"

static char captured[65536];
static int real_stderr, file;
static struct arena arena;

static void capture(void)
{
	file = open(".", O_TMPFILE | O_RDWR, 0600);
	if (file < 0)
		file = fileno(tmpfile());
	dup2(file, STDERR_FILENO);
}

static const char *written(void)
{
	ssize_t n = pread(file, captured, sizeof(captured) - 1, 0);

	captured[n > 0 ? n : 0] = '\0';
	dup2(real_stderr, STDERR_FILENO);
	close(file);
	return captured;
}

/* The only line that was written, as JSON. */
static cJSON *line(void)
{
	const char *why = "", *text = written();
	cJSON *tree = json_parse(&arena, span_of(text), &why);

	if (!tree)
		printf("# %s: %s\n", why, text);
	CHECK(strchr(text, '\n') == text + strlen(text) - 1);
	return tree;
}

static void json_lines_have_all_fields(void)
{
	int64_t n = 0, wall = 0;
	bool b = false;
	cJSON *t;

	log_init(LOG_INFO, LOG_JSON, "worker", "w1~ab");
	capture();
	log_info("hello", LOG_STR("s", "x y"), LOG_INT("i", 9007199254740993), LOG_NUM("x", 0.5), LOG_BOOL("b", true),
	         LOG_STR("left_out", NULL), LOG_SPAN("sp", SPAN("a\0b")));
	t = line();
	CHECK(clock_parse_rfc3339(json_str(t, "time"), &wall) && llabs(wall - clock_wall_ms()) < 60000);
	CHECK_STR(json_str(t, "level"), "info");
	CHECK_STR(json_str(t, "program"), "worker");
	CHECK_STR(json_str(t, "id"), "w1~ab");
	CHECK_STR(json_str(t, "msg"), "hello");
	CHECK_STR(json_str(t, "s"), "x y");
	CHECK(json_i64(t, "i", &n) && n == 9007199254740993);
	CHECK(json_bool(t, "b", &b) && b);
	CHECK(!json_get(t, "left_out"));
	CHECK_STR(json_str(t, "sp"), "a\xEF\xBF\xBD"
	                             "b");
}

static void numbers_have_three_decimals_at_most(void)
{
	const char *text;

	log_init(LOG_INFO, LOG_JSON, "p", NULL);
	capture();
	log_info("m", LOG_NUM("a", 3.4810000000000003), LOG_NUM("b", 0.1 + 0.2), LOG_NUM("c", 1234567.8914),
	         LOG_NUM("d", -0.0001), LOG_NUM("e", -2.5), LOG_NUM("f", 7), LOG_NUM("g", 1e300), LOG_NUM("h", NAN));
	text = written();
	CHECK_STR(strstr(text, "\"a\""), "\"a\":3.481,\"b\":0.3,\"c\":1234567.891,\"d\":0,\"e\":-2.5,\"f\":7,"
	                                 "\"g\":1e+300,\"h\":null}\n");
}

static void any_bytes_make_valid_lines(void)
{
	char all[255];

	for (int i = 0; i < 255; i++)
		all[i] = (char)(i + 1);
	log_init(LOG_INFO, LOG_JSON, "p", NULL);
	capture();
	log_warn("\xFF\n\"", LOG_SPAN("all", ((struct span){all, sizeof(all)})));
	CHECK_STR(json_str(line(), "msg"), "\xEF\xBF\xBD\n\"");
}

static void levels_below_are_silent(void)
{
	log_init(LOG_WARN, LOG_JSON, "p", NULL);
	capture();
	log_info("no");
	log_debug("no");
	CHECK_STR(written(), "");
	CHECK(log_enabled(LOG_ERROR) && log_enabled(LOG_WARN) && !log_enabled(LOG_INFO));
}

static void secrets_are_masked(void)
{
	cJSON *t;

	log_secret("tok\"en");
	log_secret("tok\"en-longer");
	log_secret("abc"); /* too short to mask */
	log_secret(NULL);
	log_init(LOG_INFO, LOG_JSON, "p", NULL);
	capture();
	log_info("at tok\"en-longer.", LOG_STR("url", "/bottok\"en/tok\"en"), LOG_STR("k", "abc"));
	t = line();
	CHECK_STR(json_str(t, "msg"), "at ***.");
	CHECK_STR(json_str(t, "url"), "/bot***/***");
	CHECK_STR(json_str(t, "k"), "abc");
}

static void long_lines_stay_one_write_and_valid(void)
{
	char *big = arena_alloc(&arena, 20001), *edge = arena_alloc(&arena, 2100);
	cJSON *t;

	memset(big, '"', 20000);
	memset(edge, 'x', 2040);
	memcpy(edge + 2040, "tok\"en", 7); /* across the cut: masked before it */
	log_init(LOG_INFO, LOG_JSON, "p", NULL);
	capture();
	log_info("big", LOG_STR("a", big), LOG_STR("b", big), LOG_STR("c", big));
	t = line();
	CHECK(strlen(captured) <= 4096);
	CHECK(json_str(t, "a") && strcmp(json_str(t, "a") + strlen(json_str(t, "a")) - 3, "...") == 0);
	capture();
	log_info(big);
	CHECK(line() != NULL && strlen(captured) <= 4096);
	capture();
	log_info("m", LOG_STR("edge", edge));
	CHECK(line() && !strstr(captured, "tok"));
}

static void text_is_ascii_where_the_terminal_is(void)
{
	setenv("LC_ALL", "C", 1);
	log_init(LOG_INFO, LOG_TEXT, "worker", "w1");
	capture();
	log_info("caf\xC3\xA9 \x1B[2J", LOG_STR("k", "a b\n"), LOG_STR("e", "\xF0\x9F\x98\x80\xFF"), LOG_INT("n", 5));
	CHECK_STR(written() + strlen("2026-01-31T12:00:00.000Z"),
	          " info  worker w1: caf\\u00e9 \\u001b[2J k=\"a b\\u000a\" e=\\U0001f600? n=5\n");
	setenv("LC_ALL", "en_US.UTF-8", 1);
	log_init(LOG_INFO, LOG_TEXT, "worker", NULL);
	capture();
	log_info("caf\xC3\xA9 \xC2\x9B"
	         "2J");
	CHECK_STR(written() + strlen("2026-01-31T12:00:00.000Z"), " info  worker: caf\xC3\xA9 \\u009b2J\n");
	unsetenv("LC_ALL");
}

static void a_full_stderr_neither_blocks_nor_kills(void)
{
	static char drained[1 << 20];
	int64_t start = clock_ms();
	int ends[2];

	log_init(LOG_INFO, LOG_JSON, "p", NULL);
	CHECK(pipe(ends) == 0);
	dup2(ends[1], STDERR_FILENO);
	for (int i = 0; i < 3000; i++)
		log_info("filling the pipe until nothing goes in any more, and then some", LOG_INT("i", i));
	CHECK(clock_ms() - start < 3000);
	CHECK(read(ends[0], drained, sizeof(drained)) > 0);
	log_info("room again");
	memset(drained, 0, sizeof(drained));
	CHECK(read(ends[0], drained, sizeof(drained) - 1) > 0);
	CHECK(strstr(drained, "room again") && strstr(drained, "log lines were lost"));
	close(ends[0]);
	log_info("nobody reads"); /* EPIPE, SIGPIPE */
	dup2(real_stderr, STDERR_FILENO);
	close(ends[1]);
}

static void rare_lines_are_held_back(void)
{
	unsigned suppressed = 0;
	int64_t last = 0;

	CHECK(log_due(&last, &suppressed));
	CHECK(!log_due(&last, &suppressed) && !log_due(&last, &suppressed));
	CHECK_INT(suppressed, 2);
	last -= 1000;
	CHECK(log_due(&last, &suppressed));
}

int main(void)
{
	real_stderr = dup(STDERR_FILENO);
	arena_init(&arena);
	RUN(json_lines_have_all_fields);
	RUN(numbers_have_three_decimals_at_most);
	RUN(any_bytes_make_valid_lines);
	RUN(levels_below_are_silent);
	RUN(secrets_are_masked);
	RUN(long_lines_stay_one_write_and_valid);
	RUN(text_is_ascii_where_the_terminal_is);
	RUN(a_full_stderr_neither_blocks_nor_kills);
	RUN(rare_lines_are_held_back);
	arena_release(&arena);
	DONE();
}
