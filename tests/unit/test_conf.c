/* links: base */
#include "check.h"

#include <sys/stat.h>
#include <unistd.h>

#include "shoal/base/conf.h"
#include "shoal/base/log.h"
#include "shoal/base/redact.h"

static struct arena arena;
static char dir[] = "/tmp/shoal-conf-XXXXXX";

/* The environment: name, value, name, value ... NULL */
static const char *env[16];

static const char *get(const char *name)
{
	for (size_t i = 0; env[i]; i += 2) {
		if (strcmp(env[i], name) == 0)
			return env[i + 1];
	}
	return NULL;
}

static const char *load(struct conf *c, const char *name, const char *value)
{
	const char *why = "no reason given";

	env[0] = name;
	env[1] = value;
	env[2] = NULL;
	return conf_load(c, &arena, get, &why) == ERR_OK ? "ok" : why;
}

static void defaults_are_those_of_the_contract(void)
{
	struct conf c;

	CHECK_STR(load(&c, NULL, NULL), "ok");
	CHECK_STR(c.redis_url, "redis://127.0.0.1:6379/0");
	CHECK_STR(c.cache_redis_url, "redis://127.0.0.1:6379/0");
	CHECK_STR(c.postgres_url, "postgresql:///shoal");
	CHECK_STR(c.postgres_direct_url, "postgresql:///shoal");
	CHECK_STR(c.bots, "persona,escrow,ladder");
	CHECK_STR(c.telegram_api, "https://api.telegram.org");
	CHECK_STR(c.discord_api, "https://discord.com/api/v10");
	CHECK_STR(c.gateway_listen, "0.0.0.0:8080");
	CHECK_STR(c.admin_listen, "127.0.0.1:8081");
	CHECK_STR(c.metrics_listen, "0.0.0.0:9464");
	CHECK(!c.persona_token && !c.webhook_url && !c.worker_id && !c.responder_url);
	CHECK_INT(c.telegram_mode, TELEGRAM_WEBHOOK);
	CHECK_INT(c.pg_connections, 4);
	CHECK_INT(c.pg_prepare, 1);
	CHECK_INT(c.pg_keepalive_s, 60);
	CHECK_INT(c.inflight, 256);
	CHECK_INT(c.max_attempts, 5);
	CHECK_INT(c.drain_s, 20);
	CHECK_INT(c.flood_bot.count, 0);
	CHECK(c.flood_chat.count == 20 && c.flood_chat.seconds == 20);
	CHECK(c.flood_group.count == 20 && c.flood_group.seconds == 60);
	CHECK(c.user_rate.count == 30 && c.user_rate.seconds == 10);
	CHECK_INT(c.player_ttl_s, 300);
	CHECK_INT(c.code_ttl_s, 0);
	CHECK_INT(c.memory_cache_mb, 16);
	CHECK_INT(c.idempotency_ttl_s, 86400);
	CHECK_INT(c.responder_timeout_s, 20);
	CHECK_INT(c.slow_query_ms, 50);
	CHECK_INT(c.fast_ms, 20);
	CHECK_INT(c.slow_ms, 100);
	CHECK_INT(c.log, LOG_INFO);
	CHECK_INT(c.log_format, LOG_AUTO);
	CHECK_INT(c.log_updates, 1);
}

