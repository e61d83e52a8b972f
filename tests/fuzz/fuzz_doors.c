/* links: admin gateway bots wire store io model base */
/* A request at the gateway's door or the admin's, from the first line of it to the answer: paths, tokens, signatures,
 * bodies; and what Redis and Postgres say to what it makes them do. The server's reading half is the real one; the
 * sockets, Redis and Postgres are this file. Layout: 16 choices, the request, then "\n--\n" and Redis' answers as bytes
 * of its protocol. */
#include "fuzz.h"

#include <event2/event.h>
#include <openssl/evp.h>
#include <strings.h>

#include "shoal/admin/api.h"
#include "shoal/admin/auth.h"
#include "shoal/admin/events.h"
#include "shoal/admin/history.h"
#include "shoal/admin/place.h"
#include "shoal/admin/roster.h"
#include "shoal/base/clock.h"
#include "shoal/base/json.h"
#include "shoal/base/log.h"
#include "shoal/bots/registry.h"
#include "shoal/gateway/interactions.h"
#include "shoal/gateway/webhook.h"
#include "shoal/io/httpd_parse.h"
#include "shoal/io/redis_reply.h"
#include "shoal/store/cache_fence.h"
#include "shoal/store/cache_gen.h"
#include "shoal/store/cache_load.h"
#include "shoal/store/queue.h"

#define ADMIN "token-of-the-admin"
#define VIEWER "token-of-the-viewer"
#define SECRET "secret-of-the-webhook"

enum { CALLS_MAX = 256, OPENED_MAX = 8, TURNS = 60, CHOICES = 16 };

static struct food food;           /* the choices */
static redisReader *redis_says;    /* what is not said for it */
static bool sound;                 /* Redis answers the gateway as it should */
static unsigned entries, appended; /* that were sent to Redis, that it has taken */
static unsigned statements_seen;

/* --- in the place of io/httpd.h */

struct httpd_request {
	struct arena arena;
	struct http_head head;
	struct span body;
	bool streaming;
	struct http_pairs form;
};

static struct {
	struct httpd_request *open; /* NULL: it has ended */
	int status;
} request;

#define SIGNATURE "X-Signature-Ed25519"
#define TIMESTAMP "X-Signature-Timestamp"

/* Discord's own key, and the other half of it for the configuration. */
static EVP_PKEY *pair;
static char public_key[65];

static void put_hex(char *out, const unsigned char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

static void make_pair(void)
{
	unsigned char key[32];
	size_t n = sizeof(key);

	pair = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL,
	                                    (const unsigned char *)"0123456789abcdef0123456789abcdef", 32);
	MUST(pair && EVP_PKEY_get_raw_public_key(pair, key, &n) == 1);
	put_hex(public_key, key, n);
}

/* A signature "good" is one that fits; a timestamp "now" is the present. */
static bool good_signature(const struct httpd_request *r)
{
	const char *value = http_head_get(&r->head, SIGNATURE), *at = http_head_get(&r->head, TIMESTAMP);

	return value && strcmp(value, "good") == 0 && at;
}

static const char *signature(struct httpd_request *r)
{
	const char *at = httpd_header(r, TIMESTAMP);
	size_t n = 64, before = at ? strlen(at) : 0;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	char *hex = arena_calloc(&r->arena, 129, 1), *text = arena_alloc(&r->arena, before + r->body.len + 1);
	unsigned char bytes[64];

	memcpy(text, at ? at : "", before);
	memcpy(text + before, r->body.ptr, r->body.len);
	MUST(ctx && EVP_DigestSignInit(ctx, NULL, NULL, NULL, pair) == 1 &&
	     EVP_DigestSign(ctx, bytes, &n, (const unsigned char *)text, before + r->body.len) == 1);
	put_hex(hex, bytes, n);
	EVP_MD_CTX_free(ctx);
	return hex;
}

const char *httpd_method(const struct httpd_request *r)
{
	return r->head.method;
}

const char *httpd_path(const struct httpd_request *r)
{
	return r->head.path;
}

