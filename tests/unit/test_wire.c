/* links: base model wire */
#include "check.h"

#include "shoal/wire/own.h"
#include "shoal/wire/platform.h"
#include "shoal/wire/telegram.h"

static const struct bot bot = {.name = "persona", .platform = PLATFORM_TELEGRAM};
static struct arena arena;

static struct update decoded(const char *body)
{
	struct update u;
	const char *why = NULL;
	enum err err;

	arena_release(&arena);
	arena_init(&arena);
	err = platform_telegram.decode(&bot, span_of(body), "key", 42, &arena, &u, &why);
	if (err != ERR_OK)
		printf("# %s: %s\n", body, why);
	CHECK_INT(err, ERR_OK);
	return u;
}

#define PRIVATE "\"chat\":{\"id\":77,\"type\":\"private\"},\"from\":{\"id\":77,\"first_name\":\"Ada\"}"
#define MESSAGE(more) "{\"update_id\":1,\"message\":{\"message_id\":5," PRIVATE "," more "}}"

static void a_text_message(void)
{
	struct update u =
	    decoded("{\"update_id\":10,\"message\":{\"message_id\":1365,\"from\":{\"id\":4503599627370497,"
	            "\"is_bot\":false,\"first_name\":\"Ada\",\"last_name\":\"L\",\"username\":\"ada\","
	            "\"language_code\":\"en\"},\"chat\":{\"id\":4503599627370497,\"type\":\"private\"},"
	            "\"date\":1700000000,\"text\":\"h\\u00e9llo \\ud83d\\ude00 \\u0000.\"}}");

	CHECK_INT(u.kind, UPDATE_TEXT);
	CHECK_STR(u.kind_name, "message");
	CHECK_STR(u.key, "key");
	CHECK_INT(u.received_ms, 42);
	CHECK(u.from.id == 4503599627370497);
	CHECK_STR(u.from.first_name, "Ada");
	CHECK_STR(u.from.username, "ada");
	CHECK_STR(u.from.language_code, "en");
	CHECK(!u.from.is_bot);
	CHECK(u.chat_id == 4503599627370497);
	CHECK_INT(u.chat, CHAT_PRIVATE);
	CHECK_INT(u.message_id, 1365);
	CHECK_STR(u.text, "h\xc3\xa9llo \xf0\x9f\x98\x80 \xef\xbf\xbd.");
	CHECK_STR(u.payload, "");
	CHECK(!u.word && !u.media && !u.press_id && !u.mark);
}

static void ids_are_exact(void)
{
	struct update u = decoded("{\"message\":{\"chat\":{\"id\":-9223372036854775808,\"type\":\"supergroup\"},"
	                          "\"from\":{\"id\":9223372036854775807},\"text\":\"x\"}}");

	CHECK(u.chat_id == INT64_MIN);
	CHECK(u.from.id == INT64_MAX);
	CHECK_INT(u.chat, CHAT_GROUP);
}

static void commands(void)
{
	static const struct {
		const char *text, *word, *payload; /* word NULL: an ordinary text */
	} cases[] = {
	    {"/start", "start", ""},
	    {"/start CODE_1-x", "start", "CODE_1-x"},
	    {"/START  CODE \\n", "start", "CODE"},
	    {"/start@some_bot", "start", ""},
	    {"/start@Some_Bot\\tCODE", "start", "CODE"},
	    {"/start\\na b", "start", "a b"},
	    {"/a2345678901234567890123456789012", "a2345678901234567890123456789012", ""},
	    {"/a23456789012345678901234567890123", NULL, ""},
	    {" /start", NULL, ""},
	    {"/", NULL, ""},
	    {"/ start", NULL, ""},
	    {"/start@", NULL, ""},
	    {"/start-x", NULL, ""},
	    {"//start", NULL, ""},
	    {"/stårt", NULL, ""},
	    {"say /start", NULL, ""},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char body[512];
		struct update u;

		snprintf(body, sizeof(body), MESSAGE("\"text\":\"%s\""), cases[i].text);
		u = decoded(body);
		CHECK_INT(u.kind, cases[i].word ? UPDATE_COMMAND : UPDATE_TEXT);
		CHECK_STR(u.word, cases[i].word);
		CHECK_STR(u.payload, cases[i].payload);
	}
}

