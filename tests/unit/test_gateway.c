/* links: base model bots wire io store gateway */
#include "check.h"

#include <openssl/evp.h>

#include "shoal/gateway/shard.h"
#include "shoal/gateway/signature.h"
#include "shoal/gateway/suggest.h"

static struct arena arena;

/* ---- signatures */

/* A pair made here signs; each bit counts. */
static void timestamp_and_body_are_signed(void)
{
	static const char seed[32] = "0123456789abcdef0123456789abcdef";
	static const char message[] = "1700000000{\"type\":1}";
	EVP_PKEY *pair = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, (const unsigned char *)seed, 32);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned char key[32], signature[64];
	size_t nkey = 32, n = 64;
	char hex_key[65], hex[129], other[129];
	struct signer *s;

	CHECK(EVP_PKEY_get_raw_public_key(pair, key, &nkey) == 1);
	CHECK(EVP_DigestSignInit(ctx, NULL, NULL, NULL, pair) == 1 &&
	      EVP_DigestSign(ctx, signature, &n, (const unsigned char *)message, sizeof(message) - 1) == 1);
	for (int i = 0; i < 32; i++)
		snprintf(hex_key + 2 * i, 3, "%02x", key[i]);
	for (int i = 0; i < 64; i++)
		snprintf(hex + 2 * i, 3, "%02X", signature[i]);
	s = signer_new(hex_key);
	CHECK(signature_good(s, hex, "1700000000", SPAN("{\"type\":1}"), &arena));
	CHECK(!signature_good(s, hex, "1700000001", SPAN("{\"type\":1}"), &arena));
	CHECK(!signature_good(s, hex, "1700000000", SPAN("{\"type\":2}"), &arena));
	CHECK(!signature_good(s, hex, "1700000000", SPAN("{\"type\":1} "), &arena));
	/* the border between the two is not signed: a timestamp is digits, and a body never begins with one */
	CHECK(signature_good(s, hex, "17000000", SPAN("00{\"type\":1}"), &arena));
	for (int i = 0; i < 128; i++) {
		memcpy(other, hex, sizeof(other));
		other[i] = other[i] == '0' ? '1' : '0';
		CHECK(!signature_good(s, other, "1700000000", SPAN("{\"type\":1}"), &arena));
	}
	signer_free(s);
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(pair);
}

static void what_is_no_signature(void)
{
	static const char good[] = "b8270d26694ec75990d7cc7dae65de6625787f42400599d36c14760309a31bf5"
	                           "efa7d14a8abbdee5d2aad0c7e2f627ee16922251a5658d57d2e68f70f57fb10f";
	char changed[sizeof(good) + 1];

	CHECK(signature_formed(good, "1721936669"));
	CHECK(!signature_formed(NULL, "1721936669") && !signature_formed(good, NULL) && !signature_formed("", "1"));
	CHECK(!signature_formed(good, "") && !signature_formed(good, "-1") && !signature_formed(good, "1 "));
	CHECK(!signature_formed(good, "1234567890123456789") && !signature_formed(good, "0x1"));
	snprintf(changed, sizeof(changed), "%s0", good);
	CHECK(!signature_formed(changed, "1"));
	changed[127] = 0;
	CHECK(!signature_formed(changed, "1"));
	snprintf(changed, sizeof(changed), "%s", good);
	changed[5] = 'g';
	CHECK(!signature_formed(changed, "1"));
	CHECK(!signer_new("") && !signer_new("abcd") && !signer_new(good));
}

/* ---- suggestions */

static const struct static_row countries[] = {
    {.code = "AX", .name = "\xc3\x85land Islands", .active = true},
    {.code = "CI", .name = "C\xc3\xb4te d'Ivoire", .active = true},
    {.code = "DE", .name = "Germany", .active = true},
    {.code = "GM", .name = "Gambia", .active = true},
    {.code = "NI", .name = "Nicaragua", .active = true},
    {.code = "NE", .name = "Niger", .active = true},
    {.code = "UK", .name = "Niland", .active = false},
    {.code = "IS", .name = "Far Iceland", .active = true},
    {.code = "MD", .name = "Guinea-Bissau", .active = true},
};
static const struct static_table table = {.n = sizeof(countries) / sizeof(countries[0]), .rows = countries};

static const char *codes(struct discord_choices c)
{
	static char out[2048];

	out[0] = 0;
	for (size_t i = 0; i < c.n; i++)
		snprintf(out + strlen(out), sizeof(out) - strlen(out), "%s%s=%s", i ? "|" : "", c.v[i].value,
		         c.v[i].label);
	return out;
}