const char *httpd_query(const struct httpd_request *r, const char *name)
{
	return http_pairs_get(&r->head.query, name);
}

const char *httpd_header(const struct httpd_request *r, const char *name)
{
	struct httpd_request *own = request.open;
	const char *value = http_head_get(&r->head, name);

	MUST(own == r);
	if (value && strcmp(name, SIGNATURE) == 0 && strcmp(value, "good") == 0)
		return signature(own);
	if (value && strcmp(name, TIMESTAMP) == 0 && strcmp(value, "now") == 0)
		return arena_printf(&own->arena, "%lld", (long long)(clock_wall_ms() / 1000));
	return value;
}

const char *httpd_header_once(const struct httpd_request *r, const char *name)
{
	return http_head_count(&r->head, name) == 1 ? httpd_header(r, name) : NULL;
}

const char *httpd_client(const struct httpd_request *r)
{
	(void)r;
	return "192.0.2.1";
}

struct span httpd_body(const struct httpd_request *r)
{
	return r->body;
}

const char *httpd_form(struct httpd_request *r, const char *name)
{
	(void)http_urlencoded_parse(&r->form, &r->arena, r->body);
	return http_pairs_get(&r->form, name);
}

struct arena *httpd_arena(struct httpd_request *r)
{
	return &r->arena;
}

/* The request is gone with its answer: who looks at it after that is found. */
static void end(struct httpd_request *r)
{
	MUST(r == request.open);
	request.open = NULL;
	arena_release(&r->arena);
	free(r);
}

static void answered(int status, const char *const *headers)
{
	MUST(request.status == 0 && status >= 200 && status < 600);
	request.status = status;
	for (size_t i = 0; headers && headers[i]; i++)
		MUST(headers[i + 1] || i % 2 == 1);
}

void httpd_reply(struct httpd_request *r, int status, const char *content_type, struct span body,
                 const char *const *headers)
{
	const char *why = "";

	MUST(r == request.open && !r->streaming);
	answered(status, headers);
	if (content_type && strcmp(content_type, "application/json") == 0 && body.len > 0)
		MUST(json_parse(&r->arena, body, &why));
	end(r);
}

void httpd_reply_error(struct httpd_request *r, int status, const char *code, const char *message)
{
	MUST(r == request.open && code && message);
	answered(status, NULL);
	end(r);
}

void httpd_stream_begin(struct httpd_request *r, const char *content_type, const char *const *headers)
{
	MUST(r == request.open && content_type);
	answered(200, headers);
	r->streaming = true;
}

bool httpd_stream_send(struct httpd_request *r, struct span text)
{
	MUST(r == request.open && r->streaming && utf8_valid(text));
	return food_byte(&food) & 1;
}

void httpd_stream_end(struct httpd_request *r)
{
	MUST(r->streaming);
	end(r);
}

/* --- in the place of io/redis.h */

struct redis {
	struct redis_opts opts;
};

static struct call {
	struct redis *redis; /* or NULL: it has been closed or cut */
	redis_fn *fn;
	void *arg;
	const char *verb; /* of those that are told apart */
} calls[CALLS_MAX];
static size_t ncalls;

static struct redis *opened[OPENED_MAX];
static size_t nopened;

struct redis *redis_open(struct loop *l, const struct redis_opts *opts)
{
	struct redis *r = mem_zalloc(sizeof(*r));

	(void)l;
	MUST(nopened < OPENED_MAX);
	opened[nopened++] = r;
	r->opts = *opts;
	return r;
}

/* The oldest of this server, or of all (NULL). */
static bool take(struct redis *r, struct call *out)
{
	for (size_t i = 0; i < ncalls; i++) {
		if (r && calls[i].redis != r)
			continue;
		*out = calls[i];
		memmove(calls + i, calls + i + 1, (--ncalls - i) * sizeof(calls[0]));
		return true;
	}
	return false;
}

