/* links: base model bots wire */
#include "check.h"

#include "shoal/bots/registry.h"
#include "shoal/wire/discord.h"
#include "shoal/wire/stream.h"

static const struct bot bot = {.name = "ladder", .platform = PLATFORM_DISCORD};
static struct arena arena;

static void fresh(void)
{
	arena_release(&arena);
	arena_init(&arena);
}

/* ---- interactions */

static struct update decoded(const char *body)
{
	struct update u;
	const char *why = NULL;
	enum err err;

	fresh();
	err = platform_discord.decode(&bot, span_of(body), "key", 42, &arena, &u, &why);
	if (err != ERR_OK)
		printf("# %s: %s\n", body, why);
	CHECK_INT(err, ERR_OK);
	return u;
}

/* "name=value(id) ..." */
static const char *options_of(const struct update *u)
{
	static char out[1024];
	size_t n = 0;

	out[0] = 0;
	for (size_t i = 0; i < u->noptions; i++) {
		const struct option *o = &u->options[i];

		n += (size_t)snprintf(out + n, sizeof(out) - n, "%s%s%s=%s", i ? " " : "", u->focus == o ? ">" : "",
		                      o->name, o->value);
		if (o->id)
			n += (size_t)snprintf(out + n, sizeof(out) - n, "(%lld)", (long long)o->id);
	}
	return out;
}

#define WHO "\"member\":{\"user\":{\"id\":\"80351110224678912\",\"username\":\"nelly\",\"global_name\":\"Nelly\"}}"
#define HEAD(type) "{\"type\":" #type ",\"id\":\"1266118899867586562\",\"token\":\"aW50\"," WHO ","
#define COMMAND(data) HEAD(2) "\"data\":{\"id\":\"5\",\"type\":1," data "}}"

static void a_command(void)
{
	struct update u = decoded(
	    "{\"type\":2,\"id\":\"9223372036854775807\",\"application_id\":\"1\",\"token\":\"to.k-en_\","
	    "\"guild_id\":\"290926798626357999\",\"channel_id\":\"645027906669510667\",\"locale\":\"pt-BR\","
	    "\"member\":{\"nick\":\"M\\u0000\",\"user\":{\"id\":\"53908232506183680\",\"username\":\"Mason\"}},"
	    "\"data\":{\"type\":1,\"name\":\"queue\",\"id\":\"771825006014889984\",\"options\":["
	    "{\"type\":3,\"name\":\"races\",\"value\":\"bw_zerg sc2_zerg\"},{\"type\":4,\"name\":\"n\",\"value\":-3},"
	    "{\"type\":5,\"name\":\"flag\",\"value\":true},{\"type\":6,\"name\":\"who\",\"value\":"
	    "\"80351110224678912\"},"
	    "{\"type\":10,\"name\":\"x\",\"value\":1.5}]}}");

	CHECK_INT(u.kind, UPDATE_SLASH);
	CHECK_STR(u.kind_name, "application_command");
	CHECK_STR(u.key, "key");
	CHECK_INT(u.received_ms, 42);
	CHECK_STR(u.word, "queue");
	CHECK(u.from.id == 53908232506183680);
	CHECK_STR(u.from.first_name, "M\xef\xbf\xbd");
	CHECK_STR(u.from.username, "Mason");
	CHECK_STR(u.from.language_code, "pt-BR");
	CHECK(!u.from.is_bot);
	CHECK(u.chat_id == 645027906669510667 && u.guild_id == 290926798626357999);
	CHECK_INT(u.chat, CHAT_GROUP);
	CHECK_STR(u.token, "to.k-en_");
	CHECK_STR(options_of(&u),
	          "races=bw_zerg sc2_zerg n=-3(-3) flag=true who=80351110224678912(80351110224678912) x=1.5");
	CHECK_STR(update_option(&u, "races")->value, "bw_zerg sc2_zerg");
	CHECK(!update_option(&u, "race") && !u.focus && !u.data && !u.press_id);
	CHECK_STR(u.text, "");
	CHECK_STR(u.payload, "");
}

static void a_command_in_private(void)
{
	struct update u = decoded("{\"type\":2,\"id\":\"1\",\"token\":\"t\",\"channel\":{\"id\":\"7\"},\"user\":"
	                          "{\"id\":\"8\",\"username\":\"ada\",\"bot\":true},\"data\":{\"name\":\"help\"}}");

	CHECK_INT(u.kind, UPDATE_SLASH);
	CHECK_INT(u.chat, CHAT_PRIVATE);
	CHECK_INT(u.chat_id, 7);
	CHECK_INT(u.guild_id, 0);
	CHECK_INT(u.from.id, 8);
	CHECK_STR(u.from.first_name, "ada");
	CHECK(u.from.is_bot);
	CHECK_INT(u.noptions, 0);
}

static void words_of_commands(void)
{
	static const struct {
		const char *data, *word, *options; /* word NULL: of no use */
	} cases[] = {
	    {"\"name\":\"help\"", "help", ""},
	    {"\"name\":\"set\",\"options\":[{\"type\":1,\"name\":\"country\",\"options\":[{\"type\":3,\"name\":\"c\","
	     "\"value\":\"DE\"}]}]",
	     "set country", "c=DE"},
	    {"\"name\":\"a\",\"options\":[{\"type\":2,\"name\":\"b\",\"options\":[{\"type\":1,\"name\":\"c\"}]}]",
	     "a b c", ""},
	    {"\"name\":\"\xd0\xbf\xd0\xbe\"", "\xd0\xbf\xd0\xbe", ""},
	    {"\"name\":\"\"", NULL, ""},
	    {"\"name\":\"two words\"", NULL, ""},
	    {"\"name\":7", NULL, ""},
	    {"\"x\":1", NULL, ""},
	    {"\"name\":\"a\",\"options\":[{\"type\":1}]", NULL, ""},
	    {"\"name\":\"a\",\"options\":[{\"type\":1,\"name\":\"set country\"}]", NULL, ""},
	    {"\"name\":\"a\",\"options\":{}", "a", ""},
	    {"\"name\":\"a\",\"options\":[7,null,{\"name\":7,\"value\":\"x\"},{\"name\":\"n\",\"value\":[]},"
	     "{\"name\":\"m\",\"value\":\"v\"}]",
	     "a", "m=v"},
	    {"\"name\":\"menu\",\"type\":2", "menu", ""}, /* the first type counts */
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char body[1024];
		struct update u;

		snprintf(body, sizeof(body), COMMAND("%s"), cases[i].data);
		u = decoded(body);
		CHECK_INT(u.kind, cases[i].word ? UPDATE_SLASH : UPDATE_OTHER);
		CHECK_STR(u.word, cases[i].word);
		CHECK_STR(options_of(&u), cases[i].options);
	}
	CHECK_INT(decoded(HEAD(2) "\"data\":{\"type\":2,\"name\":\"x\"}}").kind, UPDATE_OTHER);
	CHECK_INT(decoded(HEAD(2) "\"data\":{\"type\":3,\"name\":\"x\"}}").kind, UPDATE_OTHER);
	CHECK_INT(decoded(HEAD(2) "\"data\":[]}").kind, UPDATE_OTHER);
}

