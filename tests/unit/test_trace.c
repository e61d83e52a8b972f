/* links: base */
#include "check.h"

#include <string.h>

#include "shoal/base/trace.h"

#define ID "4bf92f3577b34da6a3ce929d0e0e4736"
#define SPAN_ID "00f067aa0ba902b7"
#define GOOD "00-" ID "-" SPAN_ID "-01"

/* https://www.w3.org/TR/trace-context/ 3.2: version 00, and what may follow in later ones */
static void what_is_a_traceparent(void)
{
	static const struct {
		const char *text;
		bool good, sampled;
	} cases[] = {
	    {GOOD, true, true},
	    {"00-" ID "-" SPAN_ID "-00", true, false},
	    {"00-" ID "-" SPAN_ID "-fe", true, false},
	    {"00-" ID "-" SPAN_ID "-0b", true, true},
	    {"01-" ID "-" SPAN_ID "-01", true, true},
	    {"cc-" ID "-" SPAN_ID "-01-what-the-future-brings", true, true},
	    {"cc-" ID "-" SPAN_ID "-01-", true, true},
	    {"", false, false},
	    {"00", false, false},
	    {"ff-" ID "-" SPAN_ID "-01", false, false},
	    {"ff-" ID "-" SPAN_ID "-01-more", false, false},
	    {GOOD "-more", false, false},
	    {GOOD " ", false, false},
	    {" " GOOD, false, false},
	    {"cc-" ID "-" SPAN_ID "-01.more", false, false},
	    {"0-" ID "-" SPAN_ID "-01", false, false},
	    {"0G-" ID "-" SPAN_ID "-01", false, false},
	    {"00-00000000000000000000000000000000-" SPAN_ID "-01", false, false},
	    {"00-" ID "-0000000000000000-01", false, false},
	    {"00-4BF92F3577B34DA6A3CE929D0E0E4736-" SPAN_ID "-01", false, false},
	    {"00-" ID "-00F067AA0BA902B7-01", false, false},
	    {"00-" ID "-" SPAN_ID "-0G", false, false},
	    {"00-" ID "-" SPAN_ID "-1", false, false},
	    {"00_" ID "-" SPAN_ID "-01", false, false},
	    {"00-" ID "_" SPAN_ID "-01", false, false},
	    {"00-" ID "-" SPAN_ID "_01", false, false},
	    {"00-4bf92f3577b34da6a3ce929d0e0e47 6-" SPAN_ID "-01", false, false},
	    {"00-4bf92f3577b34da6a3ce929d0e0e47\xff\n-" SPAN_ID "-01", false, false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct trace t = {.id = "untouched"};
		bool good = trace_read(&t, span_of(cases[i].text));

		if (good != cases[i].good || (good && (t.sampled != cases[i].sampled || strcmp(t.id, ID) != 0)))
			printf("# %s\n", cases[i].text);
		CHECK(good == cases[i].good);
		CHECK_STR(t.id, good ? ID : "untouched");
		CHECK(t.sampled == (good && cases[i].sampled));
	}
	CHECK(!trace_read(&(struct trace){.sampled = false}, (struct span){0}));
}

static void a_nul_in_it_ends_nothing(void)
{
	char text[] = GOOD;
	struct trace t;

	text[20] = '\0';
	CHECK(!trace_read(&t, (struct span){text, sizeof(text) - 1}));
}

static bool sound(const struct trace *t)
{
	char text[TRACEPARENT_LEN + 1];
	struct trace again;

	trace_text(t, text);
	return strlen(text) == TRACEPARENT_LEN && trace_read(&again, span_of(text)) && strcmp(again.id, t->id) == 0 &&
	       strcmp(again.span, t->span) == 0 && again.sampled == t->sampled;
}

static void it_goes_on_under_a_span_of_our_own(void)
{
	struct trace t, below;

	trace_continue(&t, "00-" ID "-" SPAN_ID "-00");
	CHECK_STR(t.id, ID);
	CHECK(strcmp(t.span, SPAN_ID) != 0);
	CHECK(!t.sampled && sound(&t));
	below = trace_below(&t);
	CHECK_STR(below.id, ID);
	CHECK(strcmp(below.span, t.span) != 0 && sound(&below));
}

static void else_a_new_one_is_made(void)
{
	struct trace a, b;

	trace_continue(&a, NULL);
	trace_continue(&b, GOOD GOOD);
	CHECK(sound(&a) && sound(&b) && a.sampled);
	CHECK(strcmp(a.id, b.id) != 0 && strcmp(a.id, ID) != 0 && strcmp(b.id, ID) != 0);
}

static void an_entry_without_one_has_that_of_its_key(void)
{
	struct trace a, b, c, d;

	trace_of_entry(&a, SPAN(GOOD), SPAN("telegram:persona:1"));
	CHECK_STR(a.id, ID);
	CHECK_STR(a.span, SPAN_ID);
	trace_of_entry(&a, (struct span){0}, SPAN("telegram:persona:1"));
	trace_of_entry(&b, SPAN("\x1b[2J' OR 1=1"), SPAN("telegram:persona:1"));
	trace_of_entry(&c, (struct span){0}, SPAN("telegram:persona:2"));
	trace_of_entry(&d, (struct span){0}, (struct span){0});
	CHECK(sound(&a) && sound(&c) && sound(&d));
	CHECK_STR(a.id, b.id);
	CHECK(strcmp(a.id, c.id) != 0);
}

int main(void)
{
	RUN(what_is_a_traceparent);
	RUN(a_nul_in_it_ends_nothing);
	RUN(it_goes_on_under_a_span_of_our_own);
	RUN(else_a_new_one_is_made);
	RUN(an_entry_without_one_has_that_of_its_key);
	DONE();
}