/* data -> word|arg|arg|mark, "-" for what is not there */
static void presses(void)
{
	static const struct {
		const char *data, *want;
	} cases[] = {
	    {"age:yes:12:abcd1234", "age|yes|12|abcd1234"},
	    {"age:abcd1234", "age|abcd1234"},
	    {"age", "age|-"},
	    {"age:yes", "age|yes|-"},
	    {"age:ABCD1234", "age|ABCD1234|-"},
	    {"age:abcd123", "age|abcd123|-"},
	    {"age::abcd1234", "age||abcd1234"},
	    {"abcd1234", "abcd1234|-"},
	    {"a:1:2:3:4:5:6:abcd1234", "a|1|2|3|4|5|6|abcd1234"},
	    {"a:1:2:3:4:5:6", "a|1|2|3|4|5|6|-"},
	    {"a:1:2:3:4:5:6:7", "-|-"},
	    {"a:1:2:3:4:5:6:7:abcd1234", "-|-"},
	    {"", "-|-"},
	    {":abcd1234", "-|-"},
	    {"Age:abcd1234", "-|-"},
	    {"\\ud83d\\ude00:abcd1234", "-|-"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char body[512], got[256];
		struct update u;
		int n;

		snprintf(body, sizeof(body),
		         "{\"update_id\":1,\"callback_query\":{\"id\":\"999728699048485871\",\"from\":{\"id\":8},"
		         "\"message\":{\"message_id\":9,\"date\":0,\"chat\":{\"id\":8,\"type\":\"private\"}},"
		         "\"chat_instance\":\"1\",\"data\":\"%s\"}}",
		         cases[i].data);
		u = decoded(body);
		CHECK_INT(u.kind, UPDATE_PRESS);
		CHECK_STR(u.press_id, "999728699048485871");
		CHECK_INT(u.message_id, 9);
		CHECK_INT(u.chat_id, 8);
		CHECK_INT(u.chat, CHAT_PRIVATE);
		n = snprintf(got, sizeof(got), "%s", u.word ? u.word : "-");
		for (unsigned k = 0; k < u.nargs; k++)
			n += snprintf(got + n, sizeof(got) - (size_t)n, "|%s", u.args[k]);
		snprintf(got + n, sizeof(got) - (size_t)n, "|%s", u.mark ? u.mark : "-");
		CHECK_STR(got, cases[i].want);
	}
}

static void presses_without_a_message(void)
{
	struct update u = decoded("{\"update_id\":1,\"callback_query\":{\"id\":\"5\",\"from\":{\"id\":8},"
	                          "\"inline_message_id\":\"x\",\"game_short_name\":\"g\"}}");

	CHECK_INT(u.kind, UPDATE_PRESS);
	CHECK_INT(u.chat, CHAT_NONE);
	CHECK_INT(u.from.id, 8);
	CHECK_STR(u.data, "");
	CHECK(u.word == NULL);
	CHECK_INT(decoded("{\"update_id\":1,\"callback_query\":{\"from\":{\"id\":8}}}").kind, UPDATE_OTHER);
	CHECK_INT(decoded("{\"update_id\":1,\"callback_query\":{\"id\":\"5\"}}").kind, UPDATE_OTHER);
}

static void media_and_service(void)
{
	static const struct {
		const char *more;
		enum update_kind kind;
		const char *media, *text;
	} cases[] = {
	    {"\"photo\":[{}],\"caption\":\"see\"", UPDATE_MEDIA, "photo", "see"},
	    {"\"document\":{},\"animation\":{}", UPDATE_MEDIA, "animation", ""},
	    {"\"photo\":[],\"live_photo\":{}", UPDATE_MEDIA, "live_photo", ""},
	    {"\"location\":{},\"venue\":{}", UPDATE_MEDIA, "venue", ""},
	    {"\"voice\":{},\"caption\":7", UPDATE_MEDIA, "voice", ""},
	    {"\"sticker\":{},\"text\":\"\"", UPDATE_MEDIA, "sticker", ""},
	    {"\"sticker\":{},\"text\":\"words win\"", UPDATE_TEXT, NULL, "words win"},
	    {"\"photo\":null,\"caption\":\"x\"", UPDATE_OTHER, NULL, ""},
	    {"\"new_chat_members\":[{\"id\":1}]", UPDATE_SERVICE, "new_chat_members", ""},
	    {"\"pinned_message\":{\"chat\":{\"id\":1},\"message_id\":2,\"date\":0}", UPDATE_SERVICE, "pinned_message",
	     ""},
	    {"\"migrate_to_chat_id\":-1001", UPDATE_SERVICE, "migrate_to_chat_id", ""},
	    {"\"group_chat_created\":true", UPDATE_SERVICE, "group_chat_created", ""},
	    {"\"group_chat_created\":false", UPDATE_OTHER, NULL, ""},
	    {"\"of_tomorrow\":{}", UPDATE_OTHER, NULL, ""},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char body[512];
		struct update u;

		snprintf(body, sizeof(body), MESSAGE("%s"), cases[i].more);
		u = decoded(body);
		CHECK_INT(u.kind, cases[i].kind);
		CHECK_STR(u.media, cases[i].media);
		CHECK_STR(u.text, cases[i].text);
		CHECK_STR(u.kind_name, "message");
	}
}

static void membership(void)
{
	static const struct {
		const char *member;
		bool blocked;
	} cases[] = {
	    {"\"status\":\"kicked\",\"until_date\":0", true},
	    {"\"status\":\"left\"", true},
	    {"\"status\":\"member\"", false},
	    {"\"status\":\"administrator\"", false},
	    {"\"status\":\"restricted\",\"is_member\":true", false},
	    {"\"status\":\"restricted\",\"is_member\":false", true},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char body[512];
		struct update u;

		snprintf(body, sizeof(body),
		         "{\"update_id\":1,\"my_chat_member\":{" PRIVATE ",\"new_chat_member\":{%s}}}",
		         cases[i].member);
		u = decoded(body);
		CHECK_INT(u.kind, UPDATE_MEMBER);
		CHECK_INT(u.blocked, cases[i].blocked);
		CHECK_INT(u.from.id, 77);
	}
	CHECK_INT(decoded("{\"update_id\":1,\"my_chat_member\":{" PRIVATE "}}").kind, UPDATE_OTHER);
	CHECK_INT(
	    decoded("{\"update_id\":1,\"chat_member\":{" PRIVATE ",\"new_chat_member\":{\"status\":\"left\"}}}").kind,
	    UPDATE_OTHER);
}

static void what_no_bot_handles(void)
{
	static const char *const names[] = {"edited_message",
	                                    "channel_post",
	                                    "edited_channel_post",
	                                    "business_connection",
	                                    "business_message",
	                                    "edited_business_message",
	                                    "deleted_business_messages",
	                                    "guest_message",
	                                    "message_reaction",
	                                    "message_reaction_count",
	                                    "inline_query",
	                                    "chosen_inline_result",
	                                    "shipping_query",
	                                    "pre_checkout_query",
	                                    "purchased_paid_media",
	                                    "poll",
	                                    "poll_answer",
	                                    "chat_member",
	                                    "chat_join_request",
	                                    "chat_boost",
	                                    "removed_chat_boost",
	                                    "managed_bot"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char body[256];
		struct update u;

		snprintf(body, sizeof(body), "{\"update_id\":1,\"%s\":{" PRIVATE ",\"text\":\"/start\"}}", names[i]);
		u = decoded(body);
		CHECK_INT(u.kind, UPDATE_OTHER);
		CHECK_STR(u.kind_name, names[i]);
		CHECK_STR(u.text, "");
	}
	CHECK_STR(decoded("{\"update_id\":1,\"of_tomorrow\":{" PRIVATE "}}").kind_name, "unknown");
	CHECK_STR(decoded("{\"update_id\":1}").kind_name, "unknown");
	CHECK_STR(decoded("{}").kind_name, "unknown");
	CHECK_INT(decoded("{}").kind, UPDATE_OTHER);
	CHECK_INT(decoded("{\"update_id\":1,\"chat_boost\":{\"chat\":{\"id\":-4,\"type\":\"channel\"},\"boost\":"
	                  "{\"source\":{\"user\":{\"id\":66}}}}}")
	              .from.id,
	          66);
}

/* A message of somebody who is called n times U+6F01. */
static struct update of_somebody_called(size_t n)
{
	char name[9001] = "", body[20000];

	for (size_t i = 0; i < n; i++)
		memcpy(name + 3 * i, "\xE6\xBC\x81", 4);
	snprintf(body, sizeof(body),
	         "{\"update_id\":1,\"message\":{\"chat\":{\"id\":5},\"from\":{\"id\":5,\"first_name\":\"%s\","
	         "\"username\":\"%s\"},\"text\":\"hi\"}}",
	         name, name);
	return decoded(body);
}

static void names_end_somewhere(void)
{
	struct update u = of_somebody_called(64); /* as long as Telegram has them */

	CHECK_INT(strlen(u.from.first_name), 3 * 64);
	u = of_somebody_called(3000);
	CHECK_INT(utf8_utf16_len(span_of(u.from.first_name)), 256);
	CHECK_STR(u.from.first_name + strlen(u.from.first_name) - 6, "\xE6\xBC\x81\xE2\x80\xA6");
	CHECK_STR(u.from.username, u.from.first_name);
}

/* Minimal and ill-typed payloads, as other programs' tests send them. */
static void missing_and_wrong_fields(void)
{
	struct update u = decoded("{\"update_id\":1,\"message\":{\"chat\":{\"id\":111,\"type\":\"private\","
	                          "\"first_name\":\"Old\",\"username\":\"old\"},\"text\":\"/start\"}}");

	CHECK_INT(u.kind, UPDATE_COMMAND);
	CHECK_INT(u.from.id, 111); /* a private chat is its person */
	CHECK_STR(u.from.first_name, "Old");
	CHECK_STR(u.from.username, "old");
	CHECK_INT(u.message_id, 0);
	u = decoded("{\"update_id\":1,\"message\":{\"chat\":{\"id\":-111,\"type\":\"group\"},\"text\":\"hi\"}}");
	CHECK_INT(u.kind, UPDATE_TEXT);
	CHECK_INT(u.from.id, 0);
	u = decoded("{\"update_id\":1,\"message\":{\"chat\":{\"id\":5},\"from\":{\"id\":5,\"first_name\":null,"
	            "\"username\":7,\"is_bot\":\"yes\"},\"text\":\"hi\"}}");
	CHECK_INT(u.chat, CHAT_PRIVATE);
	CHECK(!u.from.first_name && !u.from.username && !u.from.is_bot);
	CHECK_INT(decoded("{\"update_id\":1,\"message\":{\"message_id\":1}}").kind, UPDATE_OTHER);
	CHECK_INT(decoded("{\"update_id\":1,\"message\":{\"chat\":[],\"text\":\"hi\"}}").kind, UPDATE_OTHER);
	CHECK_INT(decoded("{\"update_id\":1,\"message\":{\"chat\":{\"id\":0},\"text\":\"hi\"}}").kind, UPDATE_OTHER);
	CHECK_INT(decoded("{\"update_id\":1,\"message\":[1]}").kind, UPDATE_OTHER);
	CHECK_INT(decoded(MESSAGE("\"text\":[\"hi\"]")).kind, UPDATE_OTHER);
	u = decoded("{\"update_id\":1,\"callback_query\":{\"id\":\"1\",\"from\":{\"id\":5},\"data\":\"y\","
	            "\"message\":{\"message_id\":-3,\"chat\":{\"id\":5}}}}");
	CHECK_INT(u.kind, UPDATE_PRESS);
	CHECK_INT(u.message_id, 0); /* no message that a call could name */
}

static void bodies_that_are_nothing(void)
{
	static const char *const bodies[] = {"", "[]", "7", "{", "{\"message\":{\"text\":\"\xff\"}}", "nul"};

	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		struct update u;
		const char *why = NULL;

		CHECK_INT(platform_telegram.decode(&bot, span_of(bodies[i]), "k", 1, &arena, &u, &why), ERR_INVALID);
		CHECK(why && *why);
	}
}

