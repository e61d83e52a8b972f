/* links: bots model base */
/* Where matches are hosted: the same for both, known to the database, at home among neighbours. */
#include "check.h"

#include "shoal/base/embed.h"
#include "shoal/bots/ladder_parts.h"

/* As sql/migrations/003_cache.sql seeds them. */
static const char *const codes[] = {"naw", "nac", "nae", "cam", "sam", "euw", "eun", "eue",
                                    "afr", "mea", "sas", "sea", "chn", "kor", "jpn", "oce"};
enum { CODES = sizeof(codes) / sizeof(codes[0]) };

static bool is_code(const char *code)
{
	for (size_t i = 0; i < CODES; i++) {
		if (strcmp(codes[i], code) == 0)
			return true;
	}
	return false;
}

static void every_pair_has_one_host(void)
{
	for (size_t a = 0; a < CODES; a++) {
		CHECK_STR(ladder_host(codes[a], codes[a]), codes[a]);
		for (size_t b = 0; b < CODES; b++) {
			CHECK(is_code(ladder_host(codes[a], codes[b])));
			CHECK_STR(ladder_host(codes[a], codes[b]), ladder_host(codes[b], codes[a]));
		}
	}
	CHECK_STR(ladder_host("euw", "eue"), "eun");
	CHECK_STR(ladder_host("naw", "nae"), "nac");
	CHECK_STR(ladder_host("kor", "oce"), "sea");
}

static void they_are_those_of_the_database(void)
{
	const struct embed_file *f = embed_find("sql/migrations/003_cache.sql");

	for (size_t i = 0; i < CODES; i++) {
		char row[16];

		snprintf(row, sizeof(row), "('%s', '", codes[i]);
		CHECK(f && strstr(f->data, row));
	}
}

static void unknown_regions(void)
{
	CHECK_STR(ladder_host("moon", "euw"), "moon");
	CHECK_STR(ladder_host("euw", "moon"), "euw");
	CHECK_STR(ladder_host("", "moon"), "moon");
	CHECK_STR(ladder_host("", ""), "");
}

int main(void)
{
	RUN(every_pair_has_one_host);
	RUN(they_are_those_of_the_database);
	RUN(unknown_regions);
	DONE();
}
