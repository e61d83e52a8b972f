/* Secrets, and the environment by which the children and other shells find the stack. */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shoal/base/clock.h"
#include "shoal/up/say.h"
#include "shoal/up/stack.h"

#define VARS_MAX 32
#define SEED_BYTES 32
#define LADDER_APP_ID "1000003"

struct var {
	const char *name, *value;
	bool file; /* given as NAME_FILE */
};

enum secret_form { HEX, TOKEN, SEED };

/* Made once, kept as secrets/NAME, given to the children as VARIABLE_FILE. */
static const struct {
	const char *name, *variable;
	enum secret_form form;
	bool played;  /* a token of a bot that the simulator plays host to */
	unsigned bot; /* first part of a token, as the platform writes them */
} secrets[] = {
    {"redis_password", NULL, HEX, false, 0},
    {"postgres_password", NULL, HEX, false, 0},
    {"persona_token", "SHOAL_PERSONA_TOKEN", TOKEN, true, 1000001},
    {"escrow_token", "SHOAL_ESCROW_TOKEN", TOKEN, true, 1000002},
    {"ladder_token", "SHOAL_LADDER_TOKEN", HEX, true, 0},
    {"ladder_seed", NULL, SEED, false, 0}, /* private key of what signs the interactions */
    {"webhook_secret", "SHOAL_WEBHOOK_SECRET", HEX, false, 0},
    {"admin_token", "SHOAL_ADMIN_TOKEN", HEX, false, 0},
    {"viewer_token", "SHOAL_VIEWER_TOKEN", HEX, false, 0},
};
#define NSECRETS (sizeof(secrets) / sizeof(secrets[0]))

/* Not set by us, but would point the children elsewhere. */
static const char *const foreign[] = {"SHOAL_CACHE_REDIS_URL", "SHOAL_POSTGRES_DIRECT_URL", "SHOAL_WEBHOOK_SECRET_OLD",
                                      "SHOAL_WORKER_ID",       "SHOAL_METRICS_LISTEN",      "SHOAL_GATEWAY_LISTEN",
                                      "SHOAL_ADMIN_LISTEN"};
#define NFOREIGN (sizeof(foreign) / sizeof(foreign[0]))

static const char *secret_path(const struct stack *s, struct arena *a, const char *name)
{
	return arena_printf(a, "%s/secrets/%s", s->home->dir, name);
}

/* In hex, of a private key of Ed25519 in hex; NULL: it is none. */
static const char *public_key(struct arena *a, const char *seed)
{
	unsigned char *bytes = NULL, out[SEED_BYTES];
	char *hex = arena_alloc(a, 2 * SEED_BYTES + 1);
	EVP_PKEY *key = NULL;
	size_t len = sizeof(out);
	long n = 0;

	bytes = OPENSSL_hexstr2buf(seed, &n);
	if (bytes && n == SEED_BYTES)
		key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, bytes, SEED_BYTES);
	OPENSSL_free(bytes);
	if (!key)
		return NULL;
	ENSURE(EVP_PKEY_get_raw_public_key(key, out, &len) == 1 && len == sizeof(out));
	EVP_PKEY_free(key);
	for (size_t i = 0; i < len; i++)
		snprintf(hex + 2 * i, 3, "%02x", out[i]);
	return hex;
}

bool stack_secrets(struct stack *s, const char **why)
{
	for (size_t i = 0; i < NSECRETS; i++) {
		char hex[2 * SEED_BYTES + 1], fresh[80];
		const char *value;
		random_hex(hex, secrets[i].form == SEED ? SEED_BYTES : 24);
		if (secrets[i].form == TOKEN)
			snprintf(fresh, sizeof(fresh), "%u:AA%.33s", secrets[i].bot, hex);
		else
			snprintf(fresh, sizeof(fresh), "%s", hex);
		value = home_secret(s->home, secrets[i].name, arena_strdup(s->a, fresh), why);
		if (!value)
			return false;
		if (i == 0)
			s->redis_password = value;
		if (i == 1)
			s->postgres_password = value;
		if (secrets[i].form == SEED && !(s->ladder_public_key = public_key(s->a, value))) {
			*why = arena_printf(s->a, "secrets/%s is not the 64 hex digits that it was", secrets[i].name);
			return false;
		}
	}
	return true;
}

bool stack_write_urls(struct stack *s, const char **why)
{
	const struct unit *redis = stack_unit(s, U_REDIS), *pg = stack_unit(s, U_POSTGRES);
	struct arena a;
	bool ok;
	const char *reason = NULL;

	arena_init(&a);
	ok = file_write(&a, secret_path(s, &a, "redis_url"),
	                arena_printf(&a, "redis://default:%s@127.0.0.1:%u/0\n", s->redis_password, redis->port),
	                &reason);
	if (ok)
		ok = file_write(
		    &a, secret_path(s, &a, "postgres_url"),
		    arena_printf(&a, "postgresql://shoal:%s@127.0.0.1:%u/shoal\n", s->postgres_password, pg->port),
		    &reason);
	if (!ok)
		*why = arena_strdup(s->a, reason);
	arena_release(&a);
	return ok;
}

