/* links: base model io wire store admin */
#include "check.h"

#include "shoal/admin/login_limit.h"

static struct login_limit *l;

/* Wrong tries at once from an address until one would have to wait; at most `most`. */
static int tries(const char *address, int64_t now, int most)
{
	int n = 0;

	while (n < most && login_limit_wait(l, address, now) == 0) {
		login_limit_wrong(l, address, now);
		n++;
	}
	return n;
}

static const char *nth(int n)
{
	static char text[32];

	snprintf(text, sizeof(text), "10.%d.%d.%d", n / 65536 % 256, n / 256 % 256, n % 256);
	return text;
}

static void test_an_address_is_held_back(void)
{
	int64_t wait;

	l = login_limit_new();
	CHECK_INT(tries("192.0.2.1", 1000, 1000), 30);
	wait = login_limit_wait(l, "192.0.2.1", 1000);
	CHECK(wait > 0 && wait <= 2000);
	CHECK_INT(login_limit_wait(l, "192.0.2.1", 1000 + wait), 0);
	CHECK_INT(tries("192.0.2.1", 1000 + wait, 1000), 1);
	CHECK_INT(login_limit_wait(l, "192.0.2.2", 1000), 0);
	CHECK_INT(tries("192.0.2.1", 100000, 1000), 30);
	login_limit_free(l);
}

static void test_a_network_of_ipv6_is_one_address(void)
{
	l = login_limit_new();
	CHECK_INT(tries("2001:db8:1:2::1", 1000, 1000), 30);
	CHECK(login_limit_wait(l, "2001:db8:1:2:ffff::9", 1000) > 0);
	CHECK_INT(login_limit_wait(l, "2001:db8:1:3::1", 1000), 0);
	CHECK_INT(tries("192.0.2.1", 1000, 1000), 30);
	CHECK(login_limit_wait(l, "::ffff:192.0.2.1", 1000) > 0);
	CHECK_INT(login_limit_wait(l, "::ffff:192.0.2.2", 1000), 0);
	login_limit_free(l);
}

/* Many addresses together have 300 tries, and one every 0.2 s. Whoever has shown a right token is not held back by
 * them, however many they are. */
static void test_all_together_are_held_back(void)
{
	int n = 0;

	l = login_limit_new();
	login_limit_right(l, "192.0.2.1", 1000);
	for (int i = 0; i < 10000; i++)
		n += tries(nth(i), 1000, 1);
	CHECK_INT(n, 300);
	CHECK(login_limit_wait(l, "192.0.2.2", 1000) > 0);
	CHECK_INT(login_limit_wait(l, "192.0.2.1", 1000), 0);
	CHECK_INT(tries("192.0.2.1", 1000, 1000), 30);
	for (int64_t now = 2000; now < 3600000; now += 100)
		login_limit_wrong(l, nth((int)now), now);
	CHECK(login_limit_wait(l, "192.0.2.2", 3600000) > 0);
	CHECK_INT(login_limit_wait(l, "192.0.2.1", 3600000), 0);
	CHECK_INT(tries("192.0.2.2", 72000000, 1000), 30);
	login_limit_free(l);
}

static void test_what_is_no_address_is_one(void)
{
	l = login_limit_new();
	CHECK_INT(tries("", 1000, 1000), 30);
	CHECK(login_limit_wait(l, "nonsense", 1000) > 0);
	login_limit_free(l);
}

int main(void)
{
	RUN(test_an_address_is_held_back);
	RUN(test_a_network_of_ipv6_is_one_address);
	RUN(test_all_together_are_held_back);
	RUN(test_what_is_no_address_is_one);
	return check_failed_all != 0;
}