static void the_fleets_own_word(void)
{
	struct span body = refused_encode(-100123, &arena);
	struct update u;
	const char *why;

	CHECK_INT(platform_telegram.decode(&bot, body, "k", 1, &arena, &u, &why), ERR_OK);
	CHECK_INT(u.kind, UPDATE_REFUSED);
	CHECK_INT(u.chat_id, -100123);
	CHECK_INT(u.chat, CHAT_GROUP);
	CHECK_INT(decoded("{\"shoal\":\"refused\",\"chat_id\":55}").from.id, 55);
	/* what came from Telegram never passes for it */
	CHECK_INT(decoded("{\"shoal\":\"refused\",\"chat_id\":5,\"update_id\":1}").kind, UPDATE_OTHER);
}

static void a_bots_own_name(void)
{
#define NAME(answer) platform_telegram.name_in(SPAN(answer), &arena)
	CHECK_STR(NAME("{\"ok\":true,\"result\":{\"id\":1,\"is_bot\":true,\"username\":\"Some_bot1\"}}"), "Some_bot1");
	CHECK(!NAME("{\"ok\":true,\"result\":{\"id\":1}}"));
	CHECK(!NAME("{\"ok\":true,\"result\":{\"username\":\"\"}}"));
	CHECK(!NAME("{\"ok\":true,\"result\":{\"username\":\"a/b?c\"}}")); /* it becomes a part of a link */
	CHECK(!NAME("{\"ok\":true,\"result\":{\"username\":7}}"));
	CHECK(!NAME("{\"ok\":false}"));
	CHECK(!NAME("<html>"));
	CHECK(!NAME(""));
}

static void what_is_due(void)
{
	static const char *const others[] = {
	    "{\"shoal\":\"due\",\"chat_id\":55,\"what\":\"expire\",\"of\":\"T1\",\"update_id\":1}",
	    "{\"shoal\":\"due\",\"chat_id\":55,\"what\":\"expire\"}",
	    "{\"shoal\":\"due\",\"chat_id\":55,\"of\":\"T1\"}",
	    "{\"shoal\":\"due\",\"chat_id\":55,\"what\":\"\",\"of\":\"T1\"}",
	    "{\"shoal\":\"due\",\"what\":\"expire\",\"of\":\"T1\"}",
	    "{\"shoal\":\"else\",\"chat_id\":55,\"what\":\"expire\",\"of\":\"T1\"}",
	};
	struct span body = due_encode("expire", "T\"1", 55, &arena);
	struct update u;
	const char *why;

	CHECK_INT(platform_telegram.decode(&bot, body, "k", 1, &arena, &u, &why), ERR_OK);
	CHECK_INT(u.kind, UPDATE_DUE);
	CHECK_STR(u.kind_name, "due");
	CHECK_STR(u.word, "expire");
	CHECK_INT(u.nargs, 1);
	CHECK_STR(u.args[0], "T\"1");
	CHECK_INT(u.chat_id, 55);
	CHECK_INT(u.from.id, 0); /* nobody did it */
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		CHECK_INT(decoded(others[i]).kind, UPDATE_OTHER);
}

