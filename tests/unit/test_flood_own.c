/* links: base io store */
#include "check.h"

#include "shoal/store/flood_own.h"

#define T0 1000000 /* some time of clock_ms() */

static struct flood_own *o;

static void begin(struct rate bot, struct rate chat, struct rate group)
{
	const struct conf conf = {.flood_bot = bot, .flood_chat = chat, .flood_group = group};
	o = flood_own_open(&conf);
}

static struct flood_answer ask_of(const char *bot, int64_t chat, bool group, enum flood_standing standing, int64_t now)
{
	const struct flood_message m = {.bot = bot, .chat_id = chat, .group = group, .standing = standing};
	struct flood_answer a;
	memset(&a, 0xff, sizeof(a));
	flood_own_ask(o, &m, now, &a);
	return a;
}

static struct flood_answer ask(int64_t chat, int64_t now)
{
	return ask_of("persona", chat, false, FLOOD_NEW, now);
}

static struct flood_answer back(int64_t chat, int64_t now)
{
	return ask_of("persona", chat, false, FLOOD_HAS_PLACE, now);
}

static bool is(struct flood_answer a, enum flood_what what, int64_t wait_ms)
{
	if (a.what == what && a.wait_ms == wait_ms && a.own && !a.doubt[0])
		return true;
	printf("# what %d, wait %lld ms, own %d, doubt \"%.24s\"\n", (int)a.what, (long long)a.wait_ms, a.own, a.doubt);
	return false;
}

static void hear(int64_t chat, enum flood_what what, int64_t ms, int64_t now)
{
	const struct flood_message m = {.bot = "persona", .chat_id = chat};
	const struct flood_answer a = {.what = what, .wait_ms = ms};
	flood_own_heard(o, &m, &a, now);
}

static const struct rate none;

/* ---- the pace */

static void twenty_a_second_of_a_bot(void)
{
	begin(none, none, none);
	for (int i = 0; i < 300; i++) /* each to another chat, all at once */
		CHECK(is(ask(100 + i, T0), FLOOD_BOOKED, 50L * i));
	CHECK(is(ask(999, T0), FLOOD_BOOKED, FLOOD_OWN_WAIT_MS));
	/* no longer wait is booked, so it does not grow */
	CHECK(is(ask(1000, T0), FLOOD_AGAIN, FLOOD_OWN_WAIT_MS + 50));
	CHECK(is(ask(1001, T0), FLOOD_AGAIN, FLOOD_OWN_WAIT_MS + 50));
	CHECK(is(back(101, T0 + 50), FLOOD_BOOKED, 0));
	CHECK(is(ask_of("escrow", 100, false, FLOOD_NEW, T0), FLOOD_BOOKED, 0));
	CHECK(is(ask(2000, T0 + 20000), FLOOD_BOOKED, 0));
	flood_own_close(o);
}

static void one_a_second_to_a_chat(void)
{
	begin(none, none, none);
	CHECK(is(ask(1, T0), FLOOD_BOOKED, 0));
	CHECK(is(ask(1, T0), FLOOD_BOOKED, 1000));
	CHECK(is(ask(1, T0 + 500), FLOOD_BOOKED, 1500));
	CHECK(is(ask(1, T0 + 4000), FLOOD_BOOKED, 0));
	CHECK(is(ask(1, T0 + 4000), FLOOD_BOOKED, 1000));
	CHECK(is(ask(2, T0 + 4100), FLOOD_BOOKED, 0)); /* whose wait holds up nobody else */
	flood_own_close(o);
}

static void to_no_chat(void)
{
	begin(none, none, none);
	CHECK(is(ask(0, T0), FLOOD_BOOKED, 0));
	CHECK(is(ask(0, T0), FLOOD_BOOKED, 50));
	flood_own_close(o);
}

static void options_make_it_slower(void)
{
	begin((struct rate){6, 1}, (struct rate){20, 40}, (struct rate){20, 60});
	CHECK(is(ask(1, T0), FLOOD_BOOKED, 0));
	CHECK(is(ask(2, T0), FLOOD_BOOKED, 167));
	CHECK(is(ask(3, T0), FLOOD_BOOKED, 334));
	CHECK(is(ask(1, T0 + 900), FLOOD_BOOKED, 1100));
	CHECK(is(ask_of("persona", -5, true, FLOOD_NEW, T0 + 10000), FLOOD_BOOKED, 0));
	CHECK(is(ask_of("persona", -5, true, FLOOD_NEW, T0 + 11000), FLOOD_BOOKED, 2000));
	flood_own_close(o);
}

static void options_make_it_no_faster(void)
{
	begin((struct rate){1000, 1}, (struct rate){5, 1}, none);
	CHECK(is(ask(1, T0), FLOOD_BOOKED, 0));
	CHECK(is(ask(2, T0), FLOOD_BOOKED, 50));
	CHECK(is(ask(1, T0 + 200), FLOOD_BOOKED, 800));
	flood_own_close(o);
}

/* ---- what was heard before */

