/* links: model base */
#include "check.h"

#include "shoal/model/amount.h"
#include "shoal/model/bot.h"
#include "shoal/model/fill.h"

static struct arena a;

/* decision.last points into the decision, so it is begun in place. */
#define BEGIN(d)                                                                                                       \
	struct decision d;                                                                                             \
	decision_init(&(d), &a)

static char *many(const char *unit, size_t n)
{
	char *out = arena_alloc(&a, strlen(unit) * n + 1);

	for (size_t i = 0; i < n; i++)
		memcpy(out + i * strlen(unit), unit, strlen(unit));
	return out;
}

static void parameters_keep_order_and_null(void)
{
	struct params p = {.arena = &a};

	params_i64(&p, INT64_MIN);
	params_id(&p, 0);
	params_id(&p, -5);
	params_text(&p, NULL);
	params_text(&p, "");
	params_bool(&p, true);
	params_bool(&p, false);
	params_time(&p, 1893456000500);
	params_null(&p);
	CHECK_INT(p.n, 9);
	CHECK_STR(p.v[0].ptr, "-9223372036854775808");
	CHECK(!p.v[1].ptr && !p.v[3].ptr && !p.v[8].ptr);
	CHECK_STR(p.v[2].ptr, "-5");
	CHECK(p.v[4].ptr && p.v[4].len == 0);
	CHECK_STR(p.v[5].ptr, "t");
	CHECK_STR(p.v[6].ptr, "f");
	CHECK_STR(p.v[7].ptr, "2030-01-01T00:00:00.500Z");
}

static void replies_keep_their_order(void)
{
	BEGIN(d);
	struct reply *r = decision_send(&d, -7, "one");

	decision_edit(&d, 8, 5, "two");
	decision_disarm(&d, 9, 6);
	CHECK(!d.failed && d.replies == r && r->kind == REPLY_SEND && r->group && r->chat_id == -7);
	CHECK(r->next->kind == REPLY_EDIT && !r->next->group && r->next->message_id == 5);
	CHECK(r->next->next->kind == REPLY_DISARM && !r->next->next->next);
	CHECK(!d.commit && d.outcome == OUTCOME_DONE);
}

static void buttons_stand_in_rows(void)
{
	BEGIN(d);
	struct reply *r = decision_send(&d, 7, "x");

	reply_button(&d, r, "A", "mark0001", "v", NULL);
	reply_button(&d, r, "B", "mark0001", "v", "1", "-", NULL);
	reply_row(&d, r);
	reply_link(&d, r, "C", "https://example.org/");
	CHECK(!d.failed);
	CHECK_INT(r->nrows, 2);
	CHECK_INT(r->rows[0].n, 2);
	CHECK_INT(r->rows[1].n, 1);
	CHECK_STR(r->rows[0].buttons[0].data, "v:mark0001");
	CHECK_STR(r->rows[0].buttons[1].data, "v:1:-:mark0001");
	CHECK_STR(r->rows[0].buttons[1].label, "B");
	CHECK_STR(r->rows[1].buttons[0].url, "https://example.org/");
	CHECK(!r->rows[1].buttons[0].data && !r->rows[0].buttons[0].url);
}

static void answers_go_by_token(void)
{
	struct decision d;
	struct reply *r;

	decision_init(&(d), &a);
	r = decision_answer(&d, "tok", "x");
	CHECK_INT(r->kind, REPLY_ANSWER);
	CHECK_STR(r->token, "tok");
	CHECK(!r->hidden && r->chat_id == 0);
	reply_button(&d, r, "Go", "abcd1234", "go", NULL);
	reply_style(&d, r, BUTTON_GOOD, true);
	CHECK_INT(r->rows[0].buttons[0].style, BUTTON_GOOD);
	CHECK(r->rows[0].buttons[0].off);
	r = decision_more(&d, "tok", "y", true);
	CHECK_INT(r->kind, REPLY_MORE);
	CHECK(r->hidden && d.replies->next == r);
	CHECK_INT(d.failed, ERR_OK);
	reply_style(&d, r, BUTTON_BAD, false);
	CHECK_STR(d.why, "a style without a button");
	decision_init(&(d), &a);
	decision_answer(&d, NULL, "x");
	CHECK_STR(d.why, "an answer without a token");
}