/* Every recorded update, and each of them cut off anywhere or with a byte turned: no crash, no half result. */
static void recorded_updates(void)
{
	FILE *f = fopen("tests/fixtures/telegram-updates.jsonl", "r");
	static char line[1 << 16];
	int lines = 0, texts = 0;

	CHECK(f != NULL);
	while (f && fgets(line, sizeof(line), f)) {
		size_t len = strcspn(line, "\n");
		struct arena a;
		struct update u;
		const char *why = NULL;

		arena_init(&a);
		CHECK_INT(platform_telegram.decode(&bot, (struct span){line, len}, "k", 1, &a, &u, &why), ERR_OK);
		texts += u.kind == UPDATE_TEXT || u.kind == UPDATE_COMMAND;
		for (size_t cut = 0; cut < len; cut += 7) {
			char kept = line[cut];

			CHECK_INT(platform_telegram.decode(&bot, (struct span){line, cut}, "k", 1, &a, &u, &why),
			          ERR_INVALID);
			line[cut] = (char)(kept ^ (1 << (cut % 8)));
			(void)!platform_telegram.decode(&bot, (struct span){line, len}, "k", 1, &a, &u, &why);
			line[cut] = kept;
		}
		arena_release(&a);
		lines++;
	}
	CHECK_INT(lines, 219);
	CHECK(texts > 40);
	if (f)
		fclose(f);
}

/* --- out */

static const char *encoded(const struct reply *r)
{
	static char out[1 << 16];
	struct call c;
	const char *why = "";

	arena_release(&arena);
	arena_init(&arena);
	if (platform_telegram.encode(r, "k#0", &arena, &c, &why) == ERR_OK)
		snprintf(out, sizeof(out), "%s %.*s", c.method, (int)c.body.len, c.body.ptr);
	else
		snprintf(out, sizeof(out), "! %s", why);
	return out;
}

static void messages(void)
{
	struct button yes = {.label = "Yes \"!\"", .data = "age:yes:abcd1234"},
	              site = {.label = "Site", .url = "https://example.org/?a=1&b"};
	struct button both[] = {yes, site};
	struct button_row rows[] = {{1, &yes}, {2, both}};
	struct reply r = {
	    .kind = REPLY_SEND, .chat_id = -1001234567890123, .html = "<b>Hi</b> &lt;you&gt;\n\xf0\x9f\x98\x80"};

	CHECK_STR(encoded(&r), "sendMessage {\"chat_id\":-1001234567890123,\"text\":\"<b>Hi</b> &lt;you&gt;\\n"
	                       "\xf0\x9f\x98\x80\",\"parse_mode\":\"HTML\","
	                       "\"link_preview_options\":{\"is_disabled\":true}}");
	r.html = "Sure?";
	r.nrows = 2;
	r.rows = rows;
	CHECK_STR(encoded(&r), "sendMessage {\"chat_id\":-1001234567890123,\"text\":\"Sure?\",\"parse_mode\":\"HTML\","
	                       "\"link_preview_options\":{\"is_disabled\":true},\"reply_markup\":{\"inline_keyboard\":["
	                       "[{\"text\":\"Yes \\\"!\\\"\",\"callback_data\":\"age:yes:abcd1234\"}],"
	                       "[{\"text\":\"Yes \\\"!\\\"\",\"callback_data\":\"age:yes:abcd1234\"},"
	                       "{\"text\":\"Site\",\"url\":\"https://example.org/?a=1&b\"}]]}}");
	r = (struct reply){.kind = REPLY_EDIT, .chat_id = 7, .message_id = 8, .html = "New"};
	CHECK_STR(encoded(&r), "editMessageText {\"chat_id\":7,\"message_id\":8,\"text\":\"New\",\"parse_mode\":"
	                       "\"HTML\",\"link_preview_options\":{\"is_disabled\":true}}");
	r = (struct reply){.kind = REPLY_DISARM, .chat_id = 7, .message_id = 8};
	CHECK_STR(encoded(&r), "editMessageReplyMarkup {\"chat_id\":7,\"message_id\":8,"
	                       "\"reply_markup\":{\"inline_keyboard\":[]}}");
}

static void scope_of_a_call(void)
{
	struct reply r = {.kind = REPLY_SEND, .chat_id = -5, .group = true, .html = "x"};
	struct call c;
	const char *why;

	CHECK_INT(platform_telegram.encode(&r, "k#0", &arena, &c, &why), ERR_OK);
	CHECK_INT(c.chat_id, -5);
	CHECK(c.group);
	platform_telegram.answer_press("12", "Saved", &arena, &c);
	CHECK_INT(c.chat_id, 0);
	CHECK_STR(c.method, "answerCallbackQuery");
	CHECK(span_is(c.body, "{\"callback_query_id\":\"12\",\"text\":\"Saved\"}"));
	CHECK(span_is(telegram_webhook_reply(&c, &arena),
	              "{\"method\":\"answerCallbackQuery\",\"callback_query_id\":\"12\",\"text\":\"Saved\"}"));
	platform_telegram.answer_press("1\"2", "", &arena, &c);
	CHECK(span_is(c.body, "{\"callback_query_id\":\"1\\\"2\"}"));
	const struct credentials who = {.api = "https://api.example", .token = "12:AB"};
	struct request request;

	platform_telegram.request(&who, &(struct call){.method = "sendMessage", .body = SPAN("{\"a\":1}")}, &arena,
	                          &request);
	CHECK_STR(request.method, "POST");
	CHECK(span_is(request.body, "{\"a\":1}"));
	CHECK(!request.headers[0]);
	CHECK_STR(request.url, "https://api.example/bot12:AB/sendMessage");
}

static bool refused(const struct reply *r)
{
	return encoded(r)[0] == '!' && strlen(encoded(r)) > 10;
}

static char *repeated(const char *what, size_t n)
{
	size_t len = strlen(what);
	char *out = mem_alloc(n * len + 1);

	for (size_t i = 0; i < n; i++)
		memcpy(out + i * len, what, len);
	out[n * len] = 0;
	return out;
}

/* 4,096 UTF-16 units as shown: tags are nothing, an entity is one, a character beyond the BMP is two. */
static void length_of_a_text(void)
{
	static const struct {
		const char *what;
		size_t fit;
	} cases[] = {{"x", 4096},     {"\xc3\xa9", 4096},  {"\xf0\x9f\x98\x80", 2048}, {"<b>x</b>", 4096},
	             {"&amp;", 4096}, {"&#128512;", 2048}, {"&#x41;", 4096},           {"&nbsp;", 682}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *most = repeated(cases[i].what, cases[i].fit), *more = repeated(cases[i].what, cases[i].fit + 1);
		struct reply r = {.kind = REPLY_SEND, .chat_id = 7, .html = most};

		CHECK(!refused(&r));
		r.html = more;
		CHECK(refused(&r));
		free(most);
		free(more);
	}
}

