#include "shoal/base/conf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shoal/base/conf_value.h"
#include "shoal/base/log.h"
#include "shoal/base/redact.h"

enum { MAX_FILE = 64 * 1024, MAX_SHOWN = 80 };

#define AT(field) .offset = offsetof(struct conf, field)
#define WORD "A-Za-z0-9_-"
#define GRAPHIC "!-~"

const struct opt conf_options[] = {
    {"SHOAL_REDIS_URL", OPT_TEXT, AT(redis_url), .def = "redis://127.0.0.1:6379/0", .hides_password = true,
     .help = "Redis of the queue: redis://, rediss://, redis+sentinel:// or unix://; a list with commas is one "
             "stream shard each, ?shards=N a Redis Cluster"},
    {"SHOAL_CACHE_REDIS_URL", OPT_TEXT, AT(cache_redis_url), .hides_password = true,
     .help = "Redis of the caches; the first queue Redis where unset"},
    {"SHOAL_POSTGRES_URL", OPT_TEXT, AT(postgres_url), .def = "postgresql:///shoal", .hides_password = true,
     .help = "Postgres, as a libpq connection string"},
    {"SHOAL_POSTGRES_DIRECT_URL", OPT_TEXT, AT(postgres_direct_url), .hides_password = true,
     .help = "Postgres without a pooler between, for LISTEN; the one above where unset"},
    {"SHOAL_PG_CONNECTIONS", OPT_INT, AT(pg_connections), .def = "4", .min = 1, .max = 64,
     .help = "Postgres connections of one worker"},
    {"SHOAL_PG_PREPARE", OPT_FLAG, AT(pg_prepare), .def = "1",
     .help = "use prepared statements; 0 for a pooler that cannot keep them"},
    {"SHOAL_PG_KEEPALIVE_S", OPT_INT, AT(pg_keepalive_s), .def = "60", .min = 1, .max = 86400,
     .help = "an idle Postgres connection is pinged after so many seconds"},
    {"SHOAL_BOTS", OPT_LIST, AT(bots), .def = "persona,escrow,ladder", .choices = "persona|escrow|ladder",
     .help = "which bots run; the same in the whole fleet"},
    {"SHOAL_PERSONA_TOKEN", OPT_TEXT, AT(persona_token), .secret = true, .chars = GRAPHIC, .max = 256,
     .help = "Telegram token of the persona bot"},
    {"SHOAL_ESCROW_TOKEN", OPT_TEXT, AT(escrow_token), .secret = true, .chars = GRAPHIC, .max = 256,
     .help = "Telegram token of the escrow bot"},
    {"SHOAL_LADDER_TOKEN", OPT_TEXT, AT(ladder_token), .secret = true, .chars = GRAPHIC, .max = 256,
     .help = "Discord token of the ladder bot"},
    {"SHOAL_LADDER_APP_ID", OPT_TEXT, AT(ladder_app_id), .chars = "0-9", .max = 20,
     .help = "Discord application id of the ladder bot"},
    {"SHOAL_LADDER_PUBLIC_KEY", OPT_TEXT, AT(ladder_public_key), .chars = "0-9a-fA-F", .min = 64, .max = 64,
     .help = "Discord application's Ed25519 public key, in hex"},
    {"SHOAL_TELEGRAM_API", OPT_URL, AT(telegram_api), .def = "https://api.telegram.org", .hides_password = true,
     .help = "base URL of the Telegram Bot API"},
    {"SHOAL_DISCORD_API", OPT_URL, AT(discord_api), .def = "https://discord.com/api/v10", .hides_password = true,
     .help = "base URL of the Discord API"},
    {"SHOAL_TELEGRAM_MODE", OPT_CHOICE, AT(telegram_mode), .def = "webhook", .choices = "webhook|poll",
     .help = "how Telegram's updates come in; one poller runs fleet-wide"},
    {"SHOAL_WEBHOOK_URL", OPT_URL, AT(webhook_url), .hides_password = true,
     .help = "public base URL of the gateway, for webhooks"},
    {"SHOAL_WEBHOOK_SECRET", OPT_TEXT, AT(webhook_secret), .secret = true, .chars = WORD, .max = WEBHOOK_SECRET_MAX,
     .help = "what Telegram must send with every webhook call"},
    {"SHOAL_WEBHOOK_SECRET_OLD", OPT_TEXT, AT(webhook_secret_old), .secret = true, .chars = WORD,
     .max = WEBHOOK_SECRET_MAX, .help = "the secret before, also taken while it is being changed"},
    {"SHOAL_GATEWAY_LISTEN", OPT_LISTEN, AT(gateway_listen), .def = "0.0.0.0:8080",
     .help = "where the gateway listens"},
    {"SHOAL_ADMIN_LISTEN", OPT_LISTEN, AT(admin_listen), .def = "127.0.0.1:8081",
     .help = "where the admin API and dashboard listen"},
    {"SHOAL_METRICS_LISTEN", OPT_LISTEN, AT(metrics_listen), .def = "0.0.0.0:9464", .zero_off = true,
     .help = "where /metrics, /healthz and /readyz listen; 0 turns them off"},
    {"SHOAL_ADMIN_TOKEN", OPT_TEXT, AT(admin_token), .secret = true, .chars = GRAPHIC, .max = 1024,
     .help = "bearer token with all rights"},
    {"SHOAL_VIEWER_TOKEN", OPT_TEXT, AT(viewer_token), .secret = true, .chars = GRAPHIC, .max = 1024,
     .help = "bearer token that may only read"},
    {"SHOAL_WORKER_ID", OPT_TEXT, AT(worker_id), .chars = "A-Za-z0-9._-", .max = 64,
     .help = "a worker's name for people; a random part is added"},
    {"SHOAL_INFLIGHT", OPT_INT, AT(inflight), .def = "256", .min = 1, .max = 4096,
     .help = "updates that one worker has in hand at most"},
    {"SHOAL_MAX_ATTEMPTS", OPT_INT, AT(max_attempts), .def = "5", .min = 1, .max = 100,
     .help = "attempts before an update becomes a dead letter"},
    {"SHOAL_DRAIN_S", OPT_INT, AT(drain_s), .def = "20", .min = 0, .max = 3600,
     .help = "seconds to finish what is in hand when told to stop"},
    {"SHOAL_FLOOD_BOT", OPT_RATE, AT(flood_bot), .def = "0",
     .help = "messages that one bot sends in so many seconds; 0: no limit"},
    {"SHOAL_FLOOD_CHAT", OPT_RATE, AT(flood_chat), .def = "20/20", .help = "the same for one private chat"},
    {"SHOAL_FLOOD_GROUP", OPT_RATE, AT(flood_group), .def = "20/60", .help = "the same for one group"},
    {"SHOAL_USER_RATE", OPT_RATE, AT(user_rate), .def = "30/10",
     .help = "updates taken from one user in so many seconds; 0: no limit"},
    {"SHOAL_PLAYER_TTL_S", OPT_INT, AT(player_ttl_s), .def = "300", .min = 1, .max = 86400,
     .help = "seconds that a player stays cached"},
    {"SHOAL_CODE_TTL_S", OPT_INT, AT(code_ttl_s), .def = "0", .min = 0, .max = 31536000,
     .help = "seconds that start codes stay cached; 0: until changed"},
    {"SHOAL_MEMORY_CACHE_MB", OPT_INT, AT(memory_cache_mb), .def = "16", .min = 0, .max = 65536,
     .help = "memory for a worker's own cache; 0: Redis only"},
    {"SHOAL_IDEMPOTENCY_TTL_S", OPT_INT, AT(idempotency_ttl_s), .def = "86400", .min = 1, .max = 31536000,
     .help = "seconds that the queue knows an update again"},
    {"SHOAL_RESPONDER_URL", OPT_URL, AT(responder_url), .hides_password = true,
     .help = "chat-completions endpoint that answers for personas"},
    {"SHOAL_RESPONDER_KEY", OPT_TEXT, AT(responder_key), .secret = true, .chars = GRAPHIC, .max = 1024,
     .help = "its key"},
    {"SHOAL_RESPONDER_MODEL", OPT_TEXT, AT(responder_model), .chars = GRAPHIC, .max = 256, .help = "its model"},
    {"SHOAL_RESPONDER_TIMEOUT_S", OPT_INT, AT(responder_timeout_s), .def = "20", .min = 1, .max = 300,
     .help = "seconds to wait for it before the persona's own replies are used"},
    {"SHOAL_SLOW_QUERY_MS", OPT_INT, AT(slow_query_ms), .def = "50", .min = 0, .max = 3600000,
     .help = "SQL statements that take longer are logged"},
    {"SHOAL_FAST_MS", OPT_INT, AT(fast_ms), .def = "20", .min = 0, .max = 3600000,
     .help = "updates below this are marked FAST"},
    {"SHOAL_SLOW_MS", OPT_INT, AT(slow_ms), .def = "100", .min = 0, .max = 3600000,
     .help = "updates above this are marked SLOW, FAST or not"},
    {"SHOAL_LOG", OPT_CHOICE, AT(log), .def = "info", .choices = "error|warn|info|debug",
     .help = "least level that is logged"},
    {"SHOAL_LOG_FORMAT", OPT_CHOICE, AT(log_format), .def = "auto", .choices = "auto|json|text",
     .help = "form of the log lines; auto: text on a terminal, else JSON"},
    {"SHOAL_LOG_UPDATES", OPT_FLAG, AT(log_updates), .def = "1", .help = "one log line for every update"},
    {0},
};