void redis_close(struct redis *r)
{
	struct call c;

	while (r && take(r, &c))
		if (c.fn)
			c.fn(c.arg, ERR_UNKNOWN, NULL);
	free(r);
}

bool redis_up(const struct redis *r)
{
	return r != NULL;
}

const char *redis_trouble(const struct redis *r)
{
	(void)r;
	return NULL;
}

void redis_drop(struct redis *r, const char *reason)
{
	MUST(r && reason);
	for (size_t i = 0; i < ncalls; i++)
		if (calls[i].redis == r)
			calls[i].verb = "cut";
}

static void ask(struct redis *r, redis_fn *fn, void *arg, const char *verb)
{
	MUST(r && ncalls < CALLS_MAX);
	calls[ncalls++] = (struct call){r, fn, arg, verb};
}

void redis_call(struct redis *r, redis_fn *fn, void *arg, size_t argc, const struct span *argv)
{
	static const char *const told[] = {"XADD", "ROLE", "SET", "INFO", "WAIT"};
	const char *verb = "";

	MUST(argc > 0);
	for (size_t i = 0; i < argc; i++)
		MUST(argv[i].ptr || !argv[i].len);
	for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++)
		if (span_is(argv[0], told[i]))
			verb = told[i];
	entries += strcmp(verb, "XADD") == 0;
	ask(r, fn, arg, verb);
}

void redis_eval(struct redis *r, struct redis_script *s, redis_fn *fn, void *arg, size_t nkeys, size_t argc,
                const struct span *argv)
{
	MUST(nkeys <= argc);
	for (size_t i = 0; i < argc; i++)
		MUST(argv[i].ptr || !argv[i].len);
	ask(r, fn, arg, strcmp(s->name, "lua/guard.lua") == 0 ? "guard" : "");
}

/* What a Redis in order says. */
static const char *in_order(const char *verb)
{
	static const char *const said[][2] = {
	    {"XADD", "$3\r\n1-1\r\n"},
	    {"ROLE", "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n"},
	    {"SET", "$-1\r\n"},
	    {"WAIT", ":1\r\n"},
	    {"INFO", "$46\r\n\nrun_id:0123456789\r\nmaster_replid:abcdef0123\r\n\r\n"},
	    {"guard", "*2\r\n$1\r\n" QUEUE_FORMAT "\r\n$3\r\n0/1\r\n"},
	};

	for (size_t i = 0; sound && i < sizeof(said) / sizeof(said[0]); i++)
		if (strcmp(said[i][0], verb) == 0)
			return said[i][1];
	return NULL;
}

/* Bounded as the blocking connections are; those of the loop believe no more, and keep answers in an arena. */
static redisReader *reader_of(const char *text, size_t len)
{
	redisContext context = {.reader = redisReaderCreate()};

	MUST(context.reader);
	redis_replies_bounded(&context);
	redisReaderFeed(context.reader, text, len);
	return context.reader;
}

static redisReply *reply_to(const struct call *c)
{
	const char *said = in_order(c->verb);
	redisReader *reader = said ? reader_of(said, strlen(said)) : redis_says;
	void *reply = NULL;

	if (redisReaderGetReply(reader, &reply) != REDIS_OK)
		reply = NULL;
	if (said)
		redisReaderFree(reader);
	return reply;
}

static void answer_redis(void)
{
	struct call c;
	redisReply *reply;

	if (!take(NULL, &c))
		return;
	reply = strcmp(c.verb, "cut") == 0 ? NULL : reply_to(&c);
	bool refused = reply && reply->type == REDIS_REPLY_ERROR, down;
	if (reply && !refused && strcmp(c.verb, "XADD") == 0)
		appended++;
	if (c.fn)
		c.fn(c.arg, !reply ? ERR_UNKNOWN : refused ? redis_classify(reply->str, &down) : ERR_OK, reply);
	if (reply)
		freeReplyObject(reply);
}

/* --- in the place of io/pg.h: Postgres is in trouble all the time, each time in another */

struct pg {
	struct loop *loop;
};