static void suggestions(void)
{
	static const struct form_field field = {.name = "country", .table = "countries"};
	static const struct {
		const char *typed, *want;
	} cases[] = {
	    {"germ", "DE=Germany"},
	    {"gm", "GM=Gambia"},
	    {"NI", "NI=Nicaragua|NE=Niger"},
	    {"ne", "NE=Niger|MD=Guinea-Bissau"},
	    {"land", "AX=\xc3\x85land Islands|IS=Far Iceland"},
	    {"aland", "AX=\xc3\x85land Islands"},
	    {"\xc3\xa5LAND", "AX=\xc3\x85land Islands"},
	    {"cote", "CI=C\xc3\xb4te d'Ivoire"},
	    {"bis", "MD=Guinea-Bissau"},
	    {"ice", "IS=Far Iceland"},
	    {"is", "IS=Far Iceland|AX=\xc3\x85land Islands|MD=Guinea-Bissau"},
	    {"atlantis", ""},
	    {"\xc3", ""},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		CHECK_STR(codes(suggest(&table, &field, cases[i].typed, &arena)), cases[i].want);
	CHECK_INT(suggest(&table, &field, "", &arena).n, 8);
}

static void several_codes(void)
{
	static const struct form_field field = {.name = "races", .table = "races", .several = true};
	static const struct static_row rows[] = {{.code = "bw_zerg", .name = "Zerg", .game = "bw", .active = true},
	                                         {.code = "sc2_zerg", .name = "Zerg", .game = "sc2", .active = true}};
	static const struct static_table races = {.n = 2, .rows = rows};

	CHECK_STR(codes(suggest(&races, &field, "ze", &arena)), "bw_zerg=Zerg (bw)|sc2_zerg=Zerg (sc2)");
	CHECK_STR(codes(suggest(&races, &field, "bw_zerg sc", &arena)), "bw_zerg sc2_zerg=bw_zerg Zerg (sc2)");
	/* what would be too long to come back is not offered */
	CHECK_INT(suggest(&races, &field, arena_printf(&arena, "%-92sz", "bw_zerg"), &arena).n, 2);
	CHECK_INT(suggest(&races, &field, arena_printf(&arena, "%-93sz", "bw_zerg"), &arena).n, 1);
	/* nor what would be refused for a word before it */
	CHECK_STR(codes(suggest(&races, &field, "klingon sc", &arena)), "");
	CHECK_STR(codes(suggest(&races, &field, "bw_zerg klingon sc", &arena)), "");
	CHECK_STR(codes(suggest(&races, &field, "BW_Zerg, sc", &arena)), "BW_Zerg, sc2_zerg=BW_Zerg, Zerg (sc2)");
}

static void whole_tables(void)
{
	struct static_row rows[26];
	struct static_table t = {.n = 25, .rows = rows};

	for (int i = 0; i < 26; i++)
		rows[i] = (struct static_row){.code = "c", .name = i ? "n" : "", .active = i != 3};
	CHECK_INT(suggest_all(&t, &arena).n, 24);
	CHECK_STR(suggest_all(&t, &arena).v[0].label, "c");
	t.n = 26;
	CHECK_INT(suggest_all(&t, &arena).n, 25);
	rows[3].active = true;
	CHECK_INT(suggest_all(&t, &arena).n, 0);
	CHECK_INT(suggest(&t, &(struct form_field){.name = "x"}, "", &arena).n, 25);
}

/* ---- the end of a shard */

struct heard {
	struct shard *shard;
	int times;
	enum err err;
	const char *trouble;
};

static void hear(void *arg, enum err err, const char *id)
{
	struct heard *h = arg;

	CHECK(!id);
	h->times++;
	h->err = err;
	h->trouble = shard_trouble(h->shard); /* as whoever logs it does */
}

static void turned_away_at_the_end(void)
{
	struct loop *l = loop_new();
	struct shard s = {0};
	struct shard_marks marks = {0};
	struct heard h = {.shard = &s};

	shard_open(&s, l, "unix:///nonexistent/redis.sock", 0, 1, &marks);
	CHECK(shard_turn_away(&s, hear, &h));
	CHECK_INT(h.times, 0);
	shard_close(&s);
	CHECK_INT(h.times, 1);
	CHECK_INT(h.err, ERR_UNREACHABLE);
	CHECK_STR(h.trouble, "no connection (not connected yet)");
	CHECK_INT(s.under_way, 0);
	loop_free(l);
}

int main(void)
{
	arena_init(&arena);
	RUN(timestamp_and_body_are_signed);
	RUN(what_is_no_signature);
	RUN(suggestions);
	RUN(several_codes);
	RUN(whole_tables);
	RUN(turned_away_at_the_end);
	arena_release(&arena);
	DONE();
}
