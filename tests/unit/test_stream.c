/* links: base model wire */
#include "check.h"

#include "shoal/wire/stream.h"
#include "shoal/wire/telegram.h"

static const struct bot bot = {.name = "persona", .platform = PLATFORM_TELEGRAM};

static const char *lane_of(const char *body)
{
	static char lane[300];
	struct arena a;
	struct entry e;
	const char *why = NULL;

	arena_init(&a);
	if (entry_from_telegram(&bot, span_of(body), 1700000000123, &a, &e, &why) == ERR_OK)
		snprintf(lane, sizeof(lane), "%s", e.lane);
	else
		snprintf(lane, sizeof(lane), "refused%s", why && *why ? "" : " without a reason");
	arena_release(&a);
	return lane;
}

/* Lanes as the contract words them: chat, else user, else update. */
static void lanes(void)
{
	static const struct {
		const char *body, *lane;
	} cases[] = {
	    {"{\"update_id\":1,\"message\":{\"chat\":{\"id\":-1001234567890123},\"from\":{\"id\":5}}}",
	     "telegram:persona:-1001234567890123"},
	    {"{\"message\":{\"chat\":{\"id\":9007199254740993}},\"update_id\":1}", "telegram:persona:9007199254740993"},
	    {"{\"update_id\":1,\"edited_message\":{\"chat\":{\"id\":7}}}", "telegram:persona:7"},
	    {"{\"update_id\":1,\"channel_post\":{\"chat\":{\"id\":-7}}}", "telegram:persona:-7"},
	    {"{\"update_id\":1,\"edited_channel_post\":{\"chat\":{\"id\":-7}}}", "telegram:persona:-7"},
	    {"{\"update_id\":1,\"business_connection\":{\"user\":{\"id\":7},\"user_chat_id\":7}}",
	     "telegram:persona:user:7"},
	    {"{\"update_id\":1,\"business_message\":{\"chat\":{\"id\":7}}}", "telegram:persona:7"},
	    {"{\"update_id\":1,\"edited_business_message\":{\"chat\":{\"id\":7}}}", "telegram:persona:7"},
	    {"{\"update_id\":1,\"deleted_business_messages\":{\"chat\":{\"id\":7}}}", "telegram:persona:7"},
	    {"{\"update_id\":1,\"guest_message\":{\"chat\":{\"id\":7}}}", "telegram:persona:7"},
	    {"{\"update_id\":1,\"message_reaction\":{\"chat\":{\"id\":7},\"user\":{\"id\":8}}}", "telegram:persona:7"},
	    {"{\"update_id\":1,\"message_reaction_count\":{\"chat\":{\"id\":7}}}", "telegram:persona:7"},
	    {"{\"update_id\":1,\"inline_query\":{\"from\":{\"id\":8}}}", "telegram:persona:user:8"},
	    {"{\"update_id\":1,\"chosen_inline_result\":{\"from\":{\"id\":8}}}", "telegram:persona:user:8"},
	    {"{\"update_id\":1,\"callback_query\":{\"from\":{\"id\":8},\"message\":{\"chat\":{\"id\":7},\"date\":0}}}",
	     "telegram:persona:7"},
	    {"{\"update_id\":1,\"callback_query\":{\"from\":{\"id\":8},\"inline_message_id\":\"x\"}}",
	     "telegram:persona:user:8"},
	    {"{\"update_id\":1,\"shipping_query\":{\"from\":{\"id\":8}}}", "telegram:persona:user:8"},
	    {"{\"update_id\":1,\"pre_checkout_query\":{\"from\":{\"id\":8}}}", "telegram:persona:user:8"},
	    {"{\"update_id\":1,\"purchased_paid_media\":{\"from\":{\"id\":8}}}", "telegram:persona:user:8"},
	    {"{\"update_id\":12,\"poll\":{\"id\":\"5\"}}", "telegram:persona:update:12"},
	    {"{\"update_id\":1,\"poll_answer\":{\"user\":{\"id\":8}}}", "telegram:persona:user:8"},
	    {"{\"update_id\":1,\"poll_answer\":{\"voter_chat\":{\"id\":-9}}}", "telegram:persona:-9"},
	    {"{\"update_id\":1,\"my_chat_member\":{\"chat\":{\"id\":7}}}", "telegram:persona:7"},
	    {"{\"update_id\":1,\"chat_member\":{\"chat\":{\"id\":-7}}}", "telegram:persona:-7"},
	    {"{\"update_id\":1,\"chat_join_request\":{\"chat\":{\"id\":-7}}}", "telegram:persona:-7"},
	    {"{\"update_id\":1,\"chat_boost\":{\"chat\":{\"id\":-7}}}", "telegram:persona:-7"},
	    {"{\"update_id\":1,\"removed_chat_boost\":{\"chat\":{\"id\":-7}}}", "telegram:persona:-7"},
	    {"{\"update_id\":1,\"managed_bot\":{\"user\":{\"id\":8},\"bot\":{\"id\":9}}}", "telegram:persona:user:8"},
	    {"{\"update_id\":1,\"of_tomorrow\":{\"chat\":{\"id\":7}}}", "telegram:persona:7"},
	    {"{\"update_id\":1,\"of_tomorrow\":{\"user\":{\"id\":8}}}", "telegram:persona:user:8"},
	    {"{\"update_id\":1,\"of_tomorrow\":17}", "telegram:persona:update:1"},
	    {"{\"update_id\":9007199254740992}", "telegram:persona:update:9007199254740992"},
	    {"{\"update_id\":0}", "telegram:persona:update:0"},
	    {"{\"update_id\":1,\"message\":\"no object\"}", "telegram:persona:update:1"},
	    {"{\"update_id\":1,\"message\":{\"chat\":{\"id\":\"7\"},\"from\":{\"id\":8}}}", "telegram:persona:user:8"},
	    {"{\"update_id\":1,\"message\":{\"chat\":{\"id\":99999999999999999999}}}", "telegram:persona:update:1"},
	    {"{\"update_id\":1,\"message\":{\"chat\":{\"id\":7.5}}}", "telegram:persona:update:1"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		CHECK_STR(lane_of(cases[i].body), cases[i].lane);
}

static void refused_bodies(void)
{
	static const char *const bodies[] = {
	    "",
	    "{",
	    "[]",
	    "7",
	    "null",
	    "\"x\"",
	    "{}",
	    "{\"update_id\":\"1\"}",
	    "{\"update_id\":1.5}",
	    "{\"update_id\":-1}",
	    "{\"update_id\":9007199254740993}",
	    "{\"update_id\":99999999999999999999}",
	    "{\"update_id\":null}",
	    "{\"update_id\":true}",
	    "{\"Update_id\":1}",
	    "{\"update_id\":1} x",
	    "{\"update_id\":1}{\"update_id\":2}",
	    "{\"update_id\":1,\"x\":\"\xff\"}",
	    "{\"update_id\":1,\"x\":\"\xed\xa0\x80\"}",
	};

	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
		CHECK_STR(lane_of(bodies[i]), "refused");
}

static const char *words(const struct span *argv, size_t n)
{
	static char out[1024];
	size_t len = 0;

	for (size_t i = 0; i < n; i++)
		len += (size_t)snprintf(out + len, sizeof(out) - len, "%s%.*s", i ? "|" : "", (int)argv[i].len,
		                        argv[i].ptr);
	return out;
}

static void entry_as_command(void)
{
	struct arena a;
	struct entry e;
	struct span *argv;
	const char *why;
	size_t n;

	arena_init(&a);
	CHECK(entry_from_telegram(&bot, SPAN(" {\"update_id\" : 3, \"poll\":{}} "), 1700000000123, &a, &e, &why) ==
	      ERR_OK);
	n = entry_xadd(&e, "shoal:{0}:updates", &a, &argv);
	CHECK_STR(words(argv, n), "XADD|shoal:{0}:updates|*|bot|persona|lane|telegram:persona:update:3|key|"
	                          "telegram:persona:3|at|1700000000123|body| {\"update_id\" : 3, \"poll\":{}} ");
	e.trace = &(const struct trace){
	    .id = "4bf92f3577b34da6a3ce929d0e0e4736", .span = "00f067aa0ba902b7", .sampled = true};
	n = entry_xadd(&e, "s", &a, &argv);
	CHECK_INT(n, 15);
	CHECK_STR(words(argv + 13, n - 13), "traceparent|00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
	arena_release(&a);
}

static void entry_of_the_fleet(void)
{
	char cause[400];
	struct arena a;
	struct entry e, other;

	arena_init(&a);
	entry_internal(&bot, 77, "telegram:persona:12", SPAN("{}"), 5, &a, &e);
	CHECK_STR(e.lane, "telegram:persona:77");
	CHECK_STR(e.key, "shoal:persona:telegram:persona:12");
	CHECK_INT(e.at_ms, 5);
	memset(cause, 'k', sizeof(cause));
	cause[399] = 0;
	entry_internal(&bot, 77, cause, SPAN("{}"), 5, &a, &e);
	CHECK(strlen(e.key) <= 255);
	cause[398] = 'l';
	entry_internal(&bot, 77, cause, SPAN("{}"), 5, &a, &other);
	CHECK(strcmp(e.key, other.key) != 0);
	entry_internal(&(const struct bot){.name = "ladder", .platform = PLATFORM_DISCORD}, 77, "c", SPAN("{}"), 5, &a,
	               &e);
	CHECK_STR(e.lane, "discord:ladder:77");
	arena_release(&a);
}

/* All programs of a fleet must agree, also over releases: the values are fixed. */
static void shards(void)
{
	unsigned count[7] = {0};

	CHECK_INT(lane_shard(SPAN("telegram:persona:1"), 1), 0);
	CHECK_INT(lane_shard(SPAN(""), 1), 0);
	CHECK_INT(lane_shard(SPAN("telegram:persona:1"), 16), 12);
	CHECK_INT(lane_shard(SPAN("telegram:persona:-1001234567890123"), 16), 7);
	CHECK_INT(lane_shard(SPAN("discord:ladder:80351110224678912"), 16), 8);
	for (int i = 0; i < 7000; i++) {
		char lane[64];
		unsigned shard;

		snprintf(lane, sizeof(lane), "telegram:persona:%d", 100000 + i);
		shard = lane_shard(span_of(lane), 7);
		CHECK(shard < 7);
		count[shard % 7]++;
	}
	for (int i = 0; i < 7; i++)
		CHECK(count[i] > 850 && count[i] < 1150);
}

int main(void)
{
	RUN(lanes);
	RUN(refused_bodies);
	RUN(entry_as_command);
	RUN(entry_of_the_fleet);
	RUN(shards);
	DONE();
}