static void texts_that_telegram_refuses(void)
{
	static const char *const texts[] = {"",      " \n\t", "<b></b>", "<b>x",      "x</b>", "<b><i>x</b></i>",
	                                    "a < b", "<br>x", "<b",      "<a href='", "x\xff", "<",
	                                    "</",    "<>",    "&#32;"};
	static const char *const fine[] = {"a > b",
	                                   "&",
	                                   "&amp",
	                                   "&#;",
	                                   "&#x;",
	                                   "&#xzz;",
	                                   "&#1114112;",
	                                   "a &lt; b",
	                                   "<a href=\"tg://user?id=1\">x</a>",
	                                   "<B>x</b>",
	                                   "<span class=\"tg-spoiler\">x</span>",
	                                   "<a href=\"a>b\">x</a>",
	                                   "<pre><code class=\"language-c\">x</code></pre>"};
	struct reply r = {.kind = REPLY_SEND, .chat_id = 7};

	CHECK(refused(&r));
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		r.html = texts[i];
		CHECK(refused(&r));
	}
	for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++) {
		r.html = fine[i];
		CHECK(!refused(&r));
	}
}

static void limits_of_buttons(void)
{
	char *most = repeated("x", 64), *more = repeated("x", 65);
	struct button b = {.label = "B", .data = most};
	struct button_row row = {1, &b};
	struct reply r = {.kind = REPLY_SEND, .chat_id = 7, .html = "x", .nrows = 1, .rows = &row};

	CHECK(!refused(&r));
	b.data = more;
	CHECK(refused(&r));
	b.data = "";
	CHECK(refused(&r));
	b.data = NULL;
	CHECK(refused(&r));
	b.url = "https://example.org";
	CHECK(!refused(&r));
	b.label = "";
	CHECK(refused(&r));
	row.n = 0;
	CHECK(refused(&r));
	r = (struct reply){.kind = REPLY_SEND, .html = "x"};
	CHECK(refused(&r));
	r = (struct reply){.kind = REPLY_EDIT, .chat_id = 7, .html = "x"};
	CHECK(refused(&r));
	free(most);
	free(more);
}

/* As many as Telegram takes, each as long as it may be, below a text of the same kind. */
static void a_hundred_buttons(void)
{
	char *label = repeated("\xf0\x9f\x90\x8b", 32), *data = repeated("\"", 64), *text = repeated("&amp;", 4096);
	struct button_row rows[100];
	struct button buttons[100];
	struct reply r = {.kind = REPLY_SEND, .chat_id = 7, .html = text, .nrows = 100, .rows = rows};
	unsigned n = 0;

	for (int i = 0; i < 100; i++) {
		buttons[i] = (struct button){.label = label, .data = data};
		rows[i] = (struct button_row){1, &buttons[i]};
	}
	CHECK(!refused(&r));
	for (const char *at = encoded(&r); (at = strstr(at, "\"callback_data\":")) != NULL; at++)
		n++;
	CHECK_INT(n, 100);
	free(label);
	free(data);
	free(text);
}

static void judge(int status, const char *body, int64_t retry_after_ms, struct ruling *out)
{
	const struct response res = {status, span_of(body), retry_after_ms, NULL};

	platform_telegram.judge(&res, &arena, out);
}

