/* Signatures of interactions: Ed25519 over the timestamp and the body. */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "shoal/base/clock.h"
#include "shoal/base/err.h"
#include "shoal/sim/discord.h"

#define KEY_BYTES 32
#define SIGNATURE_BYTES 64

static void to_hex(const unsigned char *bytes, size_t n, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		out[2 * i] = digits[bytes[i] >> 4];
		out[2 * i + 1] = digits[bytes[i] & 15];
	}
	out[2 * n] = '\0';
}

static EVP_PKEY *private_key(const unsigned char *seed)
{
	EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, KEY_BYTES);

	ENSURE(key);
	return key;
}

bool dc_key_make(struct discord *d, const char *seed_hex)
{
	unsigned char seed[KEY_BYTES], public[KEY_BYTES], *given = NULL;
	size_t len = sizeof(public);
	long n = 0;

	random_bytes(seed, sizeof(seed));
	if (seed_hex) {
		given = OPENSSL_hexstr2buf(seed_hex, &n);
		if (given && n == KEY_BYTES)
			memcpy(seed, given, KEY_BYTES);
		OPENSSL_free(given);
		if (n != KEY_BYTES)
			return false;
	}
	dc_key_free(d);
	d->key = private_key(seed);
	ENSURE(EVP_PKEY_get_raw_public_key(d->key, public, &len) == 1 && len == sizeof(public));
	to_hex(public, sizeof(public), d->public_key);
	return true;
}

void dc_key_free(struct discord *d)
{
	EVP_PKEY_free(d->key);
	d->key = NULL;
}

static void sign(EVP_PKEY *key, const char *timestamp, struct span body, char out[129])
{
	unsigned char signature[SIGNATURE_BYTES];
	size_t n = strlen(timestamp), len = sizeof(signature);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned char *message = mem_alloc(n + body.len + 1);

	memcpy(message, timestamp, n);
	if (body.len > 0)
		memcpy(message + n, body.ptr, body.len);
	ENSURE(ctx && EVP_DigestSignInit(ctx, NULL, NULL, NULL, key) == 1 &&
	       EVP_DigestSign(ctx, signature, &len, message, n + body.len) == 1 && len == sizeof(signature));
	EVP_MD_CTX_free(ctx);
	free(message);
	to_hex(signature, sizeof(signature), out);
}

void dc_sign(const struct discord *d, const char *timestamp, struct span body, char out[129])
{
	sign(d->key, timestamp, body, out);
}

void dc_sign_as_other(const char *timestamp, struct span body, char out[129])
{
	unsigned char seed[KEY_BYTES];
	EVP_PKEY *key;

	random_bytes(seed, sizeof(seed));
	key = private_key(seed);
	sign(key, timestamp, body, out);
	EVP_PKEY_free(key);
}