/* A word of many subcommands ends somewhere. */
static void a_command_without_end(void)
{
	struct buf b;

	buf_init(&b, 1 << 20);
	buf_adds(&b, HEAD(2) "\"data\":{\"name\":\"a\"");
	for (int i = 0; i < 60; i++)
		buf_adds(&b, ",\"options\":[{\"type\":1,\"name\":\"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\"");
	for (int i = 0; i < 60; i++)
		buf_adds(&b, "}]");
	buf_adds(&b, "}}");
	CHECK_INT(decoded(b.ptr).kind, UPDATE_OTHER);
	buf_release(&b);
}

static void a_press(void)
{
	struct update u = decoded(HEAD(3) "\"message\":{\"id\":\"960775653731500053\"},\"data\":{\"component_type\":2,"
	                                  "\"custom_id\":\"page:2:bw_zerg:abcd1234\"}}");

	CHECK_INT(u.kind, UPDATE_PRESS);
	CHECK_STR(u.kind_name, "message_component");
	CHECK_STR(u.word, "page");
	CHECK_INT(u.nargs, 2);
	CHECK_STR(u.args[1], "bw_zerg");
	CHECK_STR(u.mark, "abcd1234");
	CHECK_STR(u.data, "page:2:bw_zerg:abcd1234");
	CHECK(u.message_id == 960775653731500053);
	CHECK_STR(u.press_id, "1266118899867586562");
	CHECK_STR(u.from.first_name, "Nelly");
	CHECK_INT(u.noptions, 0);
	u = decoded(
	    HEAD(3) "\"data\":{\"component_type\":3,\"custom_id\":\"veto:abcd1234\",\"values\":[\"m1\",\"7\",8]}}");
	CHECK_STR(options_of(&u), "value=m1 value=7(7) value=8(8)");
	u = decoded(HEAD(3) "\"data\":{\"custom_id\":\"not|ours\"}}");
	CHECK_INT(u.kind, UPDATE_PRESS);
	CHECK(!u.word);
	CHECK_INT(decoded(HEAD(3) "\"data\":{\"component_type\":2}}").kind, UPDATE_OTHER);
	CHECK_INT(decoded("{\"type\":3,\"id\":\"1\",\"data\":{\"custom_id\":\"x\"}}").kind, UPDATE_OTHER);
}

static void a_form(void)
{
	struct update u = decoded(
	    HEAD(5) "\"data\":{\"custom_id\":\"setup\",\"components\":["
	            "{\"type\":1,\"components\":[{\"type\":4,\"custom_id\":\"name\",\"value\":\"Wumpus \"}]},"
	            "{\"type\":18,\"component\":{\"type\":3,\"custom_id\":\"region\",\"values\":[\"euw\",\"kor\"]}},"
	            "{\"type\":18,\"component\":{\"type\":4,\"custom_id\":\"country\",\"value\":\"\"}}]}}");

	CHECK_INT(u.kind, UPDATE_FORM);
	CHECK_STR(u.kind_name, "modal_submit");
	CHECK_STR(u.word, "setup");
	CHECK(!u.mark);
	CHECK_STR(options_of(&u), "name=Wumpus  region=euw region=kor country=");
}

static void a_suggestion(void)
{
	struct update u = decoded(HEAD(4) "\"data\":{\"type\":1,\"name\":\"setcountry\",\"options\":["
	                                  "{\"type\":3,\"name\":\"other\",\"value\":\"x\",\"focused\":false},"
	                                  "{\"type\":3,\"name\":\"country\",\"value\":\"\",\"focused\":true}]}}");

	CHECK_INT(u.kind, UPDATE_SUGGEST);
	CHECK_STR(u.word, "setcountry");
	CHECK_STR(options_of(&u), "other=x >country=");
}

static void the_fleets_own_word(void)
{
	struct update u =
	    decoded("{\"shoal\":\"due\",\"chat_id\":80351110224678912,\"what\":\"match\",\"of\":\"m\",\"with\":"
	            "{\"player_1\":\"80351110224678912\",\"race_1\":\"zerg\",\"odd\":5}}");

	CHECK_INT(u.kind, UPDATE_DUE);
	CHECK_STR(u.word, "match");
	CHECK_STR(u.args[0], "m");
	CHECK(u.nargs == 1 && u.noptions == 2 && u.from.id == 0 && u.serial == 0);
	CHECK(update_option(&u, "player_1")->id == 80351110224678912);
	CHECK_STR(update_option(&u, "race_1")->value, "zerg");
	u = decoded("{\"shoal\":\"refused\",\"chat_id\":645}");
	CHECK(u.kind == UPDATE_REFUSED && u.chat_id == 645 && u.from.id == 0);
	/* what came from Discord never passes for it */
	u = decoded("{\"shoal\":\"due\",\"chat_id\":5,\"what\":\"match\",\"of\":\"m\",\"type\":2,\"id\":\"7\"}");
	CHECK(u.kind == UPDATE_OTHER && u.serial == 7);
}

static void what_is_of_no_use(void)
{
	static const struct {
		const char *body, *kind;
	} cases[] = {
	    {"{\"type\":1}", "ping"},
	    {"{\"type\":6,\"id\":\"5\"}", "unknown"},
	    {"{\"type\":0,\"id\":\"5\"}", "unknown"},
	    {"{\"type\":-4611686018427387904,\"id\":\"5\"}", "unknown"},
	    {"{\"type\":2,\"id\":\"5\",\"data\":7,\"member\":[],\"user\":\"x\",\"channel_id\":5,\"guild_id\":null}",
	     "application_command"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct update u = decoded(cases[i].body);

		CHECK_INT(u.kind, UPDATE_OTHER);
		CHECK_STR(u.kind_name, cases[i].kind);
		CHECK(u.from.id == 0 && u.chat_id == 0 && !u.token);
	}
}

static void refused_bodies(void)
{
	static const char *const bodies[] = {
	    "",
	    "[]",
	    "7",
	    "{}",
	    "{\"type\":\"1\"}",
	    "{\"type\":1.5}",
	    "{\"type\":2}",
	    "{\"type\":2,\"id\":5}",
	    "{\"type\":2,\"id\":\"\"}",
	    "{\"type\":2,\"id\":\"-5\"}",
	    "{\"type\":2,\"id\":\"0\"}",
	    "{\"type\":2,\"id\":\"5x\"}",
	    "{\"type\":2,\"id\":\" 5\"}",
	    "{\"type\":2,\"id\":\"9223372036854775808\"}",
	    "{\"type\":2,\"id\":\"5\"",
	};

	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		struct discord_place p;
		struct update u;
		const char *why = NULL;

		fresh();
		CHECK_INT(discord_locate(span_of(bodies[i]), &arena, &p, &why), ERR_INVALID);
		CHECK(why && *why);
		CHECK_INT(platform_discord.decode(&bot, span_of(bodies[i]), "k", 1, &arena, &u, &why), ERR_INVALID);
	}
}