static void callback_data_has_a_limit_and_no_stray_colon(void)
{
	static const struct {
		const char *label, *mark, *verb, *arg;
		enum err want;
	} t[] = {{"x", "mark0001", "v", "53", ERR_OK},        {"x", "mark0001", "v", "", ERR_INTERNAL},
	         {"x", "mark0001", "v", "a:b", ERR_INTERNAL}, {"x", "mark0001", "v:w", "a", ERR_INTERNAL},
	         {"x", "mark:001", "v", "a", ERR_INTERNAL},   {"x", "", "v", "a", ERR_INTERNAL},
	         {" ", "mark0001", "v", "a", ERR_INTERNAL}};

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		BEGIN(d);

		reply_button(&d, decision_send(&d, 7, "x"), t[i].label, t[i].mark, t[i].verb, t[i].arg, NULL);
		CHECK_INT(d.failed, t[i].want);
	}
	for (size_t n = 53; n <= 54; n++) {
		BEGIN(d);

		/* "v:" + n + ":mark0001" */
		reply_button(&d, decision_send(&d, 7, "x"), "x", "mark0001", "v", many("a", n), NULL);
		CHECK_INT(d.failed, n == 53 ? ERR_OK : ERR_TOO_LONG);
	}
}

static void message_has_a_length(void)
{
	static const struct {
		const char *unit;
		size_t fits;
	} t[] = {{"a", 4096}, {"&amp;", 4096}, {"\xf0\x9f\x90\xa6", 2048}, {"<b>x</b>", 4096}, {"\xc3\xa9", 4096}};

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		BEGIN(d);

		decision_send(&d, 7, many(t[i].unit, t[i].fits));
		CHECK_INT(d.failed, ERR_OK);
		decision_send(&d, 7, many(t[i].unit, t[i].fits + 1));
		CHECK_INT(d.failed, ERR_TOO_LONG);
	}
}

static void empty_message_fails(void)
{
	static const char *const empty[] = {"",
	                                    " \n\t",
	                                    "\xe2\x80\x8b",
	                                    "\xc2\xa0 \xe3\x80\x80",
	                                    "\xef\xbb\xbf",
	                                    u8"\u3164",
	                                    u8"\u034f",
	                                    u8"\u115f\u1160",
	                                    u8"\uffa0",
	                                    u8"\u2800\u2800",
	                                    u8"\u17b4\u17b5",
	                                    u8"\ufe0f",
	                                    u8"\U000E0041\U000E007F",
	                                    u8"\U000E0100",
	                                    u8"\u0301",
	                                    u8" \u20dd"};
	static const char *const full[] = {".",
	                                   "\xe2\x80\xa6",
	                                   " \xc2\xa1",
	                                   "\xf0\x9f\x90\xa6",
	                                   "\xe3\x81\x81",
	                                   u8"e\u0301",
	                                   u8"\u2801",
	                                   u8"\u1161",
	                                   u8"\u0370",
	                                   u8"\u3165",
	                                   u8"\U0001F469\u200d\U0001F467",
	                                   u8"\U000DFFFF"};

	for (size_t i = 0; i < sizeof(empty) / sizeof(empty[0]); i++) {
		BEGIN(d);

		decision_send(&d, 7, empty[i]);
		CHECK_INT(d.failed, ERR_INTERNAL);
		CHECK(text_blank(empty[i]));
	}
	for (size_t i = 0; i < sizeof(full) / sizeof(full[0]); i++)
		CHECK(!text_blank(full[i]));
	CHECK(text_blank(NULL));
}

