#include "shoal/wire/stream.h"

#include <string.h>

#include "shoal/wire/discord.h"
#include "shoal/wire/platform.h"
#include "shoal/wire/telegram.h"

#define UPDATE_ID_MAX (INT64_C(1) << 53)
#define KEY_MAX 255

/* "telegram:BOT:KIND123" */
static const char *named(const struct bot *bot, const char *kind, int64_t id, struct arena *a)
{
	char digits[I64_TEXT_LEN];

	i64_text(digits, id);
	return arena_join(a, "telegram:", bot->name, ":", kind, digits);
}

static const char *lane_of(const struct bot *bot, const struct telegram_place *p, int64_t update_id, struct arena *a)
{
	if (p->chat)
		return named(bot, "", p->chat_id, a);
	if (p->sender)
		return named(bot, "user:", p->sender_id, a);
	return named(bot, "update:", update_id, a);
}

enum err entry_from_telegram(const struct bot *bot, struct span body, int64_t now_ms, struct arena *a,
                             struct entry *out, const char **why)
{
	const cJSON *root = json_parse(a, body, why);
	struct telegram_place p;
	int64_t update_id;

	if (!root)
		return ERR_INVALID;
	if (!cJSON_IsObject(root)) {
		*why = "the body is not a JSON object";
		return ERR_INVALID;
	}
	if (!json_i64(root, "update_id", &update_id) || update_id < 0 || update_id > UPDATE_ID_MAX) {
		*why = "update_id is not an integer from 0 to 2^53";
		return ERR_INVALID;
	}
	telegram_locate(root, &p);
	*out = (struct entry){.bot = bot->name, .at_ms = now_ms, .body = body};
	out->kind_name = p.kind->name;
	out->update_id = update_id;
	out->lane = lane_of(bot, &p, update_id, a);
	out->key = named(bot, "", update_id, a);
	out->tree = root;
	return ERR_OK;
}

void entry_from_discord(const struct bot *bot, const struct discord_place *p, struct span body, int64_t now_ms,
                        struct arena *a, struct entry *out)
{
	*out =
	    (struct entry){.bot = bot->name, .at_ms = now_ms, .body = body, .kind_name = p->kind_name, .update_id = -1};
	out->key = arena_printf(a, "discord:%s:%lld", bot->name, (long long)p->id);
	out->lane = out->key; /* of nobody: it waits for nobody */
	if (p->user)
		out->lane = arena_printf(a, "discord:%s:%lld", bot->name, (long long)p->user_id);
}

static uint64_t fnv1a(const char *p, size_t len)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)p[i]) * UINT64_C(0x100000001b3);
	/* FNV's low bits mix too little for a small modulus. */
	h ^= h >> 32;
	h *= UINT64_C(0xd6e8feb86659fd93);
	return h ^ (h >> 32);
}

void entry_internal(const struct bot *bot, int64_t chat_id, const char *cause, struct span body, int64_t now_ms,
                    struct arena *a, struct entry *out)
{
	*out = (struct entry){.bot = bot->name, .at_ms = now_ms, .body = body, .kind_name = "refused", .update_id = -1};
	out->lane = arena_printf(a, "%s:%s:%lld", platform_of(bot->platform)->name, bot->name, (long long)chat_id);
	out->key = arena_printf(a, "shoal:%s:%s", bot->name, cause);
	if (strlen(out->key) > KEY_MAX)
		out->key =
		    arena_printf(a, "shoal:%s:#%016llx", bot->name, (unsigned long long)fnv1a(cause, strlen(cause)));
}

static struct span traceparent_of(const struct trace *t, struct arena *a)
{
	char text[TRACEPARENT_LEN + 1];

	trace_text(t, text);
	return span_of(arena_strdup(a, text));
}

size_t entry_xadd(const struct entry *e, const char *stream_key, struct arena *a, struct span **argv)
{
	const struct span words[] = {
	    SPAN("XADD"),
	    span_of(stream_key),
	    SPAN("*"),
	    SPAN("bot"),
	    span_of(e->bot),
	    SPAN("lane"),
	    span_of(e->lane),
	    SPAN("key"),
	    span_of(e->key),
	    SPAN("at"),
	    span_of(arena_i64(a, e->at_ms)),
	    SPAN("body"),
	    e->body,
	};
	size_t n = sizeof(words) / sizeof(words[0]);

	*argv = arena_array(a, struct span, n + 2);
	memcpy(*argv, words, sizeof(words));
	if (!e->trace)
		return n;
	(*argv)[n++] = SPAN("traceparent");
	(*argv)[n++] = traceparent_of(e->trace, a);
	return n;
}

unsigned lane_shard(struct span lane, unsigned shards)
{
	return shards > 1 ? (unsigned)(fnv1a(lane.ptr, lane.len) % shards) : 0;
}