static void values_are_read(void)
{
	struct conf c;

	CHECK_STR(load(&c, "SHOAL_INFLIGHT", "1"), "ok");
	CHECK_INT(c.inflight, 1);
	CHECK_STR(load(&c, "SHOAL_TELEGRAM_MODE", "poll"), "ok");
	CHECK_INT(c.telegram_mode, TELEGRAM_POLL);
	CHECK_STR(load(&c, "SHOAL_LOG", "debug"), "ok");
	CHECK_INT(c.log, LOG_DEBUG);
	CHECK_STR(load(&c, "SHOAL_LOG_FORMAT", "text"), "ok");
	CHECK_INT(c.log_format, LOG_TEXT);
	CHECK_STR(load(&c, "SHOAL_TELEGRAM_API", "http://127.0.0.1:8082/tg//"), "ok");
	CHECK_STR(c.telegram_api, "http://127.0.0.1:8082/tg");
	CHECK_STR(load(&c, "SHOAL_USER_RATE", "0"), "ok");
	CHECK_INT(c.user_rate.count, 0);
	CHECK_STR(load(&c, "SHOAL_FLOOD_BOT", "30/1"), "ok");
	CHECK(c.flood_bot.count == 30 && c.flood_bot.seconds == 1);
	CHECK_STR(load(&c, "SHOAL_METRICS_LISTEN", "0"), "ok");
	CHECK_STR(c.metrics_listen, "0");
	CHECK_STR(load(&c, "SHOAL_ADMIN_LISTEN", "[::1]:8081"), "ok");
	CHECK_STR(load(&c, "SHOAL_INFLIGHT", ""), "ok");
	CHECK_INT(c.inflight, 256);
	CHECK_STR(load(&c, "SHOAL_REDIS_URL", "redis://a:1/0,redis://b:2/0"), "ok");
	CHECK_STR(c.cache_redis_url, "redis://a:1/0");
	CHECK_STR(load(&c, "SHOAL_POSTGRES_URL", "host=/tmp dbname=x"), "ok");
	CHECK_STR(c.postgres_direct_url, "host=/tmp dbname=x");
}

static void wrong_values_are_named_with_what_is_allowed(void)
{
	static const char *const listen = "HOST:PORT or [V6]:PORT";
	static const char *const url = "a URL such as https://host or http://host:port/path";
	static const char *const rate =
	    "COUNT/SECONDS such as 20/60 (1 to 1000000 in 1 to 86400 seconds), or 0 for no limit";
	const struct {
		const char *name, *value, *allowed;
	} cases[] = {
	    {"SHOAL_INFLIGHT", "0", "a whole number from 1 to 4096"},
	    {"SHOAL_INFLIGHT", "4097", "a whole number from 1 to 4096"},
	    {"SHOAL_INFLIGHT", "12x", "a whole number from 1 to 4096"},
	    {"SHOAL_INFLIGHT", "99999999999999999999", "a whole number from 1 to 4096"},
	    {"SHOAL_DRAIN_S", "-1", "a whole number from 0 to 3600"},
	    {"SHOAL_PG_PREPARE", "yes", "0 or 1"},
	    {"SHOAL_PG_PREPARE", "2", "0 or 1"},
	    {"SHOAL_TELEGRAM_MODE", "push", "webhook or poll"},
	    {"SHOAL_TELEGRAM_MODE", "webhook|poll", "webhook or poll"},
	    {"SHOAL_LOG", "INFO", "error, warn, info or debug"},
	    {"SHOAL_FLOOD_CHAT", "20", rate},
	    {"SHOAL_FLOOD_CHAT", "0/5", rate},
	    {"SHOAL_FLOOD_CHAT", "5/0", rate},
	    {"SHOAL_FLOOD_CHAT", "5/", rate},
	    {"SHOAL_FLOOD_CHAT", "-5/5", rate},
	    {"SHOAL_TELEGRAM_API", "api.telegram.org", url},
	    {"SHOAL_TELEGRAM_API", "ftp://x", url},
	    {"SHOAL_TELEGRAM_API", "https://", url},
	    {"SHOAL_TELEGRAM_API", "https:///x", url},
	    {"SHOAL_TELEGRAM_API", "https://a b", url},
	    {"SHOAL_GATEWAY_LISTEN", "8080", listen},
	    {"SHOAL_GATEWAY_LISTEN", ":8080", listen},
	    {"SHOAL_GATEWAY_LISTEN", "0", listen},
	    {"SHOAL_GATEWAY_LISTEN", "h:65536", listen},
	    {"SHOAL_GATEWAY_LISTEN", "h:-1", listen},
	    {"SHOAL_GATEWAY_LISTEN", "::1:80", listen},
	    {"SHOAL_GATEWAY_LISTEN", "[x]:80", listen},
	    {"SHOAL_METRICS_LISTEN", "x", "HOST:PORT, [V6]:PORT, or 0 for off"},
	    {"SHOAL_WORKER_ID", "a b", "1 to 64 characters of A-Za-z0-9._-"},
	    {"SHOAL_LADDER_PUBLIC_KEY", "abcd", "exactly 64 characters of 0-9a-fA-F"},
	};
	struct conf c;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		CHECK_STR(load(&c, cases[i].name, cases[i].value),
		          arena_printf(&arena, "%s is \"%s\", but must be %s", cases[i].name, cases[i].value,
		                       cases[i].allowed));
	CHECK_STR(load(&c, "SHOAL_LOG", "a\nb"), "SHOAL_LOG is \"a\\x0ab\", but must be error, warn, info or debug");
}

