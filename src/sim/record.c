/* The record of API calls. */
#include "shoal/sim/record.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shoal/base/arena.h"
#include "shoal/base/log.h"

#define FLUSH_MS 100
#define FILE_BUFFER (1u << 20)

static void fail(struct record *r)
{
	if (!r->file_failed)
		log_error("the record of calls cannot be written; it goes on in memory only",
		          LOG_STR("error", strerror(errno)));
	r->file_failed = true;
}

static void on_flush(void *arg)
{
	struct record *r = arg;
	if (fflush(r->file) != 0)
		fail(r);
}

bool record_open(struct record *r, struct loop *l, const char *file)
{
	*r = (struct record){.loop = l, .first = 1, .next = 1};
	r->ring = mem_zalloc(RECORD_MAX * sizeof(*r->ring));
	buf_init(&r->line, 16u << 20);
	timer_init(&r->flush, l, on_flush, r);
	if (!file)
		return true;
	r->file = fopen(file, "ae");
	if (!r->file) {
		fprintf(stderr, "shoal sim: --record %s: %s\n", file, strerror(errno));
		return false;
	}
	setvbuf(r->file, NULL, _IOFBF, FILE_BUFFER);
	return true;
}

static void forget_oldest(struct record *r)
{
	struct record_entry *e = &r->ring[r->first++ % RECORD_MAX];
	r->bytes -= strlen(e->params);
	free(e->params);
	free(e->description);
	*e = (struct record_entry){0};
}

void record_clear(struct record *r)
{
	while (r->first < r->next)
		forget_oldest(r);
}

void record_close(struct record *r)
{
	if (r->ring)
		record_clear(r);
	free(r->ring);
	if (r->loop)
		timer_release(&r->flush);
	if (r->file && fclose(r->file) != 0)
		fail(r);
	buf_release(&r->line);
	*r = (struct record){0};
}

static void write_line(struct record *r, const struct record_entry *e)
{
	struct json_writer w;

	buf_clear(&r->line);
	json_writer_init(&w, &r->line);
	record_write(&w, e);
	buf_addc(&r->line, '\n');
	if (r->line.failed || fwrite(r->line.ptr, 1, r->line.len, r->file) != r->line.len)
		fail(r);
	if (!timer_armed(&r->flush))
		timer_set(&r->flush, FLUSH_MS);
}

void record_add(struct record *r, struct record_entry *e)
{
	e->seq = r->next;
	r->bytes += strlen(e->params);
	while (r->first < r->next && (r->next - r->first == RECORD_MAX || r->bytes > RECORD_BYTES_MAX))
		forget_oldest(r);
	r->ring[r->next++ % RECORD_MAX] = *e;
	if (r->file && !r->file_failed)
		write_line(r, e);
}

const struct record_entry *record_get(const struct record *r, int64_t seq)
{
	return seq >= r->first && seq < r->next ? &r->ring[seq % RECORD_MAX] : NULL;
}

void record_write(struct json_writer *w, const struct record_entry *e)
{
	json_begin_obj(w);
	json_kv_i64(w, "seq", e->seq);
	json_kv_i64(w, "time", e->at_ms);
	json_kv_str(w, "bot", e->bot);
	json_kv_str(w, "method", e->method);
	json_key(w, "parameters");
	json_put_raw(w, span_of(e->params));
	json_kv_i64(w, "status", e->status);
	json_kv_bool(w, "ok", e->status >= 200 && e->status < 300);
	json_kv_bool(w, "applied", e->applied);
	if (e->description)
		json_kv_str(w, "description", e->description);
	if (e->chat_id)
		json_kv_i64(w, "chat_id", e->chat_id);
	if (e->message_id)
		json_kv_i64(w, "message_id", e->message_id);
	json_kv_str(w, "via", e->via);
	if (e->worker[0])
		json_kv_str(w, "worker", e->worker);
	json_kv_num(w, "took_ms", (double)e->took_us / 1000);
	json_end_obj(w);
}
