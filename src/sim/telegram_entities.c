/* Entities: what the platform finds in a text by itself, and their order and JSON. */
#include "shoal/sim/telegram.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "shoal/base/json.h"

void formatted_add(struct arena *a, struct formatted *f, struct entity e)
{
	if (f->count == f->cap) {
		size_t cap = f->cap ? f->cap * 2 : 8;
		struct entity *grown = arena_array(a, struct entity, cap);
		if (f->count)
			memcpy(grown, f->entities, f->count * sizeof(*grown));
		f->entities = grown;
		f->cap = cap;
	}
	f->entities[f->count++] = e;
}

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

static size_t name_len(const char *s, const char *end)
{
	const char *p = s;
	while (p < end && (isalnum((unsigned char)*p) || *p == '_'))
		p++;
	return (size_t)(p - s);
}

static size_t command_len(const char *s, const char *end)
{
	size_t n = name_len(s + 1, end);
	if (n < 1 || n > 64)
		return 0;
	n++;
	size_t at = s + n < end && s[n] == '@' ? name_len(s + n + 1, end) : 0;
	n = at >= 3 && at <= 32 ? n + 1 + at : n;
	return s + n < end && strchr("/<>", s[n]) ? 0 : n;
}

static size_t mention_len(const char *s, const char *end)
{
	size_t n = name_len(s + 1, end);
	return n >= 3 && n <= 32 ? n + 1 : 0;
}

static size_t hashtag_len(const char *s, const char *end)
{
	const char *p = s + 1;
	bool letter = false;
	for (; p < end && is_word(*p); p++)
		letter |= !isdigit((unsigned char)*p);
	return letter ? (size_t)(p - s) : 0;
}

static size_t link_len(const char *s, const char *end)
{
	size_t scheme = 0;
	if (end - s > 7 && strncasecmp(s, "http://", 7) == 0)
		scheme = 7;
	else if (end - s > 8 && strncasecmp(s, "https://", 8) == 0)
		scheme = 8;
	if (!scheme || !isalnum((unsigned char)s[scheme]))
		return 0;
	const char *p = s + scheme;
	while (p < end && (unsigned char)*p > ' ' && !strchr("<>\"", *p))
		p++;
	while (strchr(".,:;!?)'", p[-1]))
		p--;
	return (size_t)(p - s);
}

/* Found entities do not overlap code, links and each other. */
static bool taken(const struct formatted *f, size_t offset, size_t length)
{
	static const char *const closed[] = {"code", "pre", "text_link", "bot_command", "mention", "hashtag", "url"};
	for (size_t i = 0; i < f->count; i++) {
		const struct entity *e = &f->entities[i];
		if (offset >= e->offset + e->length || e->offset >= offset + length)
			continue;
		for (size_t k = 0; k < sizeof(closed) / sizeof(closed[0]); k++) {
			if (strcmp(e->type, closed[k]) == 0)
				return true;
		}
	}
	return false;
}

static size_t match(const char *s, const char *end, const char **type)
{
	switch (*s) {
	case '/': *type = "bot_command"; return command_len(s, end);
	case '@': *type = "mention"; return mention_len(s, end);
	case '#': *type = "hashtag"; return hashtag_len(s, end);
	case 'h':
	case 'H': *type = "url"; return link_len(s, end);
	default: return 0;
	}
}

static void find_entities(struct arena *a, struct formatted *f)
{
	const char *end = f->text + f->len;
	size_t units = 0;
	char before = ' ';

	for (const char *s = f->text; s < end;) {
		const char *type = NULL;
		size_t len = is_word(before) || strchr("/<>", before) ? 0 : match(s, end, &type);
		size_t length = len ? utf8_utf16_len((struct span){s, len}) : 0;
		if (len && !taken(f, units, length)) {
			formatted_add(a, f, (struct entity){.type = type, .offset = units, .length = length});
		} else {
			len = utf8_char_len(s, (size_t)(end - s));
			len = len ? len : 1;
			length = len == 4 ? 2 : 1;
		}
		units += length;
		s += len;
		before = s[-1];
	}
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void trim(struct formatted *f)
{
	size_t skip = 0, kept = 0;

	while (f->len && is_blank(f->text[f->len - 1]))
		f->len--;
	while (skip < f->len && is_blank(f->text[skip]))
		skip++;
	f->text += skip;
	f->len -= skip;
	f->text[f->len] = '\0';
	size_t units = utf8_utf16_len((struct span){f->text, f->len});
	for (size_t i = 0; i < f->count; i++) {
		struct entity e = f->entities[i];
		size_t end = e.offset + e.length < skip ? 0 : e.offset + e.length - skip;
		end = end < units ? end : units;
		e.offset = e.offset < skip ? 0 : e.offset - skip;
		if (end <= e.offset)
			continue;
		e.length = end - e.offset;
		f->entities[kept++] = e;
	}
	f->count = kept;
}

static int in_order(const void *a, const void *b)
{
	const struct entity *x = a, *y = b;
	if (x->offset != y->offset)
		return x->offset < y->offset ? -1 : 1;
	return (x->length < y->length) - (x->length > y->length);
}

void formatted_finish(struct arena *a, struct formatted *f)
{
	find_entities(a, f);
	trim(f);
	if (f->count > 1)
		qsort(f->entities, f->count, sizeof(*f->entities), in_order);
}

const char *formatted_entities(struct arena *a, const struct formatted *f)
{
	struct json_writer w;
	struct buf b;

	if (f->count == 0)
		return NULL;
	buf_init(&b, 4u << 20);
	json_writer_init(&w, &b);
	json_begin_arr(&w);
	for (size_t i = 0; i < f->count; i++) {
		const struct entity *e = &f->entities[i];
		json_begin_obj(&w);
		json_kv_i64(&w, "offset", (int64_t)e->offset);
		json_kv_i64(&w, "length", (int64_t)e->length);
		json_kv_str(&w, "type", e->type);
		if (e->extra_name)
			json_kv_str(&w, e->extra_name, e->extra);
		if (strcmp(e->type, "date_time") == 0)
			json_kv_i64(&w, "unix_time", e->unix_time);
		json_end_obj(&w);
	}
	json_end_arr(&w);
	const char *json = b.failed ? NULL : arena_strndup(a, b.ptr, b.len);
	buf_release(&b);
	return json;
}