static void rulings(void)
{
	static const struct {
		int status;
		const char *body;
		int64_t header_ms;
		enum verdict verdict;
		int64_t wait_ms;
		bool whole_bot;
	} cases[] = {
	    {200, "{\"ok\":true,\"result\":{\"message_id\":5}}", -1, CALL_DONE, -1, false},
	    {200, "{\"ok\":true,\"result\":true}", 3000, CALL_DONE, -1, false},
	    {200, "{\"ok\":false,\"error_code\":400,\"description\":\"Bad Request: x\"}", -1, CALL_FINAL, -1, false},
	    {200, "{\"ok\":false,\"error_code\":500,\"description\":\"x\"}", -1, CALL_OUTAGE, -1, false},
	    {200, "{\"ok\":\"true\"}", -1, CALL_OUTAGE, -1, false},
	    {200, "", -1, CALL_OUTAGE, -1, false},
	    {200, "<html>", -1, CALL_OUTAGE, -1, false},
	    {200, "{\"result\":{}}", -1, CALL_OUTAGE, -1, false},
	    {302, "{\"ok\":true}", -1, CALL_OUTAGE, -1, false},
	    {429,
	     "{\"ok\":false,\"error_code\":429,\"description\":\"Too Many Requests: retry after 35\","
	     "\"parameters\":{\"retry_after\":35}}",
	     -1, CALL_LATER, 35000, false},
	    {429, "{\"ok\":false,\"error_code\":429,\"description\":\"x\",\"parameters\":{\"retry_after\":7}}", 90000,
	     CALL_LATER, 7000, false},
	    {429, "slow down", 4000, CALL_LATER, 4000, false},
	    {429, "{\"ok\":false,\"parameters\":{\"retry_after\":9000000000000000000}}", -1, CALL_LATER, 86400000,
	     false},
	    {429, "{\"ok\":false,\"parameters\":{\"retry_after\":1e308}}", -1, CALL_LATER, 86400000, false},
	    {429, "{\"ok\":false,\"parameters\":{\"retry_after\":1e12}}", -1, CALL_LATER, 86400000, false},
	    {429, "{\"ok\":false,\"parameters\":{\"retry_after\":1.5}}", -1, CALL_LATER, 2000, false},
	    {429, "{\"ok\":false,\"parameters\":{\"retry_after\":-3}}", -1, CALL_LATER, 1000, false},
	    {429, "{\"ok\":false,\"parameters\":{\"retry_after\":0}}", -1, CALL_LATER, 1000, false},
	    {429, "", -1, CALL_LATER, 1000, false},
	    {429, "{\"ok\":false,\"description\":\"Too Many Requests: retry after 35\"}", -1, CALL_LATER, 35000, false},
	    {429, "{\"ok\":false,\"description\":\"Too Many Requests: retry after 35\"}", 4000, CALL_LATER, 4000,
	     false},
	    {429, "{\"ok\":false,\"description\":\"Too Many Requests: retry after \"}", -1, CALL_LATER, 1000, false},
	    {420, "{\"ok\":false,\"error_code\":420,\"description\":\"x\"}", -1, CALL_LATER, 1000, false},
	    {403, "{\"ok\":false,\"error_code\":403,\"description\":\"Forbidden: bot was blocked by the user\"}", -1,
	     CALL_BLOCKED, -1, false},
	    {403, "{\"ok\":false,\"error_code\":403,\"description\":\"Forbidden: user is deactivated\"}", -1,
	     CALL_BLOCKED, -1, false},
	    {403, "{\"ok\":false,\"error_code\":403,\"description\":\"Forbidden: bot was kicked from the group chat\"}",
	     -1, CALL_BLOCKED, -1, false},
	    {403,
	     "{\"ok\":false,\"error_code\":403,\"description\":\"Forbidden: bot can't initiate conversation with a "
	     "user\"}",
	     -1, CALL_BLOCKED, -1, false},
	    {403, "denied by the proxy", -1, CALL_OUTAGE, -1, false},
	    {400, "{\"ok\":false,\"error_code\":400,\"description\":\"Bad Request: chat not found\"}", -1, CALL_FINAL,
	     -1, false},
	    {400,
	     "{\"ok\":false,\"error_code\":400,\"description\":\"x\",\"parameters\":{\"migrate_to_chat_id\":-100}}", -1,
	     CALL_FINAL, -1, false},
	    {400, "Bad Request", -1, CALL_OUTAGE, -1, false},
	    {401, "{\"ok\":false,\"error_code\":401,\"description\":\"Unauthorized\"}", -1, CALL_DENIED, -1, false},
	    {404, "{\"ok\":false,\"error_code\":404,\"description\":\"Not Found\"}", -1, CALL_DENIED, -1, false},
	    {409, "{\"ok\":false,\"error_code\":409,\"description\":\"Conflict\"}", -1, CALL_LATER, -1, true},
	    {500, "{\"ok\":false,\"error_code\":500,\"description\":\"Internal\"}", -1, CALL_OUTAGE, -1, false},
	    {502, "<html>", 2000, CALL_OUTAGE, 2000, false},
	    {502, "<html>", -1, CALL_OUTAGE, -1, false},
	    {503, "{\"ok\":false,\"error_code\":503,\"parameters\":{\"retry_after\":2}}", -1, CALL_OUTAGE, 2000, false},
	    {401, "<html>", -1, CALL_DENIED, -1, false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ruling r;

		judge(cases[i].status, cases[i].body, cases[i].header_ms, &r);
		if (r.verdict != cases[i].verdict || r.wait_ms != cases[i].wait_ms || r.whole_bot != cases[i].whole_bot)
			printf("# case %zu: %d %s\n", i, cases[i].status, cases[i].body);
		CHECK_INT(r.verdict, cases[i].verdict);
		CHECK_INT(r.wait_ms, cases[i].wait_ms);
		CHECK_INT(r.whole_bot, cases[i].whole_bot);
		CHECK_INT(r.limited, cases[i].status == 429 || cases[i].status == 420);
		CHECK(r.why && *r.why);
	}
}

/* What the Bot API says of calls that will never succeed, or need not. */
static void refusals(void)
{
	static const struct {
		int code;
		const char *description;
		enum verdict verdict;
	} cases[] = {
	    {403, "Forbidden: bot was blocked by the user", CALL_BLOCKED},
	    {403, "Forbidden: user is deactivated", CALL_BLOCKED},
	    {403, "Forbidden: bot can't initiate conversation with a user", CALL_BLOCKED},
	    {403, "Forbidden: bot can't send messages to bots", CALL_BLOCKED},
	    {403, "Forbidden: bot was kicked from the group chat", CALL_BLOCKED},
	    {403, "Forbidden: bot was kicked from the supergroup chat", CALL_BLOCKED},
	    {403, "Forbidden: bot was kicked from the channel chat", CALL_BLOCKED},
	    {403, "Forbidden: bot is not a member of the supergroup chat", CALL_BLOCKED},
	    {403, "Forbidden: the group chat was deleted", CALL_BLOCKED},
	    {403, "", CALL_BLOCKED},
	    {403, "Forbidden: MESSAGE_DELETE_FORBIDDEN", CALL_FINAL},
	    {400, "Bad Request: USER_IS_BLOCKED", CALL_BLOCKED},
	    {400, "Bad Request: INPUT_USER_DEACTIVATED", CALL_BLOCKED},
	    {400, "Bad Request: user is deactivated", CALL_BLOCKED},
	    {400, "Bad Request: group chat was deactivated", CALL_BLOCKED},
	    {400, "Bad Request: bot was kicked from the group chat", CALL_BLOCKED},
	    {400, "Bad Request: chat not found", CALL_FINAL},
	    {400, "Bad Request: user not found", CALL_FINAL},
	    {400, "Bad Request: PEER_ID_INVALID", CALL_FINAL},
	    {400, "Bad Request: have no rights to send a message", CALL_FINAL},
	    {400, "Bad Request: CHAT_WRITE_FORBIDDEN", CALL_FINAL},
	    {400, "Bad Request: TOPIC_CLOSED", CALL_FINAL},
	    {400, "Bad Request: group chat was upgraded to a supergroup chat", CALL_FINAL},
	    {400, "Bad Request: message to edit not found", CALL_GONE},
	    {400, "Bad Request: message can't be edited", CALL_GONE},
	    {400, "Bad Request: MESSAGE_ID_INVALID", CALL_GONE},
	    {400, "Bad Request: message to be replied not found", CALL_FINAL},
	    {400, "Bad Request: query is too old and response timeout expired or query ID is invalid", CALL_FINAL},
	    {400, "Bad Request: can't parse entities: Unsupported start tag at byte offset 0", CALL_FINAL},
	    {400, "Bad Request: message is too long", CALL_FINAL},
	    {413, "Request Entity Too Large", CALL_FINAL},
	    {400,
	     "Bad Request: message is not modified: specified new message content and reply markup are exactly the "
	     "same as a current content and reply markup of the message",
	     CALL_DONE},
	    {400, "Bad Request: message to delete not found", CALL_DONE},
	    {500, "Internal Server Error: sent message was immediately deleted", CALL_OUTAGE},
	    {409, "Conflict: terminated by other getUpdates request", CALL_LATER},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ruling r;
		char body[400];

		snprintf(body, sizeof(body), "{\"ok\":false,\"error_code\":%d,\"description\":\"%s\"}", cases[i].code,
		         cases[i].description);
		judge(cases[i].code, body, 5000, &r);
		if (r.verdict != cases[i].verdict)
			printf("# case %zu: %d %s\n", i, cases[i].code, cases[i].description);
		CHECK_INT(r.verdict, cases[i].verdict);
		CHECK_INT(r.wait_ms, cases[i].code == 409 || cases[i].code == 500 ? 5000 : -1);
		CHECK(!r.limited);
		/* the same words of something that stands before the Bot API decide nothing */
		snprintf(body, sizeof(body), "<h1>%s</h1>", cases[i].description);
		judge(cases[i].code, body, -1, &r);
		CHECK_INT(r.verdict, cases[i].code == 409 ? CALL_LATER : CALL_OUTAGE);
	}
	struct ruling moved;
	judge(400,
	      "{\"ok\":false,\"error_code\":400,\"description\":\"Bad Request: group chat was upgraded to a supergroup "
	      "chat\",\"parameters\":{\"migrate_to_chat_id\":-1001}}",
	      -1, &moved);
	CHECK_INT(moved.verdict, CALL_FINAL);
	CHECK(strstr(moved.why, "-1001"));
}

/* What was to stand in a message that is gone. */
static void said_anew(void)
{
	const struct call edit = {.method = "editMessageText",
	                          .chat_id = 5,
	                          .body = SPAN("{\"chat_id\":5,\"message_id\":7,\"text\":\"<b>x</b>\",\"parse_mode\":"
	                                       "\"HTML\",\"reply_markup\":{\"inline_keyboard\":[]}}")};
	const struct call disarm = {.method = "editMessageReplyMarkup", .chat_id = 5, .body = SPAN("{\"chat_id\":5}")};
	struct call anew;

	CHECK(platform_telegram.anew(&edit, &arena, &anew));
	CHECK_STR(anew.method, "sendMessage");
	CHECK_INT(anew.chat_id, 5);
	CHECK(span_is(anew.body, "{\"chat_id\":5,\"text\":\"<b>x</b>\",\"parse_mode\":\"HTML\",\"reply_markup\":{"
	                         "\"inline_keyboard\":[]}}"));
	CHECK(!platform_telegram.anew(&disarm, &arena, &anew));
}

static void stored_effects(void)
{
	struct call calls[] = {{.method = "sendMessage",
	                        .chat_id = INT64_MIN,
	                        .group = true,
	                        .body = SPAN("{\"chat_id\":9007199254740993,\"text\":\"\\u001f\"}")},
	                       {.method = "editOriginal", .token = "a\"\x01/b", .body = SPAN("{}")},
	                       {.method = "editMessage", .chat_id = 7, .message_id = INT64_MAX, .body = SPAN("{}")}};
	static const char *const broken[] = {"",
	                                     "{}",
	                                     "[7]",
	                                     "[{}]",
	                                     "[{\"m\":\"a\",\"c\":1,\"g\":false}]",
	                                     "[{\"o\":\"forget\"}]",
	                                     "[{\"o\":\"forget\",\"w\":[1]}]",
	                                     "[{\"o\":7,\"w\":[]}]",
	                                     "[{\"m\":\"../x\",\"c\":1,\"g\":false,\"b\":{}}]",
	                                     "[{\"m\":\"a\",\"c\":\"1\",\"g\":false,\"b\":{}}]"};
	struct errand leave = {.what = "leave", .n = 1, .words = {"7"}};
	struct errand forget = {.what = "forget", .n = 2, .words = {"player", "\"\x01\xc3\xa4"}, .next = &leave};
	struct span text = effects_encode(&(struct effects){.calls = calls, .ncalls = 3}, &arena);
	struct effects back;

	CHECK(span_is(text, "[{\"m\":\"sendMessage\",\"c\":-9223372036854775808,\"g\":true,\"b\":"
	                    "{\"chat_id\":9007199254740993,\"text\":\"\\u001f\"}},"
	                    "{\"m\":\"editOriginal\",\"c\":0,\"g\":false,\"t\":\"a\\\"\\u0001/b\",\"b\":{}},"
	                    "{\"m\":\"editMessage\",\"c\":7,\"g\":false,\"i\":9223372036854775807,\"b\":{}}]"));
	CHECK_INT(effects_decode(text, &arena, &back), ERR_OK);
	CHECK(!back.errands);
	CHECK_INT(back.ncalls, 3);
	CHECK(back.calls[0].message_id == 0 && back.calls[2].message_id == INT64_MAX);
	CHECK_STR(back.calls[0].method, "sendMessage");
	CHECK(back.calls[0].chat_id == INT64_MIN && back.calls[0].group && !back.calls[0].token);
	CHECK_STR(back.calls[1].token, "a\"\x01/b");
	CHECK(span_eq(back.calls[0].body, calls[0].body));
	CHECK(span_eq(back.calls[1].body, calls[1].body));
	CHECK_INT(effects_decode(effects_encode(&(struct effects){0}, &arena), &arena, &back), ERR_OK);
	CHECK(back.ncalls == 0 && !back.errands);
	text = effects_encode(&(struct effects){.errands = &forget, .calls = calls, .ncalls = 1}, &arena);
	CHECK_INT(effects_decode(text, &arena, &back), ERR_OK);
	CHECK_INT(back.ncalls, 1);
	CHECK_STR(back.errands->what, "forget");
	CHECK_INT(back.errands->n, 2);
	CHECK_STR(back.errands->words[1], "\"\x01\xc3\xa4");
	CHECK_STR(back.errands->next->words[0], "7");
	CHECK(!back.errands->next->next);
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++)
		CHECK_INT(effects_decode(span_of(broken[i]), &arena, &back), ERR_INVALID);
}