static struct {
	struct pg *pg;
	pg_fn *fn;
	void *arg;
} statements[CALLS_MAX];
static size_t nstatements;

struct pg *pg_open(struct loop *l, const struct pg_opts *opts)
{
	struct pg *p = mem_zalloc(sizeof(*p));

	(void)opts;
	p->loop = l;
	return p;
}

bool pg_up(const struct pg *p)
{
	return p != NULL;
}

const char *pg_trouble(const struct pg *p)
{
	(void)p;
	return NULL;
}

void pg_exec(struct pg *p, const struct pg_stmt *stmt, const struct pg_params *params, pg_fn *fn, void *arg)
{
	MUST(nstatements < CALLS_MAX && stmt && stmt->sql);
	MUST((params ? params->n : 0) == stmt->nparams && stmt->nparams <= PG_PARAMS_MAX);
	for (int i = 0; params && i < params->n; i++)
		MUST(params->v[i].ptr ? utf8_valid(params->v[i]) : params->v[i].len == 0);
	statements[nstatements].pg = p;
	statements[nstatements].fn = fn;
	statements[nstatements++].arg = arg;
	statements_seen++;
}

static bool answer_postgres(struct pg *of, uint8_t pick)
{
	static const struct {
		enum err err;
		struct pg_fault fault;
	} troubles[] = {
	    {ERR_UNREACHABLE, {"", "it cannot be reached", "", ""}},
	    {ERR_UNKNOWN, {"", "it went", "", ""}},
	    {ERR_TIMEOUT, {"57014", "canceling", "", ""}},
	    {ERR_CONFLICT, {"SH001", "full", "", ""}},
	    {ERR_CONFLICT, {"40001", "could not serialize", "", ""}},
	    {ERR_EXISTS, {"23505", "duplicate", "", "codes_pkey"}},
	    {ERR_INVALID, {"23503", "violates", "", "codes_persona"}},
	    {ERR_FULL, {"53100", "no space", "", ""}},
	    {ERR_INTERNAL, {"42P01", "no such relation", "", ""}},
	};

	for (size_t i = 0; i < nstatements; i++) {
		pg_fn *fn = statements[i].fn;
		void *arg = statements[i].arg;

		if (of && statements[i].pg != of)
			continue;
		memmove(statements + i, statements + i + 1, (--nstatements - i) * sizeof(statements[0]));
		pick %= sizeof(troubles) / sizeof(troubles[0]);
		fn(arg, troubles[pick].err, NULL, &troubles[pick].fault);
		return true;
	}
	return false;
}

void pg_close(struct pg *p)
{
	while (answer_postgres(p, 1))
		;
	free(p);
}

/* --- in the place of gateway/tables.h */

struct tables {
	tables_fn *fn; /* NULL: nobody waits */
	void *arg;
};

static struct tables tables;

static const struct static_table *table(void)
{
	static const struct static_row rows[] = {{"DE", "Germany", NULL, true}, {"US", "United States", NULL, true}};
	static const unsigned by_code[] = {0, 1};
	static const struct static_table found = {2, rows, by_code};

	return food_byte(&food) & 1 ? NULL : &found;
}

const struct static_table *tables_peek(struct tables *t, const char *name, struct arena *a)
{
	(void)a;
	MUST(t && name);
	return table();
}

void tables_get(struct tables *t, const char *name, struct arena *a, tables_fn *fn, void *arg)
{
	(void)a;
	MUST(name && !t->fn);
	*t = (struct tables){fn, arg};
}

static void answer_table(void)
{
	struct tables asked = tables;

	tables.fn = NULL;
	asked.fn(asked.arg, table());
}

/* --- the doors */

static struct loop *loop;
static struct conf conf;