static void every_option_is_sound(void)
{
	struct conf c;
	size_t n = 0;

	for (const struct opt *o = conf_options; o->name; o++, n++) {
		const char *why = load(&c, o->name, "\x01");

		CHECK(strncmp(o->name, "SHOAL_", 6) == 0 && o->help && !strchr(o->help, '\n'));
		CHECK(strncmp(why, o->name, strlen(o->name)) == 0 && strstr(why, "but must be"));
		CHECK(o->secret || strstr(why, "\\x01"));
		for (const struct opt *p = conf_options; p != o; p++)
			CHECK(strcmp(p->name, o->name) != 0 && p->offset != o->offset);
	}
	CHECK_INT(n, 46);
}

static const char *make_file(const char *content, size_t len, unsigned mode)
{
	static int count;
	const char *path = arena_printf(&arena, "%s/%d", dir, count++);
	FILE *f = fopen(path, "w");

	if (!f || fwrite(content, 1, len, f) != len || fclose(f) != 0 || chmod(path, mode) != 0)
		abort();
	return path;
}

static void values_come_from_files(void)
{
	char *large = arena_alloc(&arena, 70000);
	const char *path, *why;
	struct conf c;

	memset(large, 'x', 70000);
	CHECK_STR(load(&c, "SHOAL_PERSONA_TOKEN_FILE", make_file("1:abc\n", 6, 0600)), "ok");
	CHECK_STR(c.persona_token, "1:abc");
	CHECK_STR(load(&c, "SHOAL_PERSONA_TOKEN_FILE", make_file("1:abc", 5, 0660)), "ok");
	CHECK_STR(c.persona_token, "1:abc");
	CHECK_STR(load(&c, "SHOAL_INFLIGHT_FILE", make_file("7\n", 2, 0666)), "ok"); /* no secret */
	CHECK_INT(c.inflight, 7);
	CHECK_STR(load(&c, "SHOAL_INFLIGHT_FILE", make_file("\n", 1, 0600)), "ok");
	CHECK_INT(c.inflight, 256);
	why = load(&c, "SHOAL_INFLIGHT_FILE", make_file("7\n\n", 3, 0600)); /* only one newline is cut */
	CHECK_STR(why, "SHOAL_INFLIGHT is \"7\\x0a\", but must be a whole number from 1 to 4096");

	path = make_file("secret-text", 11, 0602);
	why = load(&c, "SHOAL_PERSONA_TOKEN_FILE", path);
	CHECK(strstr(why, "SHOAL_PERSONA_TOKEN_FILE") && strstr(why, path) && strstr(why, "others may write"));
	CHECK(!strstr(why, "secret-text"));
	why = load(&c, "SHOAL_POSTGRES_URL_FILE", path);
	CHECK(strstr(why, "others may write") != NULL);
	why = load(&c, "SHOAL_PERSONA_TOKEN_FILE", "/no/such/file");
	CHECK(strstr(why, "SHOAL_PERSONA_TOKEN_FILE") && strstr(why, "No such file"));
	CHECK(strstr(load(&c, "SHOAL_PERSONA_TOKEN_FILE", dir), "directory") != NULL);
	CHECK(strstr(load(&c, "SHOAL_PERSONA_TOKEN_FILE", make_file("a\0b", 3, 0600)), "NUL") != NULL);
	CHECK(strstr(load(&c, "SHOAL_PERSONA_TOKEN_FILE", make_file(large, 70000, 0600)), "larger than") != NULL);

	env[0] = "SHOAL_PERSONA_TOKEN";
	env[1] = "1:abc";
	env[2] = "SHOAL_PERSONA_TOKEN_FILE";
	env[3] = path;
	env[4] = NULL;
	CHECK(conf_load(&c, &arena, get, &why) == ERR_INVALID);
	CHECK_STR(why,
	          "SHOAL_PERSONA_TOKEN and SHOAL_PERSONA_TOKEN_FILE are both set, but only one of them is allowed");
}