static void entries(void)
{
	struct discord_place p;
	struct entry e;
	const char *why;
	struct span body = SPAN(HEAD(5) "\"data\":{}} ");

	fresh();
	CHECK_INT(discord_locate(body, &arena, &p, &why), ERR_OK);
	entry_from_discord(&bot, &p, body, 1700000000123, &arena, &e);
	CHECK_STR(e.bot, "ladder");
	CHECK_STR(e.lane, "discord:ladder:80351110224678912");
	CHECK_STR(e.key, "discord:ladder:1266118899867586562");
	CHECK(e.at_ms == 1700000000123 && e.update_id == -1);
	CHECK_STR(e.kind_name, "modal_submit");
	CHECK(span_eq(e.body, body));
	CHECK_INT(discord_locate(SPAN("{\"type\":2,\"id\":\"5\",\"user\":{}}"), &arena, &p, &why), ERR_OK);
	entry_from_discord(&bot, &p, body, 1, &arena, &e);
	CHECK_STR(e.lane, "discord:ladder:5");
}

/* ---- replies */

static const char *marked(const char *html)
{
	static char out[4096];
	struct buf b;
	const char *why = NULL;

	buf_init(&b, sizeof(out) - 1);
	if (discord_markdown(html, &b, &why))
		snprintf(out, sizeof(out), "%s", b.ptr ? b.ptr : "");
	else
		snprintf(out, sizeof(out), "!%s", why);
	buf_release(&b);
	return out;
}

static void markup(void)
{
	static const struct {
		const char *html, *want;
	} cases[] = {
	    {"plain, caf\xc3\xa9!", "plain, caf\xc3\xa9!"},
	    {"<b>bold</b> <i>it</i> <u>u</u> <s>s</s> <tg-spoiler>x</tg-spoiler>", "**bold** *it* __u__ ~~s~~ ||x||"},
	    {"<b><i>both</i></b>", "***both***"},
	    {"<code>a`b*c&lt;@1&gt;</code>", "`a\xcb\x8b"
	                                     "b*c<@1>`"},
	    {"<pre>x\n- y</pre>", "```\nx\n- y\n```"},
	    {"<a href=\"https://example.org/a_b?x=1\">site]</a>", "[site\\]](<https://example.org/a_b?x=1>)"},
	    {"<blockquote>a\nb</blockquote>\nc", "> a\n> b\nc"},
	    {"&lt;@1&gt; &amp; &quot;q&quot; &nbsp; & x", "\\<@\xe2\x80\x8b"
	                                                  "1> & \"q\" &nbsp; & x"},
	    {"@everyone and @here", "@\xe2\x80\x8b"
	                            "everyone and @\xe2\x80\x8b"
	                            "here"},
	    {"a*b_c~d`e|f\\g[h](i)", "a\\*b\\_c\\~d\\`e\\|f\\\\g\\[h\\](i)"},
	    {"# head", "\\# head"},
	    {"a # b", "a # b"},
	    {"x\n  - item\n&gt; quote\n-# small\n12. list\n1) list",
	     "x\n  \\- item\n\\> quote\n\\-# small\n12\\. list\n1\\) list"},
	    {"see https://evil.example and steam://x", "see https\\://evil.example and steam\\://x"},
	    {"1:2 12. MMR", "1:2 12. MMR"},
	    {"<b># x</b>", "**\\# x**"},
	    {"", ""},
	};
	static const char *const wrong[] = {
	    "<x>y</x>",
	    "<b>y",
	    "y</b>",
	    "<b><i>y</b></i>",
	    "1 < 2",
	    "<b x>y</b>",
	    "<a>y</a>",
	    "<a href=x>y</a>",
	    "<a href=\"ftp://x\">y</a>",
	    "<a href=\"https://x y\">z</a>",
	    "<a href=\"https://x>y\">z</a>",
	    "\xff",
	    "<a href=\"\">z</a>",
	    "<a href=\"https://a\" x=\"b\">z</a>",
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		CHECK_STR(marked(cases[i].html), cases[i].want);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		if (marked(wrong[i])[0] != '!')
			printf("# %s\n", wrong[i]);
		CHECK(marked(wrong[i])[0] == '!');
	}
}

static struct call call;

/* The body, or "!why". */
static const char *encoded(const struct reply *r)
{
	const char *why = NULL;

	fresh();
	if (platform_discord.encode(r, "k#0", &arena, &call, &why) != ERR_OK)
		return arena_printf(&arena, "!%s", why);
	return arena_strndup(&arena, call.body.ptr, call.body.len);
}

#define NOBODY "\"allowed_mentions\":{\"parse\":[]}"

/* A message by a token that is dead by now: in the chat, calling the person, the same one however often. */
static void said_elsewhere(const struct call *dead)
{
	const char *head = "{\"content\":\"<@9> **x** \\\\<3\",\"flags\":4,\"allowed_mentions\":{\"users\":[\"9\"]},"
	                   "\"nonce\":\"",
	           *body;
	struct call anew, again, other = *dead;

	CHECK(platform_discord.anew(dead, &arena, &anew) && platform_discord.anew(dead, &arena, &again));
	CHECK_STR(anew.method, "createMessage");
	CHECK(anew.chat_id == dead->chat_id && !anew.token && span_eq(anew.body, again.body));
	body = arena_strndup(&arena, anew.body.ptr, anew.body.len);
	CHECK(strncmp(body, head, strlen(head)) == 0 && strstr(body, "\"enforce_nonce\":true}"));
	other.token = "another";
	CHECK(platform_discord.anew(&other, &arena, &again) && !span_eq(anew.body, again.body));
	CHECK(!platform_discord.anew(&anew, &arena, &again));
	other.chat_id = 0; /* nowhere */
	CHECK(!platform_discord.anew(&other, &arena, &again));
	other = *dead;
	other.method = "editOriginal";
	CHECK(!platform_discord.anew(&other, &arena, &again));
}