/* Until nobody waits for anything. */
static void serve(void)
{
	while (nopened > 0) {
		const struct redis *r = opened[--nopened];
		if (r->opts.on_up)
			r->opts.on_up(r->opts.arg);
	}
	for (int i = 0; i < TURNS; i++) {
		event_base_loop(loop_base(loop), EVLOOP_NONBLOCK);
		if (tables.fn)
			answer_table();
		else if (ncalls > 0 && (nstatements == 0 || food_byte(&food) & 1))
			answer_redis();
		else if (!answer_postgres(NULL, food_byte(&food)))
			return;
	}
}

/* As the server does it. */
static void hand_over(struct httpd_request *r, bool (*wants_body)(void *, const struct httpd_request *),
                      void (*handle)(void *, struct httpd_request *), void *arg)
{
	if (r->body.len > 0 && !wants_body(arg, r))
		r->body = SPAN("");
	handle(arg, r);
}

static bool starts(const char *path, const char *prefix)
{
	return strncmp(path, prefix, strlen(prefix)) == 0;
}

/* What is answered to whom: nothing to strangers, "taken" only for what Redis has. */
static void at_gateway(struct httpd_request *r)
{
	static const char *const urls[] = {"redis://h"};
	const char *secret = http_head_get(&r->head, "X-Telegram-Bot-Api-Secret-Token");
	bool telegram = starts(r->head.path, "/telegram/"), discord = starts(r->head.path, "/discord/");
	bool known = telegram ? secret && strcmp(secret, SECRET) == 0 : discord && good_signature(r);
	struct intake *in = intake_open(loop, urls, 1);
	struct webhook *w = webhook_open(&conf, in, &tables);

	serve();
	hand_over(r, webhook_wants_body, webhook_handle, w);
	serve();
	intake_close(in);
	while (tables.fn)
		answer_table();
	MUST(!request.open && request.status);
	if (!known)
		MUST(request.status >= 400 && request.status < 500 && entries == 0);
	if (telegram && request.status == 200)
		MUST(appended > 0);
	webhook_close(w);
}

/* --- the admin's, opened and closed as admin.c does it */

static void on_generation(void *arg, enum cache_kind kind)
{
	(void)arg;
	(void)kind;
}

static void cache_came(void *arg)
{
	struct api *api = arg;

	cache_gen_redis_came(api->gen);
	cache_load_redis_came(api->load);
}

static void admin_open(struct api *api)
{
	static struct metric *requests;

	if (!requests)
		requests =
		    metric_counter("shoal_admin_requests_total", "path,status", "Requests of operators by answer");
	api->requests = requests;
	api->pg = pg_open(loop, &(struct pg_opts){.url = ""});
	api->changes = pg_open(loop, &(struct pg_opts){.url = ""});
	api->cache = redis_open(loop, &(struct redis_opts){.on_up = cache_came, .arg = api});
	api->gen = cache_gen_open(&(struct cache_gen_opts){loop, api->cache, on_generation, api});
	api->load = cache_load_open(&(struct cache_load_opts){
	    .loop = loop, .redis = api->cache, .pg = api->changes, .player_ttl_s = 60, .code_ttl_s = 60});
	api->fences = cache_fences_open(loop, api->cache);
	api->place = place_open(api);
	for (unsigned i = 0; i < api->nshards; i++)
		api->shards[i] =
		    redis_open(loop, &(struct redis_opts){.on_up = place_came, .arg = place_shard(api->place, i)});
	api->roster = roster_open(api);
	api->history = history_open();
	api->events = events_open(api);
}

static void admin_close(struct api *api)
{
	api->closing = true;
	events_end(api->events);
	cache_fences_close(api->fences);
	cache_load_close(api->load);
	cache_gen_close(api->gen);
	for (unsigned i = 0; i < api->nshards; i++)
		redis_close(api->shards[i]);
	place_close(api->place);
	redis_close(api->cache);
	events_close(api->events);
	history_close(api->history);
	roster_close(api->roster);
	pg_close(api->pg);
	pg_close(api->changes);
}

static bool bears(const struct http_head *h, const char *token)
{
	const char *given = http_head_get(h, "Authorization");

	return given && strncasecmp(given, "Bearer ", 7) == 0 && strcmp(given + 7, token) == 0;
}