static void batches(void)
{
	struct span *u = NULL;
	size_t n = 0;
	const char *why;
	static const char *const broken[] = {"",
	                                     "{",
	                                     "[]",
	                                     "{\"ok\":false,\"result\":[]}",
	                                     "{\"ok\":true}",
	                                     "{\"ok\":true,\"result\":{}}",
	                                     "{\"ok\":true,\"result\":[}"};

	CHECK_INT(
	    telegram_updates(SPAN(" { \"x\" : [\"result\", {\"result\":[9]}, \"\\\"\", -1.5e3 ] ,\n\"ok\":true,"
	                          "\"result\":[ {\"update_id\":1, \"v\":1.50} , {\"update_id\":2,\"t\":\"]}\\\\\"},[7],"
	                          "\"s\",12 , null,{} ]} "),
	                     &arena, &u, &n, &why),
	    ERR_OK);
	CHECK_INT(n, 7);
	CHECK(span_is(u[0], "{\"update_id\":1, \"v\":1.50}"));
	CHECK(span_is(u[1], "{\"update_id\":2,\"t\":\"]}\\\\\"}"));
	CHECK(span_is(u[2], "[7]"));
	CHECK(span_is(u[3], "\"s\""));
	CHECK(span_is(u[4], "12"));
	CHECK(span_is(u[5], "null"));
	CHECK(span_is(u[6], "{}"));
	CHECK_INT(telegram_updates(SPAN("{\"ok\":true,\"result\":[]}"), &arena, &u, &n, &why), ERR_OK);
	CHECK_INT(n, 0);
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++)
		CHECK_INT(telegram_updates(span_of(broken[i]), &arena, &u, &n, &why), ERR_INVALID);
}