static void messages(void)
{
	struct button go = {.label = "Go \"on\"", .style = BUTTON_MAIN, .data = "page:2:abcd1234"},
	              stop = {.label = "Stop", .style = BUTTON_BAD, .off = true, .data = "stop:abcd1234"},
	              site = {.label = "Site", .url = "https://example.org/?a=1&b"};
	struct button first[] = {go, stop}, second[] = {site};
	struct button_row rows[] = {{2, first}, {1, second}};
	struct reply r = {.kind = REPLY_ANSWER, .token = "to", .html = "<b>x</b> &lt;3", .nrows = 2, .rows = rows};

	CHECK_STR(encoded(&r),
	          "{\"content\":\"**x** \\\\<3\",\"flags\":4," NOBODY ",\"components\":["
	          "{\"type\":1,\"components\":[{\"type\":2,\"style\":1,\"label\":\"Go \\\"on\\\"\",\"custom_id\":"
	          "\"page:2:abcd1234\"},{\"type\":2,\"style\":4,\"label\":\"Stop\",\"custom_id\":\"stop:abcd1234\","
	          "\"disabled\":true}]},{\"type\":1,\"components\":[{\"type\":2,\"style\":5,\"label\":\"Site\",\"url\":"
	          "\"https://example.org/?a=1&b\"}]}]}");
	CHECK_STR(call.method, "editOriginal");
	CHECK_STR(call.token, "to");
	CHECK(call.chat_id == 0 && !call.group);
	r.nrows = 0;
	CHECK_STR(encoded(&r), "{\"content\":\"**x** \\\\<3\",\"flags\":4," NOBODY ",\"components\":[]}");
	r.kind = REPLY_MORE;
	r.hidden = true;
	CHECK_STR(encoded(&r), "{\"content\":\"**x** \\\\<3\",\"flags\":68," NOBODY "}");
	CHECK_STR(call.method, "followUp");
	r.chat_id = 5;
	r.mention = 9;
	CHECK_STR(encoded(&r), "{\"content\":\"**x** \\\\<3\",\"flags\":68,\"allowed_mentions\":{\"users\":[\"9\"]}}");
	CHECK(call.chat_id == 5 && !strcmp(call.token, "to"));
	said_elsewhere(&call);
	r = (struct reply){.kind = REPLY_EDIT, .chat_id = 5, .message_id = 6, .html = "x"};
	CHECK_STR(encoded(&r), "{\"content\":\"x\",\"flags\":4," NOBODY ",\"components\":[]}");
	CHECK_STR(call.method, "editMessage");
	CHECK(call.chat_id == 5 && call.message_id == 6 && !call.token);
	r = (struct reply){.kind = REPLY_DISARM, .chat_id = 5, .message_id = 6};
	CHECK_STR(encoded(&r), "{\"components\":[]}");
	CHECK_STR(call.method, "editMessage");
	CHECK(call.chat_id == 5 && call.message_id == 6 && !call.token);
	platform_discord.dismiss("to", &call);
	CHECK_STR(call.method, "deleteOriginal");
	CHECK_STR(call.token, "to");
}

/* "nonce" of a message with this text to this chat */
static const char *nonce_of(const char *once, const char *html, int64_t chat_id)
{
	static char nonces[3][32];
	static unsigned at;
	struct reply r = {.kind = REPLY_SEND, .chat_id = chat_id, .html = html};
	char *out = nonces[at++ % 3];
	const char *why = NULL, *head = "{\"content\":\"x\",\"flags\":4," NOBODY ",\"nonce\":\"", *body;

	fresh();
	CHECK_INT(platform_discord.encode(&r, once, &arena, &call, &why), ERR_OK);
	body = arena_strndup(&arena, call.body.ptr, call.body.len);
	CHECK(strncmp(body, head, strlen(head)) == 0);
	snprintf(out, sizeof(nonces[0]), "%.*s", (int)strcspn(body + strlen(head), "\""), body + strlen(head));
	CHECK_STR(body + strlen(head) + strlen(out), "\",\"enforce_nonce\":true}");
	return out;
}

static void a_message_that_calls_somebody(void)
{
	struct reply r = {
	    .kind = REPLY_SEND, .chat_id = 645, .html = "<b>Hi</b> &lt;@1&gt; @everyone", .mention = 80351110224678912};
	const char *text = encoded(&r);

	CHECK(strstr(text, "\"content\":\"<@80351110224678912> **Hi**"));
	CHECK(strstr(text, "\"allowed_mentions\":{\"users\":[\"80351110224678912\"]}"));
	CHECK(!strstr(text, "parse") && !strstr(text, "<@1>"));
}

static void a_message_that_comes_again(void)
{
	CHECK_STR(nonce_of("discord:ladder:1#0", "x", 5), nonce_of("discord:ladder:1#0", "x", 5));
	CHECK(strcmp(nonce_of("discord:ladder:1#0", "x", 5), nonce_of("discord:ladder:1#1", "x", 5)) != 0);
	CHECK(strcmp(nonce_of("discord:ladder:1#0", "x", 5), nonce_of("discord:ladder:2#0", "x", 5)) != 0);
	CHECK_INT(strlen(nonce_of("discord:ladder:1#0", "x", 5)), 16);
	CHECK_STR(call.method, "createMessage");
	CHECK(call.chat_id == 5 && !call.token);
}

static char *repeated(const char *what, size_t n)
{
	static char out[8192];
	size_t len = strlen(what);

	for (size_t i = 0; i < n; i++)
		memcpy(out + i * len, what, len);
	out[n * len] = 0;
	return out;
}

static bool refused(const struct reply *r)
{
	return encoded(r)[0] == '!' && strlen(encoded(r)) > 10;
}

static void limits_of_messages(void)
{
	char most[DISCORD_DATA_BYTES + 2];
	struct button b[6], *five = b;
	struct button_row rows[6];
	struct reply r = {.kind = REPLY_MORE, .token = "t", .html = repeated("a", 2000)};

	CHECK(!refused(&r));
	r.html = repeated("a", 2001);
	CHECK(refused(&r));
	r.html = repeated("*", 1000); /* each with its backslash */
	CHECK(!refused(&r));
	r.html = repeated("*", 1001);
	CHECK(refused(&r));
	r.html = repeated("&lt;", 1000);
	CHECK(!refused(&r));
	r.html = " \n ";
	CHECK(refused(&r));
	r.html = NULL;
	CHECK(refused(&r));
	r.html = "<oops>";
	CHECK(refused(&r));
	r.html = "x";
	r.token = "";
	CHECK(refused(&r));
	r.token = NULL;
	CHECK(refused(&r));
	r.token = "t";
	r.kind = REPLY_EDIT;
	CHECK(refused(&r));
	r.chat_id = 5;
	CHECK(refused(&r));
	r.message_id = 6;
	CHECK(!refused(&r));
	r.html = NULL;
	CHECK(refused(&r));
	r.kind = REPLY_DISARM;
	CHECK(!refused(&r));
	r.nrows = 1;
	CHECK(refused(&r));
	r.kind = (enum reply_kind)77;
	CHECK(refused(&r));
	r = (struct reply){.kind = REPLY_SEND, .html = "x"};
	CHECK(refused(&r));
	r = (struct reply){.kind = REPLY_MORE, .token = "t", .html = "x", .nrows = 5, .rows = rows};
	memset(most, 'x', sizeof(most));
	most[DISCORD_DATA_BYTES] = 0;
	for (int i = 0; i < 6; i++) {
		static const char *const data[] = {"a", "b", "c", "d", "e", "f"};

		b[i] = (struct button){.label = "B", .data = data[i]};
		rows[i] = (struct button_row){1, &b[i]};
	}
	CHECK(!refused(&r));
	r.nrows = 6;
	CHECK(refused(&r));
	r.nrows = 1;
	rows[0].n = 5;
	CHECK(!refused(&r));
	rows[0].n = 6;
	CHECK(refused(&r));
	rows[0].n = 0;
	CHECK(refused(&r));
	rows[0].n = 2;
	b[1].data = "a";
	CHECK(refused(&r));
	b[1].data = most;
	CHECK(!refused(&r));
	most[DISCORD_DATA_BYTES] = 'x';
	most[DISCORD_DATA_BYTES + 1] = 0;
	CHECK(refused(&r));
	b[1].data = "";
	CHECK(refused(&r));
	b[1].data = "b";
	five[1].label = repeated("l", 80);
	CHECK(!refused(&r));
	five[1].label = repeated("l", 81);
	CHECK(refused(&r));
	b[1] = (struct button){.label = "L", .url = ""};
	CHECK(refused(&r));
}

