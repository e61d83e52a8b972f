#include "turn_redis.h"

#define KEY "shoal:{0}:"
#define ARGS_MAX (16 + 14 + 5 * REPORTS_MAX + OLD_MAX)

static _Noreturn void die(const char *what, const char *detail)
{
	printf("Bail out! %s: %s\n", what, detail);
	exit(2);
}

static char *file_text(const char *path)
{
	FILE *f = fopen(path, "rb");
	if (!f)
		die(path, strerror(errno));
	size_t n = 0, cap = 1 << 20;
	char *text = malloc(cap);
	if (!text)
		abort();
	n = fread(text, 1, cap - 1, f);
	text[n] = 0;
	fclose(f);
	return text;
}

/* What stands in `text` once, replaced. NULL: it stands there never or twice. */
static char *replaced(const char *text, const char *from, const char *to)
{
	const char *at = strstr(text, from);
	if (!*from || !at || strstr(at + 1, from))
		return NULL;
	size_t size = strlen(text) + strlen(to) + 1;
	char *out = malloc(size);
	if (!out)
		abort();
	snprintf(out, size, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
	return out;
}

/* A mutant's file: lines of remarks (#), the script if it is not turn.lua (@), lines to find (-) and what stands there
 * instead
 * (+); several such pairs. NULL: why says what does not fit. */
static char *mutated(const char *script, const char *mutant_file, char *why, size_t why_size)
{
	char *file = file_text(mutant_file), *text = strdup(script), *line, *rest = file;
	char *from = calloc(1, strlen(file) + 1), *to = calloc(1, strlen(file) + 1);
	bool ending = false, replacing = false;
	size_t nfrom = 0, nto = 0;
	int pairs = 0;

	if (!text || !from || !to)
		abort();
	while (text && !ending) {
		line = strsep(&rest, "\n");
		ending = !line;
		char kind = line ? line[0] : 0;
		if (nfrom && (ending || (kind == '-' && replacing) || kind == '#')) {
			char *next = replaced(text, from, to);
			if (!next)
				snprintf(why, why_size, "does not stand in the script exactly once: %s", from);
			free(text);
			text = next;
			nfrom = nto = 0;
			from[0] = to[0] = 0;
			replacing = false;
			pairs++;
		}
		if (kind == '-')
			nfrom += (size_t)sprintf(from + nfrom, "%s%s", nfrom ? "\n" : "", line + 1);
		else if (kind == '+') {
			nto += (size_t)sprintf(to + nto, "%s%s", replacing ? "\n" : "", line + 1);
			replacing = true;
		}
	}
	if (text && !pairs) {
		snprintf(why, why_size, "no change in %s", mutant_file);
		free(text);
		text = NULL;
	}
	free(file);
	free(from);
	free(to);
	return text;
}

/* --- the server */

static const char *const observing[] = {
    "XINFO GROUPS " KEY "updates", "XLEN " KEY "updates", "HLEN " KEY "lanes",
    "ZCARD " KEY "waiting",        "ZCARD " KEY "due",    "HLEN " KEY "tries",
    "ZCARD " KEY "workers",        "XLEN " KEY "dead",    "XREVRANGE " KEY "wake + - COUNT 1"};
#define NOBSERVING (sizeof(observing) / sizeof(observing[0]))

void turn_redis_start(struct turn_redis *t)
{
	/* lanes and tries stay lists, so that what the script iterates over comes in the same order in every run */
	static const char *const extra[] = {"--hash-max-listpack-value", "4096", "--loglevel", "warning", NULL};
	memset(t, 0, sizeof(*t));
	redis_server_start(&t->server, extra);
	t->redis = redisConnectUnix(t->server.sock);
	if (!t->redis || t->redis->err)
		die("connect", t->redis ? t->redis->errstr : "no memory");
	for (size_t i = 0; i < NOBSERVING; i++) {
		char *one;
		int n = redisFormatCommand(&one, observing[i]);
		t->observe = realloc(t->observe, t->observe_len + (size_t)n);
		if (!t->observe)
			abort();
		memcpy(t->observe + t->observe_len, one, (size_t)n);
		t->observe_len += (size_t)n;
		redisFreeCommand(one);
	}
}

static void forget(struct turn_redis *t)
{
	while (t->nreplies)
		freeReplyObject(t->replies[--t->nreplies]);
}

void turn_redis_stop(struct turn_redis *t)
{
	forget(t);
	redisFree(t->redis);
	free(t->observe);
	redis_server_stop(&t->server);
}

/* The walk tells the time and gives the ids; both stand behind the scripts' keys. */
struct told {
	const char *asked, *told;
};
static const struct told turn_told[] = {{"redis.call('TIME')", "{KEYS[12], KEYS[13]}"}, {NULL, NULL}};
static const struct told retry_told[] = {{"redis.call('TIME')", "{KEYS[7], KEYS[8]}"},
                                         {"redis.call('XADD', UPDATES, '*',", "redis.call('XADD', UPDATES, KEYS[9],"},
                                         {NULL, NULL}};

static char *tell(char *script, const struct told *t, char *why, size_t why_size)
{
	for (; script && t->asked; t++) {
		char *next = replaced(script, t->asked, t->told);
		if (!next)
			snprintf(why, why_size, "does not stand in the script exactly once: %s", t->asked);
		free(script);
		script = next;
	}
	return script;
}

static bool is_of(const char *mutant, const char *path)
{
	char *text = file_text(mutant), line[100];
	snprintf(line, sizeof(line), "@%s\n", path);
	bool named = strstr(text, line), other = strstr(text, "\n@");
	free(text);
	return named || (!other && !strcmp(path, "lua/turn.lua"));
}

static bool load(struct turn_redis *t, const char *path, const struct told *told, const char *mutant, char sha[64],
                 char *why, size_t why_size)
{
	char *text = file_text(path);
	if (mutant && is_of(mutant, path)) {
		char *changed = mutated(text, mutant, why, why_size);
		free(text);
		text = changed;
	}
	text = tell(text, told, why, why_size);
	if (!text)
		return false;
	redisReply *r = redisCommand(t->redis, "SCRIPT LOAD %s", text);
	bool ok = r && r->type == REDIS_REPLY_STRING;
	snprintf(ok ? sha : why, ok ? 64 : why_size, "%s", r && r->str ? r->str : t->redis->errstr);
	freeReplyObject(r);
	free(text);
	return ok;
}

bool turn_redis_load(struct turn_redis *t, const char *mutant, char *why, size_t why_size)
{
	return load(t, "lua/turn.lua", turn_told, mutant, t->turn, why, why_size) &&
	       load(t, "lua/dead_retry.lua", retry_told, mutant, t->retry, why, why_size);
}

void turn_redis_send(struct turn_redis *t, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	if (redisvAppendCommand(t->redis, fmt, ap) != REDIS_OK)
		die("redis", t->redis->errstr);
	va_end(ap);
	t->unread++;
}

void turn_redis_send_entry(struct turn_redis *t, const struct model *m, int entry)
{
	const char *argv[17];
	size_t len[17];
	struct span f[FIELDS_MAX];
	char id[48];
	int n = entry_fields(m, entry, f);
	argv[0] = "XADD", argv[1] = KEY "updates", argv[2] = id_text(m->entries[entry].id, id);
	for (int i = 0; i < 3; i++)
		len[i] = strlen(argv[i]);
	for (int i = 0; i < n; i++)
		argv[3 + i] = f[i].ptr, len[3 + i] = f[i].len;
	if (redisAppendCommandArgv(t->redis, n + 3, argv, len) != REDIS_OK)
		die("redis", t->redis->errstr);
	t->unread++;
}

static redisReply *answer(struct turn_redis *t)
{
	void *r = NULL;
	if (redisGetReply(t->redis, &r) != REDIS_OK)
		die("redis", t->redis->errstr);
	return r;
}

/* Damage by hand may hit what is not there; nothing else may be refused. */
static void skip_unread(struct turn_redis *t)
{
	for (; t->unread; t->unread--) {
		redisReply *r = answer(t);
		if (r->type == REDIS_REPLY_ERROR && strncmp(r->str, "ERR The XGROUP", 14) != 0 &&
		    strncmp(r->str, "ERR no such key", 15) != 0)
			die("a command of the walk", r->str);
		freeReplyObject(r);
	}
}

void turn_redis_flush(struct turn_redis *t)
{
	skip_unread(t);
}

/* --- a call */

struct args {
	const char *argv[ARGS_MAX];
	size_t len[ARGS_MAX];
	int n;
	char texts[64 * (REPORTS_MAX + 32)], *free;
};

static void arg(struct args *a, const char *s)
{
	a->argv[a->n] = s;
	a->len[a->n++] = strlen(s);
}

static void arg_number(struct args *a, long long n)
{
	char *s = a->free;
	a->free += snprintf(s, 24, "%lld", n) + 1;
	arg(a, s);
}

static void arg_id(struct args *a, const struct model *m, int entry)
{
	char *s = a->free;
	a->free += strlen(id_text(m->entries[entry].id, s)) + 1;
	arg(a, s);
}

static void args_rest(struct args *a, const struct model *m, const struct call *c)
{
	static const char *const kinds[] = {NULL, "later", "retry", "retry?", "dead", "sent"};
	if (c->mode == HELLO) {
		arg(a, c->past ? "1" : "0");
		arg(a, c->no_mark ? "0" : "1");
		arg_number(a, c->nold);
		for (int i = 0; i < c->nold; i++)
			arg(a, m->names[c->old[i]].text);
		for (int i = 0; i < c->nkept; i++)
			arg_id(a, m, c->kept[i]);
		return;
	}
	int dones = 0; /* which come first */
	while (dones < c->nreports && c->reports[dones].kind == DONE)
		dones++;
	if (c->nreports || c->trailing)
		arg_number(a, dones);
	for (int i = 0; i < dones; i++)
		arg_id(a, m, c->reports[i].entry);
	for (int i = 0; i < dones; i++)
		arg(a, lane_names[c->reports[i].lane]);
	for (int i = dones; i < c->nreports; i++) {
		const struct report *r = &c->reports[i];
		char *s;
		arg(a, kinds[r->kind]);
		arg_id(a, m, r->entry);
		arg(a, lane_names[r->lane]);
		arg_number(a, r->number);
		s = a->free;
		*s = 0;
		if (r->kind == RETRY || r->kind == RETRY_MAYBE || r->kind == DEAD)
			a->free += snprintf(s, 24, "why %d", r->entry);
		a->free++;
		arg(a, s);
	}
	for (int i = 0; i < c->trailing; i++)
		arg(a, "later"); /* without what belongs to it */
}

static const char *bots_text(unsigned bots)
{
	static const char *const texts[1 << BOTS] = {"",      "persona",       "escrow",       "persona,escrow",
	                                             "escro", "escro,persona", "escrow,escro", "persona,escrow,escro"};
	return texts[bots];
}

static void send_call(struct turn_redis *t, const struct model *m, const struct call *c)
{
	static const char *const keys[] = {KEY "updates",  KEY "lanes",   KEY "waiting", KEY "due",
	                                   KEY "tries",    KEY "workers", KEY "dead",    KEY "seen",
	                                   KEY "seen_old", KEY "conf",    KEY "wake"};
	static const char *const modes[] = {"work", "leave", "hello"};
	static struct args a;
	a.n = 0;
	a.free = a.texts;
	arg(&a, "EVALSHA");
	arg(&a, t->turn);
	arg(&a, "13");
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		arg(&a, keys[i]);
	arg_number(&a, m->now / 1000);
	/* the script seeds its chance with the microseconds */
	arg_number(&a, m->now % 1000 * 1000 + m->ncalls % 1000);
	arg(&a, c->foreign && !strchr(c->foreign, '/') ? c->foreign : "1");
	arg(&a, c->foreign && strchr(c->foreign, '/') ? c->foreign : "0/1");
	arg(&a, m->names[c->name].text);
	arg(&a, modes[c->mode]);
	arg_number(&a, c->want);
	arg(&a, c->empty_handed ? "1" : "0");
	arg_number(&a, TTL);
	arg_number(&a, ATTEMPTS);
	arg_number(&a, KEY_LIFE);
	arg(&a, bots_text(c->except));
	args_rest(&a, m, c);
	if (redisAppendCommandArgv(t->redis, a.n, a.argv, a.len) != REDIS_OK ||
	    redisAppendFormattedCommand(t->redis, t->observe, t->observe_len) != REDIS_OK)
		die("redis", t->redis->errstr);
}

static const redisReply *member(const redisReply *map, const char *name)
{
	for (size_t i = 0; i + 1 < map->elements; i += 2)
		if (!strcmp(map->element[i]->str, name))
			return map->element[i + 1];
	die("XINFO GROUPS lacks", name);
}

static void observe_groups(const redisReply *r, struct observed *out)
{
	for (size_t i = 0; r->type == REDIS_REPLY_ARRAY && i < r->elements; i++) {
		const redisReply *g = r->element[i], *last = member(g, "last-delivered-id");
		if (!strcmp(member(g, "name")->str, "workers")) {
			out->group = parse_id(last->str, &out->read);
			out->listed = member(g, "pending")->integer;
		} else {
			out->bell = parse_id(last->str, &out->rung);
		}
	}
}

void turn_redis_call(struct turn_redis *t, const struct model *m, const struct call *c, struct observed *out)
{
	long long *const counts[] = {&out->xlen,  &out->lanes,   &out->waiting, &out->due,
	                             &out->tries, &out->workers, &out->dead};
	forget(t);
	memset(out, 0, sizeof(*out));
	send_call(t, m, c);
	skip_unread(t);
	for (size_t i = 0; i <= NOBSERVING; i++)
		t->replies[t->nreplies++] = answer(t);
	out->answer = t->replies[0];
	observe_groups(t->replies[1], out);
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		*counts[i] = t->replies[2 + i]->integer;
	const redisReply *ring = t->replies[NOBSERVING];
	if (ring->type == REDIS_REPLY_ARRAY && ring->elements)
		parse_id(ring->element[0]->element[0]->str, &out->wake);
}

const redisReply *turn_redis_retry(struct turn_redis *t, const struct model *m, const char *letter, bool force,
                                   struct id id)
{
	char new_id[48];
	forget(t);
	skip_unread(t);
	redisReply *r = redisCommand(t->redis,
	                             "EVALSHA %s 9 " KEY "dead " KEY "updates " KEY "tries " KEY "seen " KEY
	                             "seen_old " KEY "conf %lld %lld %s 1 0/1 %s %d %d",
	                             t->retry, (long long)(m->now / 1000), (long long)(m->now % 1000 * 1000),
	                             id_text(id, new_id), letter, force, GUARD_LIFE);
	if (!r)
		die("redis", t->redis->errstr);
	t->replies[t->nreplies++] = r;
	return r;
}
