#include "shoal/gateway/signature.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "shoal/base/err.h"

#define KEY_BYTES 32
#define SIGNATURE_BYTES 64
#define TIMESTAMP_DIGITS 18

struct signer {
	EVP_PKEY *key;
};

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool from_hex(const char *hex, unsigned char *out, size_t n)
{
	if (strlen(hex) != 2 * n)
		return false;
	for (size_t i = 0; i < n; i++) {
		int high = digit(hex[2 * i]), low = digit(hex[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		out[i] = (unsigned char)(high << 4 | low);
	}
	return true;
}

struct signer *signer_new(const char *hex)
{
	unsigned char bytes[KEY_BYTES];
	struct signer *s;
	EVP_PKEY *key;

	if (!from_hex(hex, bytes, sizeof(bytes)))
		return NULL;
	key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, bytes, sizeof(bytes));
	if (!key)
		return NULL;
	s = mem_alloc(sizeof(*s));
	s->key = key;
	return s;
}

void signer_free(struct signer *s)
{
	if (!s)
		return;
	EVP_PKEY_free(s->key);
	free(s);
}

bool signature_formed(const char *signature, const char *timestamp)
{
	unsigned char bytes[SIGNATURE_BYTES];
	size_t n = timestamp ? strlen(timestamp) : 0;

	return n > 0 && n <= TIMESTAMP_DIGITS && strspn(timestamp, "0123456789") == n && signature &&
	       from_hex(signature, bytes, sizeof(bytes));
}

bool signature_good(const struct signer *s, const char *signature, const char *timestamp, struct span body,
                    struct arena *a)
{
	unsigned char bytes[SIGNATURE_BYTES], *message;
	EVP_MD_CTX *ctx;
	bool good;
	size_t n;

	if (!signature_formed(signature, timestamp) || !from_hex(signature, bytes, sizeof(bytes)))
		return false;
	n = strlen(timestamp);
	message = arena_alloc(a, n + body.len + 1);
	memcpy(message, timestamp, n);
	if (body.len > 0)
		memcpy(message + n, body.ptr, body.len);
	ctx = EVP_MD_CTX_new();
	ENSURE(ctx);
	good = EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, s->key) == 1 &&
	       EVP_DigestVerify(ctx, bytes, sizeof(bytes), message, n + body.len) == 1;
	EVP_MD_CTX_free(ctx);
	return good;
}