static void a_chat_that_redis_called_blocked(void)
{
	begin(none, none, none);
	hear(1, FLOOD_CHAT_BLOCKED, 60000, T0);
	CHECK(is(ask(1, T0 + 10000), FLOOD_CHAT_BLOCKED, 50000));
	CHECK(is(back(1, T0 + 10000), FLOOD_CHAT_BLOCKED, 50000));
	CHECK(is(ask(2, T0 + 10000), FLOOD_BOOKED, 0));
	CHECK(is(ask_of("escrow", 1, false, FLOOD_NEW, T0 + 10000), FLOOD_BOOKED, 0));
	CHECK(is(ask(1, T0 + 58000), FLOOD_BOOKED, 2000));
	flood_own_close(o);
}

static void a_bot_that_redis_called_blocked(void)
{
	begin(none, none, none);
	hear(3, FLOOD_BOT_BLOCKED, 40000, T0);
	CHECK(is(ask(2, T0 + 20000), FLOOD_BOT_BLOCKED, 20000));
	CHECK(flood_own_bot_blocked(o, "persona", T0 + 39999));
	CHECK(!flood_own_bot_blocked(o, "persona", T0 + 40000));
	CHECK(!flood_own_bot_blocked(o, "escrow", T0 + 20000));
	hear(3, FLOOD_BOOKED, 0, T0 + 21000);
	CHECK(!flood_own_bot_blocked(o, "persona", T0 + 22000));
	CHECK(is(ask(4, T0 + 22000), FLOOD_BOOKED, 0));
	flood_own_close(o);
}

static void a_bot_that_the_platform_refused(void)
{
	begin(none, none, none);
	CHECK(is(ask(4, T0), FLOOD_BOOKED, 0));
	flood_own_bot_limited(o, "persona", 30000, T0);
	CHECK(is(back(4, T0 + 1000), FLOOD_BOT_BLOCKED, 29000));
	CHECK(flood_own_bot_blocked(o, "persona", T0 + 1000));
	flood_own_close(o);
}

/* ---- 429 */

static void a_429_blocks_its_chat(void)
{
	begin(none, none, none);
	flood_own_limited(o, "persona", 1, 86400000, T0);
	CHECK(is(ask(1, T0 + 60000), FLOOD_CHAT_BLOCKED, 86340000));
	CHECK(is(back(1, T0 + 60000), FLOOD_CHAT_BLOCKED, 86340000));
	CHECK(is(ask(2, T0 + 60000), FLOOD_BOOKED, 0));
	flood_own_close(o);
}

static void a_429_holds_up_the_others_for_a_moment(void)
{
	begin(none, none, none);
	CHECK(is(ask(2, T0), FLOOD_BOOKED, 0));
	CHECK(is(ask(3, T0), FLOOD_BOOKED, 50));
	flood_own_limited(o, "persona", 1, 86400000, T0);
	CHECK(is(back(3, T0 + 50), FLOOD_BOOKED, 4950)); /* its place is lost */
	CHECK(is(ask(4, T0 + 50), FLOOD_BOOKED, 5000));
	CHECK(!flood_own_bot_blocked(o, "persona", T0 + 50));
	CHECK(is(back(3, T0 + 5000), FLOOD_BOOKED, 0)); /* then one after the other */
	CHECK(is(back(4, T0 + 5050), FLOOD_BOOKED, 0));
	CHECK(is(ask(5, T0 + 5050), FLOOD_BOOKED, 50));
	flood_own_close(o);
}

static void a_short_429_holds_up_no_longer_than_told(void)
{
	begin(none, none, none);
	flood_own_limited(o, "persona", 5, 2000, T0);
	CHECK(is(ask(6, T0), FLOOD_BOOKED, 2000));
	CHECK(is(back(5, T0), FLOOD_BOOKED, 2050));
	CHECK(is(back(5, T0 + 2050), FLOOD_BOOKED, 0));
	flood_own_limited(o, "persona", 0, 1000, T0 + 3000); /* of a call to no chat */
	CHECK(is(ask(7, T0 + 3000), FLOOD_BOOKED, 1000));
	flood_own_close(o);
}

static void memory_is_bounded(void)
{
	begin(none, none, none);
	for (int64_t i = 1; i <= 5000; i++)
		flood_own_limited(o, "persona", i, 20000, T0);
	unsigned blocked = 0, again = 0;
	for (int64_t i = 1; i <= 5000; i++) {
		struct flood_answer a = ask(i, T0 + 1);
		blocked += a.what == FLOOD_CHAT_BLOCKED;
		again += a.what == FLOOD_AGAIN && a.wait_ms > FLOOD_OWN_WAIT_MS;
	}
	CHECK_INT(blocked, 4096);
	CHECK_INT(again, 5000 - 4096);
	CHECK(is(ask(6000, T0 + 30000), FLOOD_BOOKED, 0)); /* what is over makes room */
	flood_own_close(o);
}

int main(void)
{
	RUN(twenty_a_second_of_a_bot);
	RUN(one_a_second_to_a_chat);
	RUN(to_no_chat);
	RUN(options_make_it_slower);
	RUN(options_make_it_no_faster);
	RUN(a_chat_that_redis_called_blocked);
	RUN(a_bot_that_redis_called_blocked);
	RUN(a_bot_that_the_platform_refused);
	RUN(a_429_blocks_its_chat);
	RUN(a_429_holds_up_the_others_for_a_moment);
	RUN(a_short_429_holds_up_no_longer_than_told);
	RUN(memory_is_bounded);
	DONE();
}
