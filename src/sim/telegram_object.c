/* Telegram's objects as JSON, member names and meaning as the Bot API describes them. */
#include "shoal/sim/telegram.h"

#include <string.h>

#include "shoal/base/clock.h"

void tg_write_user(struct json_writer *w, const struct user *u)
{
	json_begin_obj(w);
	json_kv_i64(w, "id", u->id);
	json_kv_bool(w, "is_bot", false);
	json_kv_str(w, "first_name", u->first_name);
	if (u->username)
		json_kv_str(w, "username", u->username);
	if (u->language_code)
		json_kv_str(w, "language_code", u->language_code);
	json_end_obj(w);
}

void tg_write_bot(struct json_writer *w, const struct bot *b)
{
	json_begin_obj(w);
	json_kv_i64(w, "id", b->id);
	json_kv_bool(w, "is_bot", true);
	json_kv_str(w, "first_name", b->title);
	json_kv_str(w, "username", b->username);
	json_end_obj(w);
}

void tg_write_chat(struct json_writer *w, const struct chat *c)
{
	json_begin_obj(w);
	json_kv_i64(w, "id", c->id);
	if (c->user) {
		json_kv_str(w, "first_name", c->user->first_name);
		if (c->user->username)
			json_kv_str(w, "username", c->user->username);
	} else {
		json_kv_str(w, "title", c->title);
	}
	json_kv_str(w, "type", c->type);
	json_end_obj(w);
}

static void put_raw(struct json_writer *w, const char *name, const char *json)
{
	if (!json)
		return;
	json_key(w, name);
	json_put_raw(w, span_of(json));
}

void tg_message_members(struct json_writer *w, struct chat *c, const struct message *m, bool nested)
{
	const struct message *replied = m->reply_to && !nested ? chat_message(c, m->reply_to) : NULL;

	json_kv_i64(w, "message_id", m->id);
	json_key(w, "from");
	if (m->from)
		tg_write_user(w, m->from);
	else
		tg_write_bot(w, c->bot);
	json_key(w, "chat");
	tg_write_chat(w, c);
	json_kv_i64(w, "date", m->date);
	if (m->edit_date)
		json_kv_i64(w, "edit_date", m->edit_date);
	if (replied) {
		json_key(w, "reply_to_message");
		tg_write_message(w, c, replied, true);
	}
	if (m->media_kind) {
		put_raw(w, m->media_kind, m->media);
		if (m->text[0])
			json_kv_str(w, "caption", m->text);
		put_raw(w, "caption_entities", m->entities);
	} else {
		json_kv_str(w, "text", m->text);
		put_raw(w, "entities", m->entities);
	}
	put_raw(w, "link_preview_options", m->preview);
	put_raw(w, "reply_markup", m->markup);
}

void tg_write_message(struct json_writer *w, struct chat *c, const struct message *m, bool nested)
{
	json_begin_obj(w);
	tg_message_members(w, c, m, nested);
	json_end_obj(w);
}

/* @ stands for the file's id, different for every message. */
static const struct {
	const char *kind, *format;
} media[] = {
    {"photo", "[{\"file_id\":\"AgAC@S\",\"file_unique_id\":\"AQAD@s\",\"width\":90,\"height\":60,\"file_size\":"
              "1300},{\"file_id\":\"AgAC@X\",\"file_unique_id\":\"AQAD@x\",\"width\":1280,\"height\":853,"
              "\"file_size\":131072}]"},
    {"sticker", "{\"file_id\":\"CAAC@\",\"file_unique_id\":\"AgAD@\",\"type\":\"regular\",\"width\":512,"
                "\"height\":512,\"is_animated\":false,\"is_video\":false,\"emoji\":\"\xf0\x9f\x90\x9f\",\"set_name\":"
                "\"ShoalOfFish\",\"file_size\":16384}"},
    {"document", "{\"file_id\":\"BQAC@\",\"file_unique_id\":\"AgAE@\",\"file_name\":\"notes.pdf\",\"mime_type\":"
                 "\"application/pdf\",\"file_size\":48211}"},
    {"voice", "{\"file_id\":\"AwAC@\",\"file_unique_id\":\"AgAF@\",\"duration\":4,\"mime_type\":\"audio/ogg\","
              "\"file_size\":15120}"},
    {"audio", "{\"file_id\":\"CQAC@\",\"file_unique_id\":\"AgAG@\",\"duration\":180,\"performer\":\"The Shoal\","
              "\"title\":\"Low Tide\",\"mime_type\":\"audio/mpeg\",\"file_size\":2880000}"},
    {"video", "{\"file_id\":\"BAAC@\",\"file_unique_id\":\"AgAH@\",\"width\":1280,\"height\":720,\"duration\":12,"
              "\"mime_type\":\"video/mp4\",\"file_size\":921600}"},
    {"animation", "{\"file_id\":\"CgAC@\",\"file_unique_id\":\"AgAI@\",\"width\":320,\"height\":240,"
                  "\"duration\":3,\"mime_type\":\"video/mp4\",\"file_size\":51200}"},
    {"video_note", "{\"file_id\":\"DQAC@\",\"file_unique_id\":\"AgAJ@\",\"length\":240,\"duration\":6,"
                   "\"file_size\":204800}"},
    {"location", "{\"latitude\":53.541,\"longitude\":9.984}"},
    {"contact", "{\"phone_number\":\"+15550100\",\"first_name\":\"Sam\"}"},
};
const char *const tg_media_kinds =
    "photo, sticker, document, voice, audio, video, animation, video_note, location, contact";

const char *tg_media_json(struct arena *a, const char *kind)
{
	const char *format = NULL;
	char id[33];
	struct buf b;

	for (size_t i = 0; i < sizeof(media) / sizeof(media[0]); i++) {
		if (strcmp(kind, media[i].kind) == 0)
			format = media[i].format;
	}
	if (!format)
		return NULL;
	random_hex(id, 16);
	buf_init(&b, 4096);
	for (; *format; format++) {
		if (*format == '@')
			buf_adds(&b, id);
		else
			buf_addc(&b, *format);
	}
	const char *json = arena_strndup(a, b.ptr, b.len);
	buf_release(&b);
	return json;
}
