#include "shoal/io/redis_parts.h"

#include <stdlib.h>
#include <string.h>

#include "shoal/base/clock.h"
#include "shoal/io/redis_script.h"

#define COMMAND_MAX ((size_t)256 << 20)
#define KEEP_OUT_BYTES ((size_t)1 << 20)

/* --- lists of commands */

void cmd_list_init(struct cmd_list *l)
{
	l->head = NULL;
	l->tail = &l->head;
}

void cmd_list_add(struct cmd_list *l, struct cmd *c)
{
	c->next = NULL;
	*l->tail = c;
	l->tail = &c->next;
}

struct cmd *cmd_list_take(struct cmd_list *l)
{
	struct cmd *c = l->head;
	if (!c)
		return NULL;
	l->head = c->next;
	if (!l->head)
		l->tail = &l->head;
	return c;
}

struct cmd *cmd_new(enum cmd_kind kind, redis_fn *fn, void *arg)
{
	struct cmd *c = mem_zalloc(sizeof(*c));
	c->kind = kind;
	c->fn = fn;
	c->arg = arg;
	return c;
}

bool cmd_is_own(const struct cmd *c)
{
	return c->kind == CMD_GREET || c->kind == CMD_POLITE || c->kind == CMD_NODES || c->kind == CMD_READY;
}

void cmd_free(struct cmd *c)
{
	free((char *)c->tail.ptr);
	free(c);
}

void cmd_finish(struct redis *r, struct cmd *c, enum err err)
{
	c->err = err;
	cmd_list_add(&r->finished, c);
	if (r->state != REDIS_CLOSED)
		loop_defer(r->loop, &r->tell);
}

/* --- sending */

static void out_head(struct redis *r, size_t argc)
{
	if (r->out.cap > KEEP_OUT_BYTES)
		buf_release(&r->out);
	if (!r->out.ptr)
		buf_init(&r->out, COMMAND_MAX);
	buf_clear(&r->out);
	buf_addc(&r->out, '*');
	buf_add_i64(&r->out, (int64_t)argc);
	buf_add(&r->out, "\r\n", 2);
}

static void out_arg(struct redis *r, struct span s)
{
	char digits[I64_TEXT_LEN];
	struct span len = i64_text(digits, (int64_t)s.len);
	char *p = buf_extend(&r->out, 1 + len.len + 2 + s.len + 2);
	if (!p)
		return;
	*p = '$';
	p = mempcpy(p + 1, len.ptr, len.len);
	p = mempcpy(p, "\r\n", 2);
	p = s.len ? mempcpy(p, s.ptr, s.len) : p;
	memcpy(p, "\r\n", 2);
}

static void out_args(struct redis *r, size_t argc, const struct span *argv)
{
	for (size_t i = 0; i < argc; i++)
		out_arg(r, argv[i]);
}

void cmd_arm_deadline(struct redis *r)
{
	if (r->state == REDIS_UP && r->opts.timeout_ms && r->sent.head && !timer_armed(&r->deadline))
		timer_set(&r->deadline, r->sent.head->since_ms + r->opts.timeout_ms - clock_ms());
}

/* What stands in r->out leaves with everything else of this turn. */
static void out_send(struct redis *r, struct cmd *c)
{
	if (r->out.failed) {
		cmd_finish(r, c, ERR_TOO_LONG);
		return;
	}
	ENSURE(redisAppendFormattedCommand(r->ctx, r->out.ptr, r->out.len) == REDIS_OK);
	r->out_bytes += r->out.len;
	c->end = r->out_bytes;
	c->since_ms = clock_ms();
	cmd_list_add(&r->sent, c);
	cmd_arm_deadline(r);
	if (!event_pending(r->writable, EV_WRITE, NULL))
		loop_defer(r->loop, &r->flush);
}

void cmd_flush(void *arg)
{
	struct redis *r = arg;
	int done = 0;
	size_t before = obuf_len(r->ctx);
	if (redisBufferWrite(r->ctx, &done) != REDIS_OK)
		redis_cut(r, ERR_UNKNOWN, r->ctx->errstr);
	else if (!done && !(r->url.tls && obuf_len(r->ctx) == before)) /* TLS may first have to read */
		event_add(r->writable, NULL);
}

void redis_call(struct redis *r, redis_fn *fn, void *arg, size_t argc, const struct span *argv)
{
	struct cmd *c = cmd_new(CMD_CALL, fn, arg);
	ENSURE(argc > 0);
	if (r->state != REDIS_UP) {
		cmd_finish(r, c, ERR_UNREACHABLE);
		return;
	}
	out_head(r, argc);
	out_args(r, argc, argv);
	out_send(r, c);
}

/* --- scripts */

/* Whether this connection has sent its text; from now on it has. */
static bool script_known(struct redis *r, struct redis_script *s)
{
	for (size_t i = 0; i < r->nknown; i++)
		if (r->known[i] == s)
			return true;
	r->known = mem_realloc(r->known, (r->nknown + 1) * sizeof(struct redis_script *));
	r->known[r->nknown++] = s;
	return false;
}

static void out_script_head(struct redis *r, struct redis_script *s, bool digest, size_t tail_argc)
{
	out_head(r, 2 + tail_argc);
	out_arg(r, digest ? SPAN("EVALSHA") : SPAN("EVAL"));
	out_arg(r, digest ? (struct span){s->sha, 40} : s->text);
}

void redis_eval(struct redis *r, struct redis_script *s, redis_fn *fn, void *arg, size_t nkeys, size_t argc,
                const struct span *argv)
{
	struct cmd *c = cmd_new(CMD_CALL, fn, arg);
	char keys[I64_TEXT_LEN];
	ENSURE(nkeys <= argc);
	if (r->state != REDIS_UP) {
		cmd_finish(r, c, ERR_UNREACHABLE);
		return;
	}
	redis_script_prepare(s);
	bool digest = script_known(r, s);
	out_script_head(r, s, digest, argc + 1);
	size_t tail_at = r->out.len;
	out_arg(r, i64_text(keys, (int64_t)nkeys));
	out_args(r, argc, argv);
	if (digest && !r->out.failed) {
		size_t len = r->out.len - tail_at;
		char *tail = mem_alloc(len);
		memcpy(tail, r->out.ptr + tail_at, len);
		c->kind = CMD_EVALSHA;
		c->script = s;
		c->tail = (struct span){tail, len};
		c->tail_argc = argc + 1;
	}
	out_send(r, c);
}

void cmd_send_text(struct redis *r, struct cmd *c)
{
	c->kind = CMD_CALL;
	out_script_head(r, c->script, false, c->tail_argc);
	buf_add(&r->out, c->tail.ptr, c->tail.len);
	out_send(r, c);
}

void cmd_send_own(struct redis *r, enum cmd_kind kind, size_t argc, const struct span *argv)
{
	out_head(r, argc);
	out_args(r, argc, argv);
	out_send(r, cmd_new(kind, NULL, NULL));
}