/* --- reading */

struct reading {
	struct conf *conf;
	struct arena *arena;
	const char *(*get)(const char *);
	const char *why;
};

static const char *from_environment(const char *name)
{
	return getenv(name);
}

/* A value fit for an error line: quoted, on one line, not too long, nothing that is secret. */
static const char *shown_value(struct arena *a, const struct opt *o, const char *text)
{
	const char *visible = o->hides_password ? redact(a, text) : text;
	struct buf b;
	const char *shown;

	if (o->secret)
		return "what it is (not shown)";
	buf_init(&b, SIZE_MAX / 4);
	buf_addc(&b, '"');
	for (size_t i = 0; visible[i]; i++) {
		unsigned char c = (unsigned char)visible[i];

		if (i >= MAX_SHOWN && (c & 0xC0) != 0x80) {
			buf_adds(&b, "...");
			break;
		}
		if (c < 0x20 || c == 0x7F)
			buf_addf(&b, "\\x%02x", c);
		else
			buf_addc(&b, visible[i]);
	}
	buf_addc(&b, '"');
	shown = arena_strndup(a, b.ptr, b.len);
	buf_release(&b);
	return shown;
}

static enum err file_fault(struct reading *r, const char *name, const char *path, const char *fault)
{
	static const struct opt plain = {0};