/* ---- requests */

static void requests(void)
{
	static const struct {
		struct call call;
		const char *method, *url;
		bool bot;
	} cases[] = {
	    {{.method = "createMessage", .chat_id = 645027906669510667},
	     "POST",
	     "https://d.example/api/v10/channels/645027906669510667/messages",
	     true},
	    {{.method = "editOriginal", .token = "aW5_-0"},
	     "PATCH",
	     "https://d.example/api/v10/webhooks/77/aW5_-0/messages/@original",
	     false},
	    {{.method = "followUp", .token = "a/../b?#\xc3\xa9"},
	     "POST",
	     "https://d.example/api/v10/webhooks/77/a%2F%2E%2E%2Fb%3F%23%C3%A9",
	     false},
	    {{.method = "editMessage", .chat_id = 5, .message_id = 9223372036854775807},
	     "PATCH",
	     "https://d.example/api/v10/channels/5/messages/9223372036854775807",
	     true},
	    {{.method = "deleteOriginal", .token = "aW5", .body = SPAN("{}")},
	     "DELETE",
	     "https://d.example/api/v10/webhooks/77/aW5/messages/@original",
	     false},
	    {{.method = "getCommands"}, "GET", "https://d.example/api/v10/applications/77/commands", true},
	    {{.method = "setEndpoint"}, "PATCH", "https://d.example/api/v10/applications/@me", true},
	    {{.method = "getApplication"}, "GET", "https://d.example/api/v10/applications/@me", true},
	    {{.method = "setCommands"}, "PUT", "https://d.example/api/v10/applications/77/commands", true},
	    {{.method = "getMe"}, "GET", "https://d.example/api/v10/users/@me", true},
	    {{.method = "ofTomorrow"}, "GET", "https://d.example/api/v10/unknown", false},
	};
	const struct credentials who = {.api = "https://d.example/api/v10", .token = "T.o-k", .app_id = "77"};

	fresh();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct request r;

		platform_discord.request(&who, &cases[i].call, &arena, &r);
		CHECK_STR(r.method, cases[i].method);
		CHECK_STR(r.url, cases[i].url);
		CHECK_STR(r.headers[0], cases[i].bot ? "Authorization: Bot T.o-k" : NULL);
		CHECK(!r.headers[1]);
		CHECK_INT(r.body.len, 0);
	}
}

/* ---- answers */

