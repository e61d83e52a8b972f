/* Where a match of two players from different regions is hosted. */
#include <string.h>

#include "shoal/base/arena.h"
#include "shoal/bots/ladder_parts.h"

/* For each pair the region that neither has far to: the one with the shortest longest way along the globe, between the
 * places that their names stand for. A letter is the region's place in this list. */
static const struct {
	const char *code, *hosts;
} regions[] = {
    {"naw", "aabbdcccfoooooao"}, /* a */
    {"nac", "abbbdccceffhgggo"}, /* b */
    {"nae", "bbcbdcffefghhggo"}, /* c */
    {"cam", "bbbddccceffgffaa"}, /* d */
    {"sam", "ddddeccceiiifffi"}, /* e */
    {"euw", "cccccffgjhhjjjkn"}, /* f */
    {"eun", "ccfccfggjhjjkkkm"}, /* g */
    {"eue", "ccfccgghjhjkkkkm"}, /* h */
    {"afr", "feeeejjjiijjjjkl"}, /* i */
    {"mea", "offfihhhijjkkkll"}, /* j */
    {"sas", "ofgfihjjjjkkllml"}, /* k */
    {"sea", "ohhgijjkjkkllmml"}, /* l */
    {"chn", "oghffjkkjkllmmnl"}, /* m */
    {"kor", "oggffjkkjklmmnnl"}, /* n */
    {"jpn", "aggafkkkklmmnnol"}, /* o */
    {"oce", "oooainmmlllllllp"}, /* p */
};
enum { REGIONS = sizeof(regions) / sizeof(regions[0]) };

static size_t place_of(const char *code)
{
	size_t i = 0;

	while (i < REGIONS && strcmp(regions[i].code, code) != 0)
		i++;
	return i;
}

const char *ladder_host(const char *one, const char *other)
{
	size_t a = place_of(one), b = place_of(other);

	if (a < REGIONS && b < REGIONS)
		return regions[regions[a].hosts[b] - 'a'].code;
	return *one ? one : other;
}
