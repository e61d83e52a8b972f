#include "turn_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char long_text[] =
    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ -0123456789abcdefghijklmnopqrs"
    "tuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ -0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUV"
    "WXYZ -0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ --------";

/* Names that begin alike, that look like what stands beside them in a key, the longest. Set up by model_init. */
static char longest_lane[256];
const char *const lane_names[LANES] = {
    "L",          "L1", "L1 ", " L ~ 1-0 new", "@ 7-0", "persona:telegram:-1001234567890",
    longest_lane, "%L", "a0",  "a1",           "a2",    "a3",
    "a4",         "a5", "a6",  "a7",           "b0",    "b1",
    "b2",         "b3", "b4",  "b5",           "b6",    "b7"};
const char *const bot_names[BOTS] = {"persona", "escrow", "escro"};
const char *const pause_texts[PAUSES] = {"", "persona", "escrow,persona", "*", "escro"};

void entry_texts_init(void)
{
	memset(longest_lane, 'L', 255);
}

static void add(struct span *out, int *n, const char *name, const char *value, size_t len)
{
	out[(*n)++] = (struct span){name, strlen(name)};
	out[(*n)++] = (struct span){value, len};
}

/* The key's text, not ended; its length. */
static size_t key_text(const struct model *m, int key, char out[300])
{
	struct id name = m->marks[key].name;
	size_t len = name.ms ? strlen(id_text(name, out)) : (size_t)snprintf(out, 48, "k%d", key);
	if (key % 50 == 7 && !name.ms) { /* the longest */
		memcpy(out + len, long_text, 255 - len);
		len = 255;
	}
	return len;
}

static void add_key(const struct model *m, const struct entry *e, struct span *out, int *n)
{
	static char key[300];
	if (e->odd == BAD_LONG_KEY)
		add(out, n, "key", long_text, 256);
	else if (e->odd == BAD_NUL_KEY)
		add(out, n, "key", "k\0", 2);
	else if (e->odd == SOUND_EMPTY_KEY)
		add(out, n, "key", "", 0);
	else if (e->key >= 0)
		add(out, n, "key", key, key_text(m, e->key, key));
}

static void add_lane(const struct entry *e, struct span *out, int *n)
{
	static const char high_lane[] = "L\xc3\xa4", control_lane[] = "L\1"
	                                                              "00000000000000000001-00000000000000000001";
	switch (e->odd) {
	case BAD_NO_LANE: break;
	case BAD_EMPTY_LANE: add(out, n, "lane", "", 0); break;
	case BAD_LONG_LANE: add(out, n, "lane", long_text, 256); break;
	case BAD_CONTROL_LANE: add(out, n, "lane", control_lane, sizeof(control_lane) - 1); break;
	case BAD_NUL_LANE: add(out, n, "lane", "L\0", 2); break;
	case BAD_HIGH_LANE: add(out, n, "lane", high_lane, 3); break;
	default: add(out, n, "lane", lane_names[e->lane], strlen(lane_names[e->lane]));
	}
}

static void add_body(const struct entry *e, struct span *out, int *n)
{
	static char body[32], *large;
	if (e->size) {
		if (!large) {
			large = malloc(BYTES);
			if (!large)
				abort();
			memset(large, 'x', BYTES);
		}
		add(out, n, "body", large, e->size);
	} else if (e->odd == SOUND_EMPTY_BODY) {
		add(out, n, "body", "", 0);
	} else if (e->odd == SOUND_BINARY_BODY) {
		add(out, n, "body", "\0\xff\r\n", 4);
	} else if (e->odd != BAD_NO_BODY) {
		add(out, n, "body", body, (size_t)snprintf(body, sizeof(body), "body %d", e->body_of));
	}
}

static void add_number(struct span *out, int *n, const char *name, int64_t number, char text[24])
{
	if (number >= 0)
		add(out, n, name, text, (size_t)snprintf(text, 24, "%lld", (long long)number));
}

bool entry_nameless(const struct model *m, int entry)
{
	const struct entry *e = &m->entries[entry];

	return e->as_gateways && !e->again && e->at >= 0 && (e->key >= 0 || e->odd == SOUND_EMPTY_KEY);
}

int entry_fields(const struct model *m, int entry, struct span out[FIELDS_MAX])
{
	static char born[24], at[24];
	const struct entry *e = &m->entries[entry];
	int n = 0;
	if (e->again) {
		add(out, &n, "again", "1", 1);
		add_number(out, &n, "born", e->born, born);
		add_key(m, e, out, &n);
		add_number(out, &n, "at", e->at, at);
	}
	if (e->odd != BAD_NO_BOT)
		add(out, &n, "bot", bot_names[e->bot], e->odd == BAD_EMPTY_BOT ? 0 : strlen(bot_names[e->bot]));
	if (!e->again && !e->as_gateways)
		add_number(out, &n, "at", e->at, at);
	add_lane(e, out, &n);
	if (!e->again)
		add_key(m, e, out, &n);
	if (!e->again && e->as_gateways)
		add_number(out, &n, "at", e->at, at);
	add_body(e, out, &n);
	if (e->traced)
		add(out, &n, "traceparent", "of a request", 12);
	return n;
}

size_t model_entry_bytes(const struct model *m, const struct entry *e)
{
	struct span f[FIELDS_MAX];
	size_t bytes = 0;
	int n = entry_fields(m, (int)(e - m->entries), f);
	for (int i = 1; i < n; i += 2)
		bytes += f[i].len;
	return bytes;
}