/* What all programs of the stack are given. */
static unsigned common_vars(struct stack *s, struct arena *a, struct var *v)
{
	const struct unit *sim = stack_unit(s, U_SIM), *gateway = stack_unit(s, U_GATEWAY);
	unsigned n = 0;

	v[n++] = (struct var){"SHOAL_REDIS_URL", secret_path(s, a, "redis_url"), true};
	v[n++] = (struct var){"SHOAL_POSTGRES_URL", secret_path(s, a, "postgres_url"), true};
	for (size_t i = 0; i < NSECRETS; i++)
		if (secrets[i].variable)
			v[n++] = (struct var){secrets[i].variable, secret_path(s, a, secrets[i].name), true};
	v[n++] = (struct var){"SHOAL_LADDER_APP_ID", LADDER_APP_ID, false};
	v[n++] = (struct var){"SHOAL_LADDER_PUBLIC_KEY", s->ladder_public_key, false};
	v[n++] = (struct var){"SHOAL_TELEGRAM_API", arena_printf(a, "http://127.0.0.1:%u", sim->port), false};
	v[n++] = (struct var){"SHOAL_DISCORD_API", arena_printf(a, "http://127.0.0.1:%u/api/v10", sim->port), false};
	v[n++] = (struct var){"SHOAL_WEBHOOK_URL", arena_printf(a, "http://127.0.0.1:%u", gateway->port), false};
	return n;
}

/* The simulator has a bot for each token that it is given, and knows of no files. */
static void sim_vars(struct arena *a, struct var *v, unsigned n)
{
	for (size_t i = 0; i < NSECRETS; i++) {
		for (unsigned k = 0; k < n && secrets[i].played; k++) {
			const char *token;
			if (strcmp(v[k].name, secrets[i].variable) != 0)
				continue;
			v[k].file = false;
			token = file_read(a, v[k].value, 1024);
			v[k].value = token ? arena_strndup(a, token, strcspn(token, "\r\n")) : "";
		}
	}
}

static unsigned unit_vars(struct stack *s, struct unit *u, struct var *v)
{
	unsigned n = common_vars(s, &u->a, v);

	if (u->kind == &unit_kinds[U_SIM])
		sim_vars(&u->a, v, n);
	if (u->kind->listen)
		v[n++] = (struct var){u->kind->listen, arena_printf(&u->a, "127.0.0.1:%u", u->port), false};
	if (u->metrics)
		v[n++] = (struct var){"SHOAL_METRICS_LISTEN", arena_printf(&u->a, "127.0.0.1:%u", u->metrics), false};
	if (u->kind == &unit_kinds[U_WORKER])
		v[n++] = (struct var){"SHOAL_WORKER_ID", u->name, false};
	return n;
}

/* NAME=... or NAME_FILE=... */
static bool is_variable(const char *entry, const char *name)
{
	size_t len = strlen(name);
	if (strncmp(entry, name, len) != 0)
		return false;
	return entry[len] == '=' || strncmp(entry + len, "_FILE=", 6) == 0;
}

static bool is_ours(const char *entry, const struct var *v, unsigned n)
{
	if (strncmp(entry, "PG", 2) == 0) /* libpq's own, for some other server */
		return true;
	for (unsigned i = 0; i < n; i++)
		if (is_variable(entry, v[i].name))
			return true;
	for (size_t i = 0; i < NFOREIGN; i++)
		if (is_variable(entry, foreign[i]))
			return true;
	return false;
}

char *const *stack_env(struct stack *s, struct unit *u)
{
	struct var v[VARS_MAX];
	unsigned n = unit_vars(s, u, v), count = 0;
	char **env;

	for (char **e = environ; *e; e++)
		count++;
	env = arena_array(&u->a, char *, count + n + 1);
	count = 0;
	for (char **e = environ; *e; e++)
		if (!is_ours(*e, v, n))
			env[count++] = *e;
	for (unsigned i = 0; i < n; i++)
		env[count++] = arena_printf(&u->a, "%s%s=%s", v[i].name, v[i].file ? "_FILE" : "", v[i].value);
	return env;
}

/* In single quotes, each of its own written as '\'' */
static void add_quoted(struct buf *b, const char *text)
{
	buf_addc(b, '\'');
	for (; *text; text++) {
		if (*text == '\'')
			buf_adds(b, "'\\''");
		else
			buf_addc(b, *text);
	}
	buf_addc(b, '\'');
}

bool stack_write_env(struct stack *s, const char **why)
{
	struct var v[VARS_MAX];
	struct arena a;
	struct buf b;
	const char *reason = NULL;
	unsigned n;
	bool ok;

	arena_init(&a);
	buf_init(&b, 1 << 20);
	n = common_vars(s, &a, v);
	buf_adds(&b, "# For other shells, written by `shoal up`:  . .shoal/env\n");
	for (size_t i = 0; i < NFOREIGN; i++)
		buf_addf(&b, "unset %s %s_FILE\n", foreign[i], foreign[i]);
	for (unsigned i = 0; i < n; i++) {
		buf_addf(&b, "unset %s%s; export %s%s=", v[i].name, v[i].file ? "" : "_FILE", v[i].name,
		         v[i].file ? "_FILE" : "");
		add_quoted(&b, v[i].value);
		buf_addc(&b, '\n');
	}
	ENSURE(!b.failed);
	ok = file_write(&a, home_path(s->home, "env"), b.ptr, &reason);
	if (!ok)
		*why = arena_strdup(s->a, reason);
	buf_release(&b);
	arena_release(&a);
	return ok;
}
