#include "shoal/admin/login_limit.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "shoal/base/arena.h"

/* Buckets: so many at once, then one in so many ms. */
enum {
	EACH_BURST = 30,
	EACH_MS = 2000,
	ALL_BURST = 300,
	ALL_MS = 200,
	PLACES = 512,                 /* addresses that are remembered */
	TRUSTED_MS = 24 * 3600 * 1000 /* for which a right token counts */
};

struct place {
	char prefix[16];    /* IPv4: as mapped into IPv6; IPv6: its first 8 bytes */
	int64_t until_ms;   /* when its bucket is empty again */
	int64_t right_ms;   /* of the last right token, 0: none */
	int64_t touched_ms; /* 0: the place is free */
};

struct login_limit {
	int64_t all_until_ms;
	struct place places[PLACES];
};

struct login_limit *login_limit_new(void)
{
	return mem_zalloc(sizeof(struct login_limit));
}

void login_limit_free(struct login_limit *l)
{
	free(l);
}

static void prefix_of(const char *address, char out[16])
{
	struct in6_addr six;
	struct in_addr four;

	memset(out, 0, 16);
	if (inet_pton(AF_INET, address, &four) == 1) {
		out[10] = out[11] = (char)0xFF;
		memcpy(out + 12, &four, 4);
	} else if (inet_pton(AF_INET6, address, &six) == 1) {
		memcpy(out, &six, IN6_IS_ADDR_V4MAPPED(&six) ? 16 : 8);
	}
}

static bool is_trusted(const struct place *p, int64_t now_ms)
{
	return p->right_ms && now_ms - p->right_ms < TRUSTED_MS;
}

/* What is worth least: a free place, then the one touched longest ago; those of right tokens last. */
static bool is_worth_less(const struct place *a, const struct place *b, int64_t now_ms)
{
	if (is_trusted(a, now_ms) != is_trusted(b, now_ms))
		return is_trusted(b, now_ms);
	return a->touched_ms < b->touched_ms;
}

static struct place *find(struct login_limit *l, const char *address, int64_t now_ms, bool make)
{
	struct place *least = &l->places[0];
	char prefix[16];

	prefix_of(address, prefix);
	for (struct place *p = l->places; p < l->places + PLACES; p++) {
		if (p->touched_ms && memcmp(p->prefix, prefix, sizeof(prefix)) == 0)
			return p;
		if (is_worth_less(p, least, now_ms))
			least = p;
	}
	if (!make)
		return NULL;
	*least = (struct place){.touched_ms = now_ms};
	memcpy(least->prefix, prefix, sizeof(prefix));
	return least;
}

static int64_t wait_of(int64_t until_ms, int64_t now_ms, int64_t burst, int64_t each_ms)
{
	int64_t over = until_ms - now_ms - (burst - 1) * each_ms;

	return over > 0 ? over : 0;
}

static void fill(int64_t *until_ms, int64_t now_ms, int64_t each_ms)
{
	*until_ms = (*until_ms > now_ms ? *until_ms : now_ms) + each_ms;
}

int64_t login_limit_wait(struct login_limit *l, const char *address, int64_t now_ms)
{
	const struct place *p = find(l, address, now_ms, false);
	int64_t own = p ? wait_of(p->until_ms, now_ms, EACH_BURST, EACH_MS) : 0;
	int64_t all = p && is_trusted(p, now_ms) ? 0 : wait_of(l->all_until_ms, now_ms, ALL_BURST, ALL_MS);

	return own > all ? own : all;
}

void login_limit_wrong(struct login_limit *l, const char *address, int64_t now_ms)
{
	struct place *p = find(l, address, now_ms, true);

	p->touched_ms = now_ms;
	fill(&p->until_ms, now_ms, EACH_MS);
	fill(&l->all_until_ms, now_ms, ALL_MS);
}

void login_limit_right(struct login_limit *l, const char *address, int64_t now_ms)
{
	struct place *p = find(l, address, now_ms, true);

	p->touched_ms = p->right_ms = now_ms;
}