static void language_of_a_tag(void)
{
	CHECK(text_is_language("de", "de"));
	CHECK(text_is_language("DE-at", "de"));
	CHECK(text_is_language("de_CH", "de"));
	CHECK(!text_is_language("den", "de") && !text_is_language("d", "de") && !text_is_language("", "de"));
	CHECK(!text_is_language("-de", "de") && !text_is_language(NULL, "de"));
}

static void first_failure_stays(void)
{
	BEGIN(d);

	decision_fail(&d, "first");
	decision_send(&d, 0, "");
	decision_edit(&d, 5, 0, "x");
	CHECK_INT(d.failed, ERR_INTERNAL);
	CHECK_STR(d.why, "first");
}

static void what_is_not_there_fails(void)
{
	BEGIN(d);

	decision_send(&d, 0, "x");
	CHECK(d.failed);
	decision_init(&(d), &a);
	decision_edit(&d, 7, 0, "x");
	CHECK(d.failed);
	decision_init(&(d), &a);
	decision_disarm(&d, 7, 0);
	CHECK(d.failed);
	decision_init(&(d), &a);
	reply_link(&d, decision_send(&d, 7, "x"), "x", "");
	CHECK(d.failed);
}

static void escape_leaves_no_markup(void)
{
	CHECK_STR(text_escape(&a, "a<b>&\"c\"'\xc3\xa9"), "a&lt;b&gt;&amp;&quot;c&quot;'\xc3\xa9");
	CHECK_STR(text_escape(&a, ""), "");
}

static void fit_cuts_at_characters(void)
{
	CHECK_STR(text_fit(&a, "hello", 5), "hello");
	CHECK_STR(text_fit(&a, "hello!", 5), "hell\xe2\x80\xa6");
	CHECK_STR(text_fit(&a, "a\xf0\x9f\x90\xa6z", 4), "a\xf0\x9f\x90\xa6z");
	/* the bird is two units: it does not fit beside the dots */
	CHECK_STR(text_fit(&a, "a\xf0\x9f\x90\xa6z", 3), "a\xe2\x80\xa6");
	CHECK_STR(text_fit(&a, "abc", 1), "\xe2\x80\xa6");
	CHECK_STR(text_fit(&a, "abc", 0), "");
	CHECK_STR(text_fit(&a, "", 0), "");
}

static void html_is_counted_as_shown(void)
{
	CHECK_INT(text_html_units(""), 0);
	CHECK_INT(text_html_units("<b>a</b>&lt;\xf0\x9f\x90\xa6"), 4);
	CHECK_INT(text_html_units("a < b"), 5);
	CHECK_INT(text_html_units("<"), 1);
	CHECK_INT(text_html_units("&"), 1);
	CHECK_INT(text_html_units("<a href=\"https://example.org\">x</a>"), 1);
}

static void lines_tell_media_by_kind(void)
{
	CHECK_STR(update_line(&(struct update){.text = "hi"}, &a), "hi");
	CHECK_STR(update_line(&(struct update){.text = "my cat", .media = "photo"}, &a), "[photo] my cat");
	CHECK_STR(update_line(&(struct update){.text = "", .media = "sticker"}, &a), "[sticker]");
}