static void what_a_bot_asks_for(void)
{
	static const struct command commands[] = {{.name = "a", .kinds = UPDATE_PRESS},
	                                          {.name = "b", .kinds = UPDATE_COMMAND | UPDATE_REFUSED}};
	static const struct bot some = {.name = "some", .ncommands = 2, .commands = commands};

	CHECK(span_is(telegram_get_updates(&some, 0, 100, 25, &arena),
	              "{\"limit\":100,\"timeout\":25,\"allowed_updates\":[\"message\",\"callback_query\"]}"));
	CHECK(span_is(telegram_get_updates(&some, 9007199254740993, 1, 0, &arena),
	              "{\"offset\":9007199254740993,\"limit\":1,\"timeout\":0,"
	              "\"allowed_updates\":[\"message\",\"callback_query\"]}"));
}

static void menus(void)
{
	struct command rows[] = {
	    {.name = "start", .kinds = UPDATE_COMMAND, .word = "start", .about = "Begin \"now\""},
	    {.name = "text", .kinds = UPDATE_TEXT},
	    {.name = "help", .kinds = UPDATE_COMMAND, .word = "help", .about = "Help"},
	};
	static const struct {
		const char *told;
		bool same;
		size_t n;
	} cases[] = {
	    {"{\"ok\":true,\"result\":[{\"command\":\"start\",\"description\":\"Begin "
	     "\\\"now\\\"\"},{\"command\":\"help\","
	     "\"description\":\"Help\"}]}",
	     true, 2},
	    {"{\"ok\":true,\"result\":[{\"command\":\"help\",\"description\":\"Help\"},{\"command\":\"start\","
	     "\"description\":"
	     "\"Begin \\\"now\\\"\"}]}",
	     false, 2}, /* the order is what people see */
	    {"{\"ok\":true,\"result\":[{\"command\":\"start\",\"description\":\"Begin\"},{\"command\":\"help\","
	     "\"description\":"
	     "\"Help\"}]}",
	     false, 2},
	    {"{\"ok\":true,\"result\":[]}", false, 0},
	    {"[]", false, 0},
	};
	const struct bot b = {.name = "b", .ncommands = 3, .commands = rows};
	const char *why;
	struct call c;
	char about[258];
	size_t n;

	CHECK_INT(telegram_menu(&b, &arena, &c, &why), ERR_OK);
	CHECK_STR(c.method, "setMyCommands");
	CHECK(span_is(c.body, "{\"commands\":[{\"command\":\"start\",\"description\":\"Begin \\\"now\\\"\"},"
	                      "{\"command\":\"help\",\"description\":\"Help\"}]}"));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CHECK_INT(telegram_menu_same(c.body, span_of(cases[i].told), &arena, &n), cases[i].same);
		CHECK_INT(n, cases[i].n);
	}
	memset(about, 'a', sizeof(about));
	about[257] = 0;
	rows[2].about = about + 1;
	CHECK_INT(telegram_menu(&b, &arena, &c, &why), ERR_OK);
	rows[2].about = about;
	CHECK_INT(telegram_menu(&b, &arena, &c, &why), ERR_INVALID);
	CHECK(strstr(why, "help: "));
	rows[2] = (struct command){.name = "x", .kinds = UPDATE_COMMAND, .word = "Help", .about = "x"};
	CHECK_INT(telegram_menu(&b, &arena, &c, &why), ERR_INVALID);
	rows[2] = (struct command){.name = "x", .kinds = UPDATE_COMMAND, .about = "x"};
	CHECK_INT(telegram_menu(&b, &arena, &c, &why), ERR_INVALID);
}

static void hooks(void)
{
	static const struct command rows[] = {{.name = "t", .kinds = UPDATE_TEXT},
	                                      {.name = "p", .kinds = UPDATE_PRESS}};
	const struct bot b = {.name = "b", .ncommands = 2, .commands = rows};
	const struct hook set = {.url = "https://x", .secret = "s", .connections = 100};
	struct hook h;
	struct call c;

	platform_telegram.hook_set(&b, &set, &arena, &c);
	CHECK_STR(c.method, "setWebhook");
	CHECK(span_is(c.body,
	              "{\"url\":\"https://x\",\"secret_token\":\"s\",\"max_connections\":100,\"allowed_updates\":"
	              "[\"message\",\"callback_query\"]}"));
	CHECK(platform_telegram.hook_read(
	    &b,
	    SPAN("{\"ok\":true,\"result\":{\"url\":\"https://x\",\"pending_update_count\":3,\"max_connections\":40,"
	         "\"last_error_date\":7,\"last_error_message\":\"no\",\"allowed_updates\":[\"callback_query\","
	         "\"message\"]}}"),
	    &arena, &h));
	CHECK_STR(h.url, "https://x");
	CHECK_STR(h.last_error, "no");
	CHECK(h.pending == 3 && h.connections == 40 && h.last_error_s == 7 && h.updates_same);
	CHECK(platform_telegram.hook_read(
	    &b, SPAN("{\"ok\":true,\"result\":{\"url\":\"\",\"pending_update_count\":0}}"), &arena, &h));
	CHECK(!*h.url && !h.last_error && h.last_error_s == 0 && !h.updates_same);
	CHECK(platform_telegram.hook_read(
	    &b, SPAN("{\"ok\":true,\"result\":{\"url\":\"x\",\"allowed_updates\":[\"message\",\"message\"]}}"), &arena,
	    &h));
	CHECK(!h.updates_same);
	CHECK(!platform_telegram.hook_read(&b, SPAN("{\"ok\":true,\"result\":true}"), &arena, &h));
}

int main(void)
{
	arena_init(&arena);
	RUN(a_text_message);
	RUN(ids_are_exact);
	RUN(commands);
	RUN(presses);
	RUN(presses_without_a_message);
	RUN(media_and_service);
	RUN(membership);
	RUN(what_no_bot_handles);
	RUN(names_end_somewhere);
	RUN(missing_and_wrong_fields);
	RUN(bodies_that_are_nothing);
	RUN(the_fleets_own_word);
	RUN(a_bots_own_name);
	RUN(what_is_due);
	RUN(recorded_updates);
	RUN(messages);
	RUN(scope_of_a_call);
	RUN(length_of_a_text);
	RUN(texts_that_telegram_refuses);
	RUN(limits_of_buttons);
	RUN(a_hundred_buttons);
	RUN(rulings);
	RUN(refusals);
	RUN(said_anew);
	RUN(stored_effects);
	RUN(batches);
	RUN(what_a_bot_asks_for);
	RUN(menus);
	RUN(hooks);
	arena_release(&arena);
	DONE();
}