static void rulings(void)
{
	static const struct {
		int status;
		const char *body;
		int64_t header_ms;
		enum verdict verdict;
		int64_t wait_ms;
		bool limited, whole_bot;
	} cases[] = {
	    {200, "{\"id\":\"5\"}", -1, CALL_DONE, -1, false, false},
	    {200, "[]", -1, CALL_DONE, -1, false, false},
	    {204, "", -1, CALL_DONE, -1, false, false},
	    {200, "<html>", -1, CALL_OUTAGE, -1, false, false},
	    {200, "", -1, CALL_OUTAGE, -1, false, false},
	    {302, "", -1, CALL_OUTAGE, -1, false, false},
	    {400, "{\"message\":\"Invalid Form Body\",\"code\":50035,\"errors\":{}}", -1, CALL_FINAL, -1, false, false},
	    {400, "<html>", -1, CALL_OUTAGE, -1, false, false},
	    {401, "{\"message\":\"401: Unauthorized\",\"code\":0}", -1, CALL_DENIED, -1, false, false},
	    {401, "{\"message\":\"Invalid Webhook Token\",\"code\":50027}", 5000, CALL_GONE, -1, false, false},
	    {403, "{\"message\":\"Missing Access\",\"code\":50001}", -1, CALL_FINAL, -1, false, false},
	    {403, "error code: 1020", -1, CALL_OUTAGE, -1, false, false},
	    {404, "{\"message\":\"Unknown Webhook\",\"code\":10015}", -1, CALL_GONE, -1, false, false},
	    {404, "{\"message\":\"Unknown Channel\",\"code\":10003}", -1, CALL_FINAL, -1, false, false},
	    {404, "{\"message\":\"Unknown Application\",\"code\":10002}", -1, CALL_DENIED, -1, false, false},
	    {404, "nginx", -1, CALL_OUTAGE, -1, false, false},
	    {408, "{\"message\":\"late\"}", -1, CALL_LATER, -1, false, false},
	    {429, "{\"message\":\"You are being rate limited.\",\"retry_after\":64.57,\"global\":false}", 65000,
	     CALL_LATER, 64570, true, false},
	    {429, "{\"message\":\"You are being rate limited.\",\"retry_after\":0.0641,\"global\":true}", 1000,
	     CALL_LATER, 65, true, true},
	    {429, "{\"message\":\"limited\",\"retry_after\":0}", -1, CALL_LATER, 50, true, false},
	    {429, "{\"message\":\"limited\",\"retry_after\":1e300}", -1, CALL_LATER, 86400000, true, false},
	    {429, "{\"message\":\"limited\",\"retry_after\":-1}", 3000, CALL_LATER, 3000, true, false},
	    {429, "error code: 1015", 900000, CALL_LATER, 900000, true, true},
	    {429, "", -1, CALL_LATER, 1000, true, true},
	    {500, "{\"message\":\"500: Internal Server Error\",\"code\":0}", -1, CALL_OUTAGE, -1, false, false},
	    {503, "", 7000, CALL_OUTAGE, 7000, false, false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ruling r;

		fresh();
		platform_discord.judge(
		    &(struct response){cases[i].status, span_of(cases[i].body), cases[i].header_ms, NULL}, &arena, &r);
		if (r.verdict != cases[i].verdict || r.wait_ms != cases[i].wait_ms)
			printf("# %d %s\n", cases[i].status, cases[i].body);
		CHECK_INT(r.verdict, cases[i].verdict);
		CHECK_INT(r.wait_ms, cases[i].wait_ms);
		CHECK_INT(r.limited, cases[i].limited);
		CHECK_INT(r.scoped, cases[i].limited);
		CHECK_INT(r.whole_bot, cases[i].whole_bot);
		CHECK_INT(r.refused, cases[i].status == 401 || cases[i].status == 403 || cases[i].status == 429);
		CHECK_INT(r.early, strstr(cases[i].body, "10015") != NULL);
		CHECK(r.why && *r.why && !r.quota.bucket);
	}
}

static struct ruling judged(int status, const char *body, const char *const *headers)
{
	struct ruling r;

	fresh();
	platform_discord.judge(&(struct response){status, span_of(body), -1, headers}, &arena, &r);
	return r;
}

#define HEADERS(...) ((const char *const[]){__VA_ARGS__})

static void what_headers_tell(void)
{
	static const char limit[] = "{\"message\":\"limited\",\"retry_after\":1.5,\"global\":false}";
	struct ruling r = judged(200, "{}", HEADERS("ab_-12", "5", "4", "1.2345", NULL, NULL));

	CHECK_STR(platform_discord.headers[0], "X-RateLimit-Bucket");
	CHECK(!platform_discord.headers[6]);
	CHECK_INT(r.verdict, CALL_DONE);
	CHECK_STR(r.quota.bucket, "ab_-12");
	CHECK(r.quota.limit == 5 && r.quota.left == 4 && r.quota.reset_ms == 1235);
	r = judged(429, limit, HEADERS("ab", "5", "0", "1.5", "user", NULL));
	CHECK(r.quota.bucket && r.quota.left == 0 && r.quota.reset_ms == 1500);
	CHECK(r.limited && !r.whole_bot && r.refused);
	r = judged(429, limit, HEADERS(NULL, NULL, NULL, NULL, "shared", NULL));
	CHECK(r.limited && !r.whole_bot && !r.refused && r.wait_ms == 1500);
	r = judged(429, limit, HEADERS(NULL, NULL, NULL, NULL, "global", NULL));
	CHECK(r.limited && r.whole_bot && r.refused);
	r = judged(429, limit, HEADERS(NULL, NULL, NULL, NULL, NULL, "true"));
	CHECK(r.limited && r.whole_bot && r.refused);
	CHECK(!r.shut_out);
	r = judged(429, "error code: 1015", HEADERS(NULL, NULL, NULL, NULL, NULL, NULL));
	CHECK(r.limited && r.whole_bot && r.refused && r.shut_out);
	CHECK(judged(403, "{\"message\":\"no\"}", HEADERS(NULL, NULL, NULL, NULL, "shared", NULL)).refused);
}

static void headers_that_are_none(void)
{
	static const char *const wrong[][4] = {
	    {NULL, "5", "4", "1"},    {"a", NULL, "4", "1"},  {"a", "5", NULL, "1"},  {"a", "5", "4", NULL},
	    {"", "5", "4", "1"},      {"a b", "5", "4", "1"}, {"a", "0", "0", "1"},   {"a", "-5", "-6", "1"},
	    {"a", "5", "6", "1"},     {"a", "5", "-1", "1"},  {"a", "5.0", "4", "1"}, {"a", "1000001", "4", "1"},
	    {"a", "5", "4", "-1"},    {"a", "5", "4", "nan"}, {"a", "5", "4", "inf"}, {"a", "5", "4", "1e300"},
	    {"a", "5", "4", "86401"}, {"a", "5", "4", "1s"},  {"a", "5", "4", ""},
	};
	char longest[66];

	memset(longest, 'b', sizeof(longest));
	longest[65] = 0;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		CHECK(!judged(200, "{}", HEADERS(wrong[i][0], wrong[i][1], wrong[i][2], wrong[i][3], NULL, NULL))
		           .quota.bucket);
	CHECK(!judged(200, "{}", HEADERS(longest, "5", "4", "1", NULL, NULL)).quota.bucket);
	CHECK_STR(judged(200, "{}", HEADERS(longest + 1, "5", "5", "0", NULL, NULL)).quota.bucket, longest + 1);
}

/* ---- what is answered at once */

static const char *text_of(struct span s)
{
	return arena_strndup(&arena, s.ptr, s.len);
}

static const char *disabled(const char *message)
{
	const char *why;

	fresh();
	return text_of(discord_disable(
	    json_parse(&arena, span_of(arena_printf(&arena, "{\"message\":%s}", message)), &why), &arena));
}

static void first_answers(void)
{
	static const struct choice few[] = {{"Germany", "DE"}, {"Ger\"many", "X"}};
	struct choice many[26];
	struct discord_choices c = {2, few};
	char label[102];

	fresh();
	CHECK_STR(text_of(DISCORD_PONG), "{\"type\":1}");
	CHECK_STR(text_of(discord_defer(false, &arena)), "{\"type\":5,\"data\":{}}");
	CHECK_STR(text_of(discord_defer(true, &arena)), "{\"type\":5,\"data\":{\"flags\":64}}");
	CHECK_STR(text_of(discord_say("a \"b\"", &arena)),
	          "{\"type\":4,\"data\":{\"content\":\"a \\\"b\\\"\",\"flags\":64," NOBODY "}}");
	CHECK_STR(text_of(discord_suggest(&c, &arena)),
	          "{\"type\":8,\"data\":{\"choices\":[{\"name\":\"Germany\",\"value\":\"DE\"},"
	          "{\"name\":\"Ger\\\"many\",\"value\":\"X\"}]}}");
	CHECK_STR(text_of(discord_suggest(&(struct discord_choices){0}, &arena)),
	          "{\"type\":8,\"data\":{\"choices\":[]}}");
	memset(label, 'l', sizeof(label));
	label[101] = 0;
	for (int i = 0; i < 26; i++)
		many[i] = (struct choice){label, "v"};
	label[100] = '!';
	CHECK(!strstr(text_of(discord_suggest(&(struct discord_choices){26, many}, &arena)), "!"));
	CHECK_INT(discord_suggest(&(struct discord_choices){26, many}, &arena).len,
	          strlen("{\"type\":8,\"data\":{\"choices\":[]}}") +
	              25 * (100 + strlen("{\"name\":\"\",\"value\":\"v\"},")) - 1);
}

static void pressed_messages(void)
{
	static const struct {
		const char *message, *want;
	} cases[] = {
	    {"{\"type\":2,\"components\":[]}", "{\"type\":6,\"data\":{}}"},
	    {"null", "{\"type\":6,\"data\":{}}"},
	    {"{\"components\":[{\"type\":1,\"components\":[{\"type\":2,\"style\":5,\"url\":\"u\"}]}]}",
	     "{\"type\":6,\"data\":{}}"},
	    {"{\"content\":\"x\",\"components\":[{\"type\":1,\"id\":9007199254740993,\"components\":["
	     "{\"type\":2,\"style\":1,\"custom_id\":\"a\",\"label\":\"A\",\"disabled\":false},"
	     "{\"type\":2,\"style\":5,\"url\":\"u\",\"label\":\"L\"},{\"type\":2,\"style\":4,\"custom_id\":\"b\"}]},"
	     "{\"type\":1,\"components\":[{\"type\":3,\"custom_id\":\"m\",\"options\":[{\"label\":\"o\"}]}]}]}",
	     "{\"type\":7,\"data\":{\"components\":[{\"type\":1,\"id\":9007199254740993,\"components\":["
	     "{\"type\":2,\"style\":1,\"custom_id\":\"a\",\"label\":\"A\",\"disabled\":true},"
	     "{\"type\":2,\"style\":5,\"url\":\"u\",\"label\":\"L\"},"
	     "{\"type\":2,\"style\":4,\"custom_id\":\"b\",\"disabled\":true}]},"
	     "{\"type\":1,\"components\":[{\"type\":3,\"custom_id\":\"m\",\"options\":[{\"label\":\"o\"}],"
	     "\"disabled\":true}]}]}}"},
	    {"{\"components\":[{\"type\":17,\"components\":[{\"type\":9,\"components\":[7],\"accessory\":"
	     "{\"type\":2,\"style\":2,\"custom_id\":\"a\"}}]}]}",
	     "{\"type\":7,\"data\":{\"components\":[{\"type\":17,\"components\":[{\"type\":9,\"components\":[7],"
	     "\"accessory\":{\"type\":2,\"style\":2,\"custom_id\":\"a\",\"disabled\":true}}]}]}}"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		CHECK_STR(disabled(cases[i].message), cases[i].want);
}

static void forms(void)
{
	static const struct choice yes_no[] = {{"Yes", "y"}, {"No", "n"}}, regions[] = {{"Korea", "kor"}};
	static const struct form_field fields[] = {
	    {.name = "name", .label = "Your name", .required = true, .min = 2, .max = 32},
	    {.name = "sure", .label = "Sure?", .nchoices = 2, .choices = yes_no},
	    {.name = "region", .label = "Region", .required = true, .table = "regions"},
	    {.name = "country", .label = "Country", .table = "countries"},
	};
	static const struct form form = {.verb = "setup", .title = "Set up", .nfields = 4, .fields = fields};
	const struct discord_choices tables[] = {{0, NULL}, {0, NULL}, {1, regions}, {250, NULL}};

	fresh();
	CHECK_STR(text_of(discord_form(&form, tables, &arena)),
	          "{\"type\":9,\"data\":{\"custom_id\":\"setup\",\"title\":\"Set up\",\"components\":["
	          "{\"type\":18,\"label\":\"Your name\",\"component\":{\"type\":4,\"custom_id\":\"name\",\"style\":1,"
	          "\"min_length\":2,\"max_length\":32,\"required\":true}},"
	          "{\"type\":18,\"label\":\"Sure?\",\"component\":{\"type\":3,\"custom_id\":\"sure\",\"options\":["
	          "{\"label\":\"Yes\",\"value\":\"y\"},{\"label\":\"No\",\"value\":\"n\"}],\"required\":false}},"
	          "{\"type\":18,\"label\":\"Region\",\"component\":{\"type\":3,\"custom_id\":\"region\",\"options\":["
	          "{\"label\":\"Korea\",\"value\":\"kor\"}],\"required\":true}},"
	          "{\"type\":18,\"label\":\"Country\",\"component\":{\"type\":4,\"custom_id\":\"country\",\"style\":1,"
	          "\"required\":false}}]}}");
}

/* ---- the menu */

static void menu(void)
{
	static const struct choice results[] = {{"I won", "win"}, {"I lost", "loss"}};
	static const struct form_field country[] =
	    {{.name = "country", .label = "Where", .required = true, .table = "countries"}},
	                               report[] = {{.name = "result", .label = "R", .nchoices = 2, .choices = results},
	                                           {.name = "n", .label = "N", .kind = FIELD_NUMBER},
	                                           {.name = "who", .label = "W", .kind = FIELD_PERSON}};
	struct command rows[] = {{.name = "setcountry",
	                          .kinds = UPDATE_SLASH,
	                          .word = "setcountry",
	                          .about = "Sets it",
	                          .nfields = 1,
	                          .fields = country},
	                         {.name = "page", .kinds = UPDATE_PRESS, .word = "page"},
	                         {.name = "report",
	                          .kinds = UPDATE_SLASH,
	                          .word = "report",
	                          .about = "Reports",
	                          .nfields = 3,
	                          .fields = report}};
	const struct bot b = {.name = "b", .ncommands = 3, .commands = rows};
	struct call c;
	const char *why;

	fresh();
	CHECK_INT(discord_commands(&b, &arena, &c, &why), ERR_OK);
	CHECK_STR(c.method, "setCommands");
	CHECK_STR(
	    text_of(c.body),
	    "[{\"name\":\"setcountry\",\"type\":1,\"description\":\"Sets it\",\"options\":[{\"type\":3,\"name\":"
	    "\"country\",\"description\":\"Where\",\"required\":true,\"autocomplete\":true}]},"
	    "{\"name\":\"report\",\"type\":1,\"description\":\"Reports\",\"options\":[{\"type\":3,\"name\":\"result\","
	    "\"description\":\"R\",\"choices\":[{\"name\":\"I won\",\"value\":\"win\"},{\"name\":\"I lost\",\"value\":"
	    "\"loss\"}]},{\"type\":4,\"name\":\"n\",\"description\":\"N\"},{\"type\":6,\"name\":\"who\","
	    "\"description\":\"W\"}]}]");
	rows[0].word = "set country";
	CHECK_INT(discord_commands(&b, &arena, &c, &why), ERR_INVALID);
	CHECK(strstr(why, "setcountry: "));
	rows[0].word = "setcountry";
	rows[0].about = repeated("a", 101);
	CHECK_INT(discord_commands(&b, &arena, &c, &why), ERR_INVALID);
	rows[0].about = "x";
	rows[2].fields = (const struct form_field[]){report[0], country[0]};
	rows[2].nfields = 2;
	CHECK_INT(discord_commands(&b, &arena, &c, &why), ERR_INVALID);
	rows[2].fields = (const struct form_field[]){{.name = "Result", .label = "R"}};
	rows[2].nfields = 1;
	CHECK_INT(discord_commands(&b, &arena, &c, &why), ERR_INVALID);
	rows[2].nfields = 26;
	CHECK_INT(discord_commands(&b, &arena, &c, &why), ERR_INVALID);
}

/* What the bots of this program put there. */
static void menus_of_the_bots(void)
{
	for (const struct bot *const *b = bots_all; *b; b++) {
		struct call c;
		const char *why = "";

		fresh();
		CHECK_INT(platform_of((*b)->platform)->menu(*b, &arena, &c, &why), ERR_OK);
		CHECK(strstr(text_of(c.body), "\"description\"")); /* none has nothing to offer */
		for (size_t i = 0; i < (*b)->ncommands; i++) {
			const struct command *row = &(*b)->commands[i];

			CHECK((row->first == FIRST_FORM) == (row->form != NULL));
			CHECK(!row->form || (row->form->nfields >= 1 && row->form->nfields <= FORM_FIELDS_MAX));
			for (size_t k = 0; row->form && k < row->form->nfields; k++)
				CHECK(strlen(row->form->fields[k].label) <= 45);
		}
	}
}

/* What Discord keeps of a menu, with members of its own and defaults filled in. */
static void menus_as_they_are_told(void)
{
	static const char ours[] =
	    "[{\"name\":\"a\",\"type\":1,\"description\":\"A\",\"options\":[{\"type\":3,\"name\":\"x\",\"description\":"
	    "\"X\","
	    "\"required\":true,\"max_length\":5,\"autocomplete\":true}]},"
	    "{\"name\":\"b\",\"type\":1,\"description\":\"B\",\"options\":[{\"type\":3,\"name\":\"y\",\"description\":"
	    "\"Y\","
	    "\"choices\":[{\"name\":\"One\",\"value\":\"1\"},{\"name\":\"Two\",\"value\":\"2\"}]}]}]";
#define A(x)                                                                                                           \
	"{\"id\":\"5\",\"version\":\"6\",\"nsfw\":false,\"name\":\"a\",\"type\":1,\"description\":\"A\",\"options\":"  \
	"[" x "]}"
#define X                                                                                                              \
	"{\"type\":3,\"name\":\"x\",\"name_localizations\":null,\"description\":\"X\",\"required\":true,\"max_"        \
	"length\":5,"                                                                                                  \
	"\"autocomplete\":true}"
#define B(y) "{\"name\":\"b\",\"type\":1,\"description\":\"B\",\"options\":[" y "]}"
#define Y(c) "{\"type\":3,\"name\":\"y\",\"description\":\"Y\",\"required\":false,\"choices\":[" c "]}"
#define TWO "{\"name\":\"One\",\"value\":\"1\"},{\"name\":\"Two\",\"value\":\"2\"}"
	static const struct {
		const char *told;
		bool same;
		size_t n;
	} cases[] = {
	    {"[" A(X) "," B(Y(TWO)) "]", true, 2},
	    {"[" B(Y(TWO)) "," A(X) "]", true, 2}, /* in whatever order */
	    {"[" A(X) "]", false, 1},
	    {"[" A(X) "," A(X) "]", false, 2},
	    {"[" A(X) "," B(Y(TWO)) "," B(Y(TWO)) "]", false, 3},
	    {"[" A("") "," B(Y(TWO)) "]", false, 2},
	    {"[" A(X "," X) "," B(Y(TWO)) "]", false, 2},
	    {"[" A(X) "," B(Y("")) "]", false, 2},
	    {"[" A(X) "," B(Y("{\"name\":\"Two\",\"value\":\"2\"},{\"name\":\"One\",\"value\":\"1\"}")) "]", false, 2},
	    {"[" A("{\"type\":3,\"name\":\"x\",\"description\":\"X\",\"required\":true,\"autocomplete\":true}") "," B(
	         Y(TWO)) "]",
	     false, 2},
	    {"[" A("{\"type\":4,\"name\":\"x\",\"description\":\"X\",\"required\":true,\"max_length\":5,"
	           "\"autocomplete\":true}") "," B(Y(TWO)) "]",
	     false, 2},
	    {"[" A("{\"type\":3,\"name\":\"x\",\"description\":\"X\",\"max_length\":5,\"autocomplete\":true}") "," B(
	         Y(TWO)) "]",
	     false, 2},
	    {"[]", false, 0},
	    {"{}", false, 0},
	    {"x", false, 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t n = 99;

		fresh();
		if (discord_menu_same(span_of(ours), span_of(cases[i].told), &arena, &n) != cases[i].same)
			printf("# case %zu: %s\n", i, cases[i].told ? cases[i].told : "nothing");
		CHECK_INT(discord_menu_same(span_of(ours), span_of(cases[i].told), &arena, &n), cases[i].same);
		CHECK_INT(n, cases[i].n);
	}
}

static void endpoints(void)
{
	struct hook h;
	struct call c;

	fresh();
	platform_discord.hook_set(&bot, &(struct hook){.url = "https://x/\"y"}, &arena, &c);
	CHECK_STR(c.method, "setEndpoint");
	CHECK_STR(text_of(c.body), "{\"interactions_endpoint_url\":\"https://x/\\\"y\"}");
	CHECK(platform_discord.hook_read(&bot, SPAN("{\"id\":\"1\",\"interactions_endpoint_url\":\"https://x\"}"),
	                                 &arena, &h));
	CHECK_STR(h.url, "https://x");
	CHECK(h.pending == -1 && !h.last_error && h.connections == 0);
	CHECK(platform_discord.hook_read(&bot, SPAN("{\"id\":\"1\",\"interactions_endpoint_url\":null}"), &arena, &h));
	CHECK_STR(h.url, "");
	CHECK(!platform_discord.hook_read(&bot, SPAN("[]"), &arena, &h));
}

int main(void)
{
	arena_init(&arena);
	RUN(a_command);
	RUN(a_command_in_private);
	RUN(words_of_commands);
	RUN(a_command_without_end);
	RUN(a_press);
	RUN(a_form);
	RUN(a_suggestion);
	RUN(the_fleets_own_word);
	RUN(what_is_of_no_use);
	RUN(refused_bodies);
	RUN(entries);
	RUN(markup);
	RUN(messages);
	RUN(a_message_that_calls_somebody);
	RUN(a_message_that_comes_again);
	RUN(limits_of_messages);
	RUN(requests);
	RUN(rulings);
	RUN(what_headers_tell);
	RUN(headers_that_are_none);
	RUN(first_answers);
	RUN(pressed_messages);
	RUN(forms);
	RUN(menu);
	RUN(menus_of_the_bots);
	RUN(menus_as_they_are_told);
	RUN(endpoints);
	arena_release(&arena);
	DONE();
}
