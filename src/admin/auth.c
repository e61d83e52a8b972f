#include "shoal/admin/auth.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "shoal/admin/login_limit.h"
#include "shoal/base/clock.h"
#include "shoal/base/log.h"

enum { SHORT_BYTES = 16, PRINT_BYTES = 4 };

struct digest {
	unsigned char bytes[SHA256_DIGEST_LENGTH];
};

struct key {
	bool set;
	bool is_short; /* it could be found by trying, and is held to the limit itself */
	struct digest digest;
	char print[2 * PRINT_BYTES + 1]; /* the token's fingerprint */
};

struct auth {
	struct key keys[ROLE_ADMIN + 1];
	struct login_limit *limit;
	int64_t wrong_logged;
	unsigned wrong_held_back;
};

const char *role_name(enum role role)
{
	return role == ROLE_ADMIN ? "admin" : role == ROLE_VIEWER ? "viewer" : "none";
}

/* Digests are of one length, so that comparing them tells nothing about the token's. */
static struct digest digest_of(const char *token)
{
	struct digest d;

	SHA256((const unsigned char *)token, strlen(token), d.bytes);
	return d;
}

/* A digest of the digest: what is compared is not written down anywhere, not even a part of it. */
static void key_set(struct key *k, const char *token)
{
	struct digest again;

	if (!token)
		return;
	k->set = true;
	k->is_short = strlen(token) < SHORT_BYTES;
	k->digest = digest_of(token);
	SHA256(k->digest.bytes, sizeof(k->digest), again.bytes);
	for (int i = 0; i < PRINT_BYTES; i++)
		snprintf(k->print + 2 * i, 3, "%02x", again.bytes[i]);
}

static void warn_if_short(const char *variable, const char *token)
{
	if (token && strlen(token) < SHORT_BYTES)
		log_warn("a short token can be guessed", LOG_STR("variable", variable), LOG_INT("bytes", SHORT_BYTES));
}

struct auth *auth_open(const struct conf *conf, const char **why)
{
	struct auth *a;

	if (!conf->admin_token) {
		*why = "SHOAL_ADMIN_TOKEN is not set: who calls must show it; `openssl rand -hex 24` makes one";
		return NULL;
	}
	if (conf->viewer_token && strcmp(conf->admin_token, conf->viewer_token) == 0) {
		*why = "SHOAL_VIEWER_TOKEN is the same as SHOAL_ADMIN_TOKEN, but must be another one";
		return NULL;
	}
	a = mem_zalloc(sizeof(*a));
	key_set(&a->keys[ROLE_ADMIN], conf->admin_token);
	key_set(&a->keys[ROLE_VIEWER], conf->viewer_token);
	warn_if_short("SHOAL_ADMIN_TOKEN", conf->admin_token);
	warn_if_short("SHOAL_VIEWER_TOKEN", conf->viewer_token);
	a->limit = login_limit_new();
	return a;
}

void auth_close(struct auth *a)
{
	if (!a)
		return;
	login_limit_free(a->limit);
	OPENSSL_cleanse(a, sizeof(*a));
	free(a);
}

/* RFC 6750: "Bearer TOKEN". NULL: none is given. */
static const char *token_of(const struct httpd_request *r)
{
	static const char scheme[] = "Bearer ";
	const char *value = httpd_header(r, "Authorization");

	if (!value || strncasecmp(value, scheme, sizeof(scheme) - 1) != 0)
		return NULL;
	return value + sizeof(scheme) - 1;
}

enum role auth_peek(const struct auth *a, const struct httpd_request *r)
{
	const char *token = token_of(r);
	struct digest given = digest_of(token ? token : "");
	enum role role = ROLE_NONE;

	for (int i = ROLE_VIEWER; i <= ROLE_ADMIN; i++)
		if (CRYPTO_memcmp(&given, &a->keys[i].digest, sizeof(given)) == 0 && a->keys[i].set)
			role = (enum role)i;
	return token ? role : ROLE_NONE;
}

static void tell_wrong(struct auth *a, const char *client)
{
	if (!log_due(&a->wrong_logged, &a->wrong_held_back))
		return;
	log_warn("a wrong token was tried", LOG_STR("client", client), LOG_INT("suppressed", a->wrong_held_back));
	a->wrong_held_back = 0;
}

struct login auth_login(struct auth *a, struct httpd_request *r)
{
	const char *client = httpd_client(r);
	struct login l = {.role = auth_peek(a, r), .tried = token_of(r) != NULL};
	int64_t now = clock_ms();

	if (!l.tried)
		return l;
	if (l.role == ROLE_NONE || a->keys[l.role].is_short)
		l.wait_ms = login_limit_wait(a->limit, client, now);
	if (l.role == ROLE_NONE)
		tell_wrong(a, client);
	if (l.wait_ms) {
		l.role = ROLE_NONE;
		return l;
	}
	if (l.role == ROLE_NONE) {
		login_limit_wrong(a->limit, client, now);
		return l;
	}
	login_limit_right(a->limit, client, now);
	l.actor = arena_printf(httpd_arena(r), "%s:%s@%s", role_name(l.role), a->keys[l.role].print, client);
	return l;
}