	r->why = arena_printf(r->arena, "%s is %s, but must be a file that can be used: %s", name,
	                      shown_value(r->arena, &plain, path), fault);
	return ERR_INVALID;
}

static enum err read_all(struct reading *r, const char *name, const char *path, int fd, const char **text)
{
	char *mem = arena_alloc(r->arena, MAX_FILE + 1);
	size_t len = 0;

	while (len <= MAX_FILE) {
		ssize_t n = read(fd, mem + len, MAX_FILE + 1 - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return file_fault(r, name, path, strerror(errno));
		if (n == 0)
			break;
		len += (size_t)n;
	}
	if (len > MAX_FILE)
		return file_fault(r, name, path, "it is larger than 65536 bytes");
	if (memchr(mem, '\0', len))
		return file_fault(r, name, path, "it has a NUL byte");
	if (len > 0 && mem[len - 1] == '\n')
		len--;
	mem[len] = '\0';
	*text = mem;
	return ERR_OK;
}

static enum err read_file(struct reading *r, const struct opt *o, const char *name, const char *path, const char **text)
{
	/* O_NONBLOCK: a FIFO that nobody writes must not hang the start. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	enum err err = ERR_OK;
	struct stat st;

	if (fd < 0)
		return file_fault(r, name, path, strerror(errno));
	if (fstat(fd, &st) != 0)
		err = file_fault(r, name, path, strerror(errno));
	else if (S_ISDIR(st.st_mode))
		err = file_fault(r, name, path, "it is a directory");
	else if ((o->secret || o->hides_password) && (st.st_mode & S_IWOTH))
		err = file_fault(r, name, path, "others may write it, which a secret must not allow (chmod o-w)");
	else
		err = read_all(r, name, path, fd, text);
	close(fd);
	return err;
}

/* The option's text from NAME, from the file of NAME_FILE, or its default; NULL where there is none. */
static enum err read_text(struct reading *r, const struct opt *o, const char **text)
{
	const char *file_name = arena_printf(r->arena, "%s_FILE", o->name);
	const char *path = r->get(file_name);