static void first_row_that_matches_decides(void)
{
	static const struct command rows[] = {
	    {.name = "group", .kinds = UPDATE_TEXT | UPDATE_COMMAND, .chats = CHAT_GROUP},
	    {.name = "go", .kinds = UPDATE_COMMAND, .word = "go"},
	    {.name = "any", .kinds = UPDATE_COMMAND},
	    {.name = "refused", .kinds = UPDATE_REFUSED},
	};
	static const struct bot bot = {.name = "b", .ncommands = 4, .commands = rows};
	struct update u = {.kind = UPDATE_COMMAND, .chat = CHAT_PRIVATE, .word = "go", .from.id = 5};

	CHECK_STR(bot_command(&bot, &u)->name, "go");
	u.word = "gone";
	CHECK_STR(bot_command(&bot, &u)->name, "any");
	u.chat = CHAT_GROUP;
	CHECK_STR(bot_command(&bot, &u)->name, "group");
	u.kind = UPDATE_PRESS;
	CHECK(!bot_command(&bot, &u));
	u.kind = UPDATE_TEXT;
	u.word = NULL;
	CHECK_STR(bot_command(&bot, &u)->name, "group");
	u.from.is_bot = true;
	CHECK(!bot_command(&bot, &u));
	u.from = (struct person){0};
	CHECK(!bot_command(&bot, &u));
	u.kind = UPDATE_REFUSED;
	CHECK_STR(bot_command(&bot, &u)->name, "refused");
}

static void amounts_are_read_exactly(void)
{
	static const struct {
		const char *text;
		int64_t scale;
		enum amount_fault fault;
		int64_t amount;
	} rows[] = {
	    {"25", 2, AMOUNT_GOOD, 2500},
	    {"25.5", 2, AMOUNT_GOOD, 2550},
	    {"25.50", 2, AMOUNT_GOOD, 2550},
	    {"25.50000", 2, AMOUNT_GOOD, 2550},
	    {"0025.5", 2, AMOUNT_GOOD, 2550},
	    {".5", 2, AMOUNT_GOOD, 50},
	    {"0.00000001", 8, AMOUNT_GOOD, 1},
	    {"7", 0, AMOUNT_GOOD, 7},
	    {"7.0", 0, AMOUNT_GOOD, 7},
	    /* 0.1 + 0.2 in floating point */
	    {"0.3", 8, AMOUNT_GOOD, 30000000},
	    {"1000000000", 6, AMOUNT_GOOD, AMOUNT_MAX},
	    {"9999999999999.99", 2, AMOUNT_GOOD, 999999999999999},
	    {"10000000000000.01", 2, AMOUNT_TOO_LARGE, 0},
	    {"1000000000.000001", 6, AMOUNT_TOO_LARGE, 0},
	    {"99999999999999999999999999999999999999", 0, AMOUNT_TOO_LARGE, 0},
	    {"9223372036854775808", 0, AMOUNT_TOO_LARGE, 0},
	    {"18446744073709551617", 0, AMOUNT_TOO_LARGE, 0},
	    {"0.001", 2, AMOUNT_TOO_FINE, 0},
	    {"1.000000001", 8, AMOUNT_TOO_FINE, 0},
	    {"0", 2, AMOUNT_ZERO, 0},
	    {"0.00", 2, AMOUNT_ZERO, 0},
	    {"00000", 8, AMOUNT_ZERO, 0},
	    {"", 2, AMOUNT_UNREADABLE, 0},
	    {".", 2, AMOUNT_UNREADABLE, 0},
	    {"5.", 2, AMOUNT_UNREADABLE, 0},
	    {"1.2.3", 2, AMOUNT_UNREADABLE, 0},
	    {"-5", 2, AMOUNT_UNREADABLE, 0},
	    {"+5", 2, AMOUNT_UNREADABLE, 0},
	    {"1,000", 2, AMOUNT_UNREADABLE, 0},
	    {"1,5", 2, AMOUNT_UNREADABLE, 0},
	    {"1 000", 2, AMOUNT_UNREADABLE, 0},
	    {" 5", 2, AMOUNT_UNREADABLE, 0},
	    {"1e5", 2, AMOUNT_UNREADABLE, 0},
	    {"0x10", 2, AMOUNT_UNREADABLE, 0},
	    {"nan", 2, AMOUNT_UNREADABLE, 0},
	    {"\u0665", 2, AMOUNT_UNREADABLE, 0}, /* an Arabic 5 */
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int64_t amount = 0;

		CHECK_INT(amount_parse(rows[i].text, rows[i].scale, &amount), rows[i].fault);
		CHECK_INT(amount, rows[i].amount);
		CHECK_INT(amount_readable(rows[i].text), rows[i].fault != AMOUNT_UNREADABLE);
	}
}

