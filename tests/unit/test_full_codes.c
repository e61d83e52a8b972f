/* links: base worker */
#include "check.h"

#include "shoal/worker/full_codes.h"

static struct full_codes known;

static struct fact_code code(int64_t id, int64_t max_uses)
{
	return (struct fact_code){.asked = true, .found = true, .id = id, .limited = true, .max_uses = max_uses};
}

static void note(int64_t id, int64_t max_uses, int64_t now_ms)
{
	full_codes_note(&known, id, max_uses, now_ms);
}

static bool has(int64_t id, int64_t max_uses, int64_t now_ms)
{
	const struct fact_code c = code(id, max_uses);

	return full_codes_has(&known, &c, now_ms);
}

static void known_for_its_time(void)
{
	known = (struct full_codes){0};
	CHECK(!has(7, 3, 1000));
	note(7, 3, 1000);
	CHECK(has(7, 3, 1000) && has(7, 3, 1000 + FULL_CODE_MS - 1));
	CHECK(!has(7, 3, 1000 + FULL_CODE_MS));
	CHECK(!has(8, 3, 1000));
	note(7, 3, 20000);
	CHECK(has(7, 3, 20000 + FULL_CODE_MS - 1) && !has(7, 3, 20000 + FULL_CODE_MS));
}

static void another_limit_is_not_known(void)
{
	struct fact_code other = code(7, 3);

	known = (struct full_codes){0};
	note(7, 3, 1000);
	CHECK(!has(7, 4, 1000) && !has(7, 2, 1000));
	other.limited = false;
	CHECK(!full_codes_has(&known, &other, 1000));
	CHECK(!has(0, 0, 0)); /* as an empty place */
}

static void oldest_makes_room(void)
{
	known = (struct full_codes){0};
	for (int i = 1; i <= FULL_CODES; i++)
		note(i, 1, 1000);
	note(1, 1, 1001); /* takes no further place, and is not the oldest any more */
	CHECK(has(1, 1, 1001) && has(FULL_CODES, 1, 1001));
	note(FULL_CODES + 1, 1, 1001);
	CHECK(has(1, 1, 1001) && !has(2, 1, 1001) && has(3, 1, 1001) && has(FULL_CODES + 1, 1, 1001));
}

int main(void)
{
	RUN(known_for_its_time);
	RUN(another_limit_is_not_known);
	RUN(oldest_makes_room);
	DONE();
}