	*text = r->get(o->name);
	if (path && *path) {
		if (*text && **text) {
			r->why = arena_printf(r->arena, "%s and %s are both set, but only one of them is allowed",
			                      o->name, file_name);
			return ERR_INVALID;
		}
		if (read_file(r, o, file_name, path, text) != ERR_OK)
			return ERR_INVALID;
	}
	if (!*text || !**text)
		*text = o->def;
	return ERR_OK;
}

static enum err read_option(struct reading *r, const struct opt *o)
{
	const char *text, *allowed;

	if (read_text(r, o, &text) != ERR_OK)
		return ERR_INVALID;
	if (!text)
		return ERR_OK;
	if (o->secret)
		log_secret(text);
	else if (o->hides_password)
		redact_tell(r->arena, text);
	allowed = conf_value_parse(r->arena, o, text, (char *)r->conf + o->offset);
	if (!allowed)
		return ERR_OK;
	r->why = arena_printf(r->arena, "%s is %s, but must be %s", o->name, shown_value(r->arena, o, text), allowed);
	return ERR_INVALID;
}

static bool is_set(const struct reading *r, const char *name)
{
	const char *text = r->get(name);

	return text && *text;
}

enum err conf_load(struct conf *c, struct arena *a, const char *(*get)(const char *), const char **why)
{
	struct reading r = {.conf = c, .arena = a, .get = get ? get : from_environment};

	*c = (struct conf){0};
	for (const struct opt *o = conf_options; o->name; o++) {
		if (read_option(&r, o) != ERR_OK) {
			*why = r.why;
			return ERR_INVALID;
		}
	}
	c->bots_by_default = !is_set(&r, "SHOAL_BOTS") && !is_set(&r, "SHOAL_BOTS_FILE");
	if (!c->cache_redis_url)
		c->cache_redis_url = arena_strndup(a, c->redis_url, strcspn(c->redis_url, ","));
	if (!c->postgres_direct_url)
		c->postgres_direct_url = c->postgres_url;
	return ERR_OK;
}

const char *conf_show(const struct conf *c, const struct opt *o, struct arena *a)
{
	const void *at = (const char *)c + o->offset;
	const struct rate *rate;
	const char *text;
	struct span s;

	switch (o->type) {
	case OPT_INT:
	case OPT_FLAG: return arena_i64(a, *(const int64_t *)at);
	case OPT_CHOICE: s = conf_value_choice(o->choices, *(const int *)at); return arena_strndup(a, s.ptr, s.len);
	case OPT_RATE:
		rate = at;
		return rate->count ? arena_printf(a, "%lld/%lld", (long long)rate->count, (long long)rate->seconds)
		                   : "0";
	case OPT_TEXT:
	case OPT_LIST:
	case OPT_URL:
	case OPT_LISTEN: break;
	}
	text = *(const char *const *)at;
	if (!text)
		return "";
	if (o->secret)
		return "***";
	return o->hides_password ? redact(a, text) : text;
}

const char *conf_bot_token(const struct conf *c, const char *name)
{
	const struct {
		const char *bot, *token;
	} tokens[] = {{"persona", c->persona_token}, {"escrow", c->escrow_token}, {"ladder", c->ladder_token}};

	for (size_t i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++) {
		if (strcmp(tokens[i].bot, name) == 0)
			return tokens[i].token;
	}
	return NULL;
}

const char *conf_bot_app_id(const struct conf *c, const char *name)
{
	return strcmp(name, "ladder") == 0 ? c->ladder_app_id : NULL;
}

const char *conf_bot_public_key(const struct conf *c, const char *name)
{
	return strcmp(name, "ladder") == 0 ? c->ladder_public_key : NULL;
}

const char *conf_platform_api(const struct conf *c, const char *platform)
{
	return strcmp(platform, "discord") == 0 ? c->discord_api : c->telegram_api;
}

bool conf_knows_bot(const char *name)
{
	size_t len = strlen(name);

	for (const char *p = CONF_BOTS; *p; p += strcspn(p, ", "), p += strspn(p, ", "))
		if (len > 0 && strcspn(p, ", ") == len && strncmp(p, name, len) == 0)
			return true;
	return false;
}

bool conf_has_bot(const struct conf *c, const char *name)
{
	for (const char *p = c->bots ? c->bots : ""; *p;) {
		size_t len;

		p += strspn(p, ", ");
		len = strcspn(p, ", ");
		if (len > 0 && span_is((struct span){p, len}, name))
			return true;
		p += len;
	}
	return false;
}

bool conf_expects_bot(const struct conf *c, const char *name)
{
	return conf_has_bot(c, name) && (!c->bots_by_default || conf_bot_token(c, name));
}
