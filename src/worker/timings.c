#include "shoal/worker/timings.h"

#include <stdlib.h>
#include <string.h>

#include "shoal/base/arena.h"
#include "shoal/base/json.h"
#include "shoal/store/latency.h"

enum { SLOT_MS = 30000, SLOTS = 11, WINDOW_S = (SLOTS - 1) * SLOT_MS / 1000, SERIES_MAX = 256 };

enum what { COMMAND, STAGE };

/* One command or stage of one bot. */
struct line {
	enum what what;
	const char *bot, *name;
	int64_t slot; /* the newest that is counted: time by SLOT_MS */
	struct latency slots[SLOTS];
};

struct timings {
	struct line *lines[SERIES_MAX];
	size_t n;
};

struct timings *timings_new(void)
{
	return mem_zalloc(sizeof(struct timings));
}

void timings_free(struct timings *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->lines[i]);
	free(t);
}

/* NULL: there are as many as there will be. */
static struct line *line_of(struct timings *t, enum what what, const char *bot, const char *name)
{
	struct line *l;

	for (size_t i = 0; i < t->n; i++) {
		l = t->lines[i];
		if (l->name == name && l->bot == bot && l->what == what)
			return l;
	}
	if (t->n == SERIES_MAX)
		return NULL;
	l = mem_zalloc(sizeof(*l));
	l->what = what;
	l->bot = bot;
	l->name = name;
	t->lines[t->n++] = l;
	return l;
}

/* Forgets what has become too old. */
static void advance(struct line *l, int64_t now_ms)
{
	int64_t slot = now_ms / SLOT_MS;

	if (slot - l->slot > SLOTS)
		l->slot = slot - SLOTS;
	while (l->slot < slot)
		memset(&l->slots[++l->slot % SLOTS], 0, sizeof(l->slots[0]));
}

static void count(struct timings *t, enum what what, const char *bot, const char *name, int64_t us, int64_t now_ms)
{
	struct line *l = line_of(t, what, bot, name);

	if (!l)
		return;
	advance(l, now_ms);
	latency_add(&l->slots[l->slot % SLOTS], us);
}

void timings_command(struct timings *t, const char *bot, const char *command, int64_t us, int64_t now_ms)
{
	count(t, COMMAND, bot, command, us, now_ms);
}

void timings_stage(struct timings *t, const char *bot, const char *stage, int64_t us, int64_t now_ms)
{
	count(t, STAGE, bot, stage, us, now_ms);
}

static void put_line(struct line *l, int64_t now_ms, struct json_writer *out, struct buf *text)
{
	struct latency sum = {{0}};

	advance(l, now_ms);
	for (int i = 0; i < SLOTS; i++)
		latency_merge(&sum, &l->slots[i]);
	buf_clear(text);
	latency_put(&sum, text);
	if (text->len == 0)
		return;
	json_begin_arr(out);
	json_put_str(out, l->bot);
	json_put_str(out, l->name);
	json_put_span(out, buf_span(text));
	json_end_arr(out);
}

static void put_lines(struct timings *t, enum what what, int64_t now_ms, struct json_writer *out)
{
	struct buf text;

	buf_init(&text, LATENCY_TEXT_BYTES);
	json_begin_arr(out);
	for (size_t i = 0; i < t->n; i++)
		if (t->lines[i]->what == what)
			put_line(t->lines[i], now_ms, out, &text);
	json_end_arr(out);
	buf_release(&text);
}

void timings_put(struct timings *t, int64_t now_ms, struct buf *buf)
{
	struct json_writer out;

	json_writer_init(&out, buf);
	json_begin_obj(&out);
	json_kv_i64(&out, "window_s", WINDOW_S);
	json_key(&out, "commands");
	put_lines(t, COMMAND, now_ms, &out);
	json_key(&out, "stages");
	put_lines(t, STAGE, now_ms, &out);
	json_end_obj(&out);
}
