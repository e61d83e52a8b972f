/* links: base */
#include "check.h"

#include "shoal/base/siphash.h"

/* As CPython 3.11 has it, whose hash of bytes is SipHash-1-3: PYTHONHASHSEED=42, the bytes 0, 1, 2 ... */
static void it_is_siphash_1_3(void)
{
	static const struct siphash_seed seed = {{0xdc504fd368cd90af, 0xb920bb9ffe99e9c1}};
	static const struct {
		size_t len;
		uint64_t hash;
	} cases[] = {
	    {1, 0xce880c366bcf3489},  {3, 0xef4b9dcae9b04417},  {7, 0xce280fabc397fbda},
	    {8, 0x60866c3c108c6afb},  {9, 0x68814005f7469e03},  {15, 0x94ace24d68c18cf8},
	    {16, 0x339176f3ac59ce05}, {17, 0xed2706b414c296f1}, {64, 0x91639ef7de8d52cb},
	};
	char bytes[64];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)i;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		CHECK_INT(siphash(&seed, (struct span){bytes, cases[i].len}), cases[i].hash);
}

static void it_hangs_on_seed_and_length(void)
{
	static const struct siphash_seed one = {{1, 0}}, other = {{0, 1}};

	CHECK(siphash(&one, SPAN("key")) != siphash(&other, SPAN("key")));
	CHECK(siphash(&one, SPAN("a")) != siphash(&one, SPAN("a\0")));
	CHECK(siphash(&one, (struct span){NULL, 0}) == siphash(&one, SPAN("")));
}

int main(void)
{
	RUN(it_is_siphash_1_3);
	RUN(it_hangs_on_seed_and_length);
	DONE();
}