static const struct opt *option(const char *name)
{
	const struct opt *o = conf_options;

	while (strcmp(o->name, name) != 0)
		o++;
	return o;
}

static void secrets_are_never_shown(void)
{
	static const char *const secrets[] = {"SHOAL_PERSONA_TOKEN",  "SHOAL_ESCROW_TOKEN",       "SHOAL_LADDER_TOKEN",
	                                      "SHOAL_WEBHOOK_SECRET", "SHOAL_WEBHOOK_SECRET_OLD", "SHOAL_ADMIN_TOKEN",
	                                      "SHOAL_VIEWER_TOKEN",   "SHOAL_RESPONDER_KEY"};
	struct conf c;

	for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++) {
		const char *why = load(&c, secrets[i], "sesame open");

		CHECK(strstr(why, secrets[i]) && strstr(why, "not shown") && !strstr(why, "sesame"));
		CHECK_STR(load(&c, secrets[i], "sesame"), "ok");
		CHECK_STR(conf_show(&c, option(secrets[i]), &arena), "***");
	}
	CHECK_STR(load(&c, "SHOAL_POSTGRES_URL", "postgresql://u:sesame@h/d"), "ok");
	CHECK_STR(conf_show(&c, option("SHOAL_POSTGRES_URL"), &arena), "postgresql://u:***@h/d");
	CHECK_STR(conf_show(&c, option("SHOAL_POSTGRES_DIRECT_URL"), &arena), "postgresql://u:***@h/d");
	CHECK(!strstr(load(&c, "SHOAL_REDIS_URL", "redis://:sesame@h\x01"), "sesame"));
	CHECK_STR(load(&c, "SHOAL_RESPONDER_URL", "https://h/v1?key=sesame-sesame"), "ok");
	CHECK_STR(conf_show(&c, option("SHOAL_RESPONDER_URL"), &arena), "https://h/v1?***");
	CHECK(!strstr(load(&c, "SHOAL_RESPONDER_URL", "https://h/v1 ?key=sesame"), "sesame"));
	CHECK_STR(load(&c, "SHOAL_POSTGRES_URL", "host=h password=open sesame"), "ok");
	CHECK_STR(conf_show(&c, option("SHOAL_POSTGRES_URL"), &arena), "host=h password=*** ***");
}