/* Without a token nothing of the API is shown or asked for; who may look changes nothing. */
static void at_admin(struct httpd_request *r)
{
	struct redis *shards[2];
	struct api api = {.loop = loop, .conf = &conf, .shards = shards, .nshards = 2};
	bool may_change = bears(&r->head, ADMIN), may_look = may_change || bears(&r->head, VIEWER);
	bool inner = strcmp(r->head.path, "/api") == 0 || starts(r->head.path, "/api/");
	bool reading = strcmp(r->head.method, "GET") == 0 || strcmp(r->head.method, "HEAD") == 0;
	const char *why;

	api.auth = auth_open(&conf, &why);
	MUST(api.auth);
	admin_open(&api);
	serve();
	statements_seen = 0;
	hand_over(r, admin_wants_body, admin_handle, &api);
	MUST(may_look || (!request.open && statements_seen == 0));
	serve();
	admin_close(&api);
	MUST(!request.open && request.status);
	if (inner && !may_look)
		MUST(request.status == 401 || request.status == 429);
	if (inner && !reading && !may_change)
		MUST(request.status >= 400 && request.status < 500);
	if (!inner && !reading)
		MUST(request.status == 404 || request.status == 405);
	auth_close(api.auth);
}

/* --- what comes in */

static const char *from_environment(const char *name)
{
	static const char *const values[][2] = {{"SHOAL_ADMIN_TOKEN", ADMIN},
	                                        {"SHOAL_VIEWER_TOKEN", VIEWER},
	                                        {"SHOAL_WEBHOOK_SECRET", SECRET},
	                                        {"SHOAL_LADDER_PUBLIC_KEY", public_key},
	                                        {"SHOAL_LOG", "error"}};

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		if (strcmp(values[i][0], name) == 0)
			return values[i][1];
	return NULL;
}

static void start_once(void)
{
	static struct arena process;
	const char *why = "";

	if (loop)
		return;
	arena_init(&process);
	make_pair();
	MUST(conf_load(&conf, &process, from_environment, &why) == ERR_OK);
	log_init(LOG_ERROR, LOG_TEXT, "fuzz", "");
	loop = loop_new();
}

/* The request as the server reads it; NULL: it is none. */
static struct httpd_request *request_of(struct span text)
{
	const char *end = text.len ? memmem(text.ptr, text.len, "\r\n\r\n", 4) : NULL;
	size_t head = end ? (size_t)(end - text.ptr) : text.len;
	struct httpd_request *r = mem_zalloc(sizeof(*r));

	arena_init(&r->arena);
	if (http_head_parse(&r->head, &r->arena, exact(&r->arena, (struct span){text.ptr, head})) != 0) {
		arena_release(&r->arena);
		free(r);
		return NULL;
	}
	r->body = end ? exact(&r->arena, (struct span){end + 4, text.len - head - 4}) : SPAN("");
	return r;
}

static void fuzz(const uint8_t *data, size_t size)
{
	static const char border[] = "\n--\n";
	size_t choices = size < CHOICES ? size : CHOICES;
	struct span text = {(const char *)data + choices, size - choices}, said = SPAN("");
	const char *at = text.len ? memmem(text.ptr, text.len, border, strlen(border)) : NULL;

	if (at) {
		said = (struct span){at + strlen(border), (size_t)(text.ptr + text.len - at) - strlen(border)};
		text.len = (size_t)(at - text.ptr);
	}
	start_once();
	food = food_of(data, choices);
	uint8_t how = food_byte(&food);
	struct httpd_request *r = request_of(text);
	if (!r)
		return;
	request.open = r;
	request.status = 0;
	entries = appended = statements_seen = 0;
	ncalls = nstatements = nopened = 0;
	sound = how & 2;
	redis_says = reader_of(said.ptr, said.len);
	if (how & 1)
		at_admin(r);
	else
		at_gateway(r);
	redisReaderFree(redis_says);
	event_base_loop(loop_base(loop), EVLOOP_NONBLOCK);
}