static void amounts_are_written_as_they_are_read(void)
{
	static const struct {
		int64_t amount, scale;
		const char *text;
	} rows[] = {
	    {2550, 2, "25.50"},
	    {2500, 2, "25.00"},
	    {0, 2, "0.00"},
	    {0, 8, "0.00"},
	    {1, 8, "0.00000001"},
	    {10, 8, "0.0000001"},
	    {1500000, 6, "1.50"},
	    {-300, 2, "-3.00"},
	    {7, 0, "7"},
	    {15, 1, "1.5"},
	    {0, 0, "0"},
	    {123456, 6, "0.123456"},
	    {AMOUNT_MAX, 2, "10000000000000.00"},
	    {INT64_MAX, 0, "9223372036854775807"},
	    {INT64_MIN, 2, "-92233720368547758.08"},
	    {INT64_MIN, 18, "-9.223372036854775808"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CHECK_STR(amount_format(&a, rows[i].amount, rows[i].scale), rows[i].text);
	for (int64_t n = 1; n < AMOUNT_MAX / 7; n = n * 7 + 3) {
		int64_t again = 0;

		for (int64_t scale = 0; scale <= 12; scale++) {
			CHECK_INT(amount_parse(amount_format(&a, n, scale), scale, &again), AMOUNT_GOOD);
			CHECK_INT(again, n);
		}
	}
}

static void places_are_filled(void)
{
	CHECK_STR(FILL(&a, "{a} and {b}{a}", WORDS("a", "<1>"), MARKUP("b", "<b>2</b>")),
	          "&lt;1&gt; and <b>2</b>&lt;1&gt;");
	/* what is put in is not looked at again; what no slot is called after stays */
	CHECK_STR(FILL(&a, "{a}{b}", WORDS("a", "{b}"), WORDS("b", "{a}")), "{b}{a}");
	CHECK_STR(FILL(&a, "{c} {a {a}} {", WORDS("a", "x")), "{c} {a x} {");
	CHECK_STR(FILL(&a, "", WORDS("a", "x")), "");
	CHECK_STR(FILL(&a, "{aa}{a}", WORDS("a", "1"), WORDS("aa", "2")), "21");
}

static void words_of_others_are_tamed(void)
{
	CHECK_STR(text_tame(&a, "Ann\u202e\u2066\u200fB\u061c", false), "AnnB");
	CHECK_STR(text_tame(&a, "a\nb\tc\x7f\x01", false), "a b c  ");
	CHECK_STR(text_tame(&a, "a\nb\tc", true), "a\nb c");
	CHECK_STR(text_tame(&a, "\u05d0\u05d1 \U0001f600 e\u0301", false), "\u05d0\u05d1 \U0001f600 e\u0301");
	CHECK_STR(text_tame(&a, "a\u2028b\u2029", true), "ab");
}

int main(void)
{
	arena_init(&a);
	RUN(parameters_keep_order_and_null);
	RUN(replies_keep_their_order);
	RUN(buttons_stand_in_rows);
	RUN(answers_go_by_token);
	RUN(callback_data_has_a_limit_and_no_stray_colon);
	RUN(message_has_a_length);
	RUN(empty_message_fails);
	RUN(language_of_a_tag);
	RUN(first_failure_stays);
	RUN(what_is_not_there_fails);
	RUN(escape_leaves_no_markup);
	RUN(fit_cuts_at_characters);
	RUN(html_is_counted_as_shown);
	RUN(amounts_are_read_exactly);
	RUN(amounts_are_written_as_they_are_read);
	RUN(places_are_filled);
	RUN(words_of_others_are_tamed);
	RUN(lines_tell_media_by_kind);
	RUN(first_row_that_matches_decides);
	arena_release(&a);
	DONE();
}