static void passwords_are_cut_out_of_urls(void)
{
	static const char *const cases[][2] = {
	    {"redis://h:6379/0", "redis://h:6379/0"},
	    {"unix:///run/redis.sock", "unix:///run/redis.sock"},
	    {"redis://:pw@h:6379/0", "redis://:***@h:6379/0"},
	    {"redis://u:p@:/w@h/0", "redis://u:***@h/0"},
	    {"redis://:a@h1,rediss://u:b@h2:1/2", "redis://:***@h1,rediss://u:***@h2:1/2"},
	    {"redis://pw@h:6379/0", "redis://***@h:6379/0"},
	    {"redis://h1:1,redis://pw@h2:1", "redis://h1:1,redis://***@h2:1"},
	    {"redis://u:a@h1,u:b@h2:1", "redis://u:***@h2:1"},
	    {"redis://u:a,b@h1", "redis://u:***@h1"},
	    {"u:pw@h:6379/0", "u:***@h:6379/0"},
	    {"postgresql://u@h/d", "postgresql://u@h/d"},
	    {"postgresql:///d?host=/tmp&password=pw&x=y", "postgresql:///d?host=/tmp&password=***&x=y"},
	    {"host=h password=pw dbname=d", "host=h password=*** dbname=d"},
	    {"PASSWORD = 'p w\\'x' dbname=d", "PASSWORD = '***' dbname=d"},
	    {"sslpassword=pw", "sslpassword=***"},
	    {"host=h password='open", "host=h password='***"},
	    {"password", "password"},
	    /* a blank in a password: what follows is a part of it */
	    {"host=h password=pw rest dbname=d", "host=h password=*** *** dbname=d"},
	    {"words and words", "*** *** ***"},
	    {"dbname = d user='me' x", "dbname = d user='me' ***"},
	    {"localhost:6379", "localhost:6379"},
	    {"api.telegram.org", "api.telegram.org"},
	    {"https://h:8/p?key=k1&v=2", "https://h:8/p?***"},
	    {"HTTP://h/p?k1", "HTTP://h/p?***"},
	    {"https://u:pw@h/p?key=a@b", "https://u:***"},
	    {"https://h:8/p?key=a:c@b", "https://h:***"},
	    {"https://h/p?", "https://h/p?"},
	    {"", ""},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		CHECK_STR(redact(&arena, cases[i][0]), cases[i][1]);
}

static void effective_values_read_back_as_themselves(void)
{
	struct conf c, d;

	CHECK_STR(load(&c, "SHOAL_FLOOD_BOT", "30/1"), "ok");
	for (const struct opt *o = conf_options; o->name; o++) {
		const char *shown = conf_show(&c, o, &arena);

		CHECK_STR(load(&d, o->name, shown), "ok");
		CHECK_STR(conf_show(&d, o, &arena), shown);
	}
}

static void bots_are_found_in_the_list(void)
{
	struct conf c = {.bots = "persona, ladder,,"};

	CHECK(conf_has_bot(&c, "persona") && conf_has_bot(&c, "ladder"));
	CHECK(!conf_has_bot(&c, "escrow") && !conf_has_bot(&c, "person") && !conf_has_bot(&c, ""));
}

/* Who names a bot wants it to run; who names none wants those for which they gave a token. */
static void bots_without_token_are_missed_where_they_were_named(void)
{
	struct conf c;

	CHECK_STR(load(&c, "SHOAL_PERSONA_TOKEN", "1:a"), "ok");
	CHECK(conf_has_bot(&c, "escrow") && conf_expects_bot(&c, "persona") && !conf_expects_bot(&c, "escrow"));
	CHECK_STR(load(&c, "SHOAL_BOTS", ""), "ok");
	CHECK(conf_has_bot(&c, "escrow") && !conf_expects_bot(&c, "escrow"));
	CHECK_STR(load(&c, "SHOAL_BOTS", "persona,escrow,ladder"), "ok");
	CHECK(conf_expects_bot(&c, "persona") && conf_expects_bot(&c, "escrow"));
	CHECK_STR(load(&c, "SHOAL_BOTS", "persona"), "ok");
	CHECK(!conf_has_bot(&c, "escrow") && !conf_expects_bot(&c, "escrow"));
	CHECK_STR(load(&c, "SHOAL_BOTS_FILE", make_file("escrow\n", 7, 0600)), "ok");
	CHECK(conf_expects_bot(&c, "escrow"));
}

int main(void)
{
	if (!mkdtemp(dir))
		return 1;
	arena_init(&arena);
	RUN(defaults_are_those_of_the_contract);
	RUN(values_are_read);
	RUN(wrong_values_are_named_with_what_is_allowed);
	RUN(every_option_is_sound);
	RUN(values_come_from_files);
	RUN(secrets_are_never_shown);
	RUN(passwords_are_cut_out_of_urls);
	RUN(effective_values_read_back_as_themselves);
	RUN(bots_are_found_in_the_list);
	RUN(bots_without_token_are_missed_where_they_were_named);
	for (int i = 0; i < 20; i++)
		unlink(arena_printf(&arena, "%s/%d", dir, i));
	rmdir(dir);
	arena_release(&arena);
	DONE();
}
