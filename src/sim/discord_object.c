/* Discord's objects as JSON. */
#include "shoal/sim/discord_object.h"

#include <stdlib.h>
#include <string.h>

#include "shoal/base/arena.h"

enum { CHANNEL_GUILD = 0, CHANNEL_DM = 1 };

static void kv_null(struct json_writer *w, const char *name)
{
	json_key(w, name);
	json_put_null(w);
}

static void kv_raw(struct json_writer *w, const char *name, const char *json)
{
	json_key(w, name);
	json_put_raw(w, span_of(json));
}

static void kv_time(struct json_writer *w, const char *name, int64_t ms)
{
	char text[40];

	if (ms == 0) {
		kv_null(w, name);
		return;
	}
	dc_time(ms, text, sizeof(text));
	json_kv_str(w, name, text);
}

/* --- who */

static void user_members(struct json_writer *w, const struct dc_user *u)
{
	json_kv_id(w, "id", u->id);
	json_kv_str(w, "username", u->username);
	json_kv_str(w, "discriminator", "0");
	json_kv_str(w, "global_name", u->name);
	kv_null(w, "avatar");
	json_kv_i64(w, "public_flags", 0);
}

void dc_write_user(struct json_writer *w, const struct dc_user *u)
{
	json_begin_obj(w);
	user_members(w, u);
	json_end_obj(w);
}

void dc_write_bot(struct json_writer *w, const struct discord *d)
{
	json_begin_obj(w);
	json_kv_id(w, "id", d->app_id);
	json_kv_str(w, "username", d->name);
	json_kv_str(w, "discriminator", "0");
	kv_null(w, "global_name");
	kv_null(w, "avatar");
	json_kv_bool(w, "bot", true);
	json_kv_i64(w, "public_flags", 0);
	json_kv_i64(w, "flags", 0);
	json_end_obj(w);
}

void dc_write_member(struct json_writer *w, const struct dc_user *u, bool with_user)
{
	json_begin_obj(w);
	if (with_user) {
		json_key(w, "user");
		dc_write_user(w, u);
	}
	kv_null(w, "nick");
	kv_null(w, "avatar");
	kv_raw(w, "roles", "[]");
	kv_time(w, "joined_at", u->joined_ms);
	kv_null(w, "premium_since");
	json_kv_bool(w, "deaf", false);
	json_kv_bool(w, "mute", false);
	json_kv_bool(w, "pending", false);
	json_kv_i64(w, "flags", 0);
	kv_null(w, "communication_disabled_until");
	json_kv_str(w, "permissions", "2222085186641473");
	json_end_obj(w);
}

/* --- where */

void dc_write_channel(struct json_writer *w, const struct discord *d, const struct dc_channel *c)
{
	json_begin_obj(w);
	json_kv_id(w, "id", c->id);
	json_kv_i64(w, "type", c->with ? CHANNEL_DM : CHANNEL_GUILD);
	kv_null(w, "last_message_id");
	json_kv_i64(w, "flags", 0);
	if (c->with) {
		json_key(w, "recipients");
		json_begin_arr(w);
		dc_write_user(w, c->with);
		json_end_arr(w);
	} else {
		json_kv_id(w, "guild_id", d->guild);
		json_kv_str(w, "name", c->name);
		json_kv_i64(w, "position", 0);
		json_kv_bool(w, "nsfw", false);
		json_kv_i64(w, "rate_limit_per_user", 0);
		kv_null(w, "topic");
		kv_null(w, "parent_id");
		kv_raw(w, "permission_overwrites", "[]");
	}
	json_end_obj(w);
}

/* --- messages */

static void write_mentions(struct json_writer *w, struct discord *d, const struct dc_message *m)
{
	struct arena a;
	const char *why;
	const cJSON *list, *id;
	int64_t n;

	arena_init(&a);
	list = m->mentions ? json_parse(&a, span_of(m->mentions), &why) : NULL;
	json_key(w, "mentions");
	json_begin_arr(w);
	cJSON_ArrayForEach(id, list)
	{
		struct dc_user *u = dc_id(id, &n) ? dc_user(d, n) : NULL;

		if (u)
			dc_write_user(w, u);
	}
	json_end_arr(w);
	arena_release(&a);
}

/* Who did what that the message came of. */
static void write_origin(struct json_writer *w, struct discord *d, const struct dc_message *m)
{
	const struct dc_interaction *i = dc_interaction(d, m->interaction);

	json_kv_id(w, "webhook_id", d->app_id);
	if (!i)
		return;
	json_key(w, "interaction_metadata");
	json_begin_obj(w);
	json_kv_id(w, "id", i->id);
	json_kv_i64(w, "type", i->kind);
	if (i->kind == DC_COMMAND)
		json_kv_str(w, "name", i->name);
	json_key(w, "user");
	dc_write_user(w, i->user);
	kv_raw(w, "authorizing_integration_owners", "{}");
	json_end_obj(w);
}

void dc_message_members(struct json_writer *w, struct discord *d, const struct dc_message *m)
{
	json_kv_id(w, "id", m->id);
	json_kv_i64(w, "type", m->type);
	json_kv_id(w, "channel_id", m->channel->id);
	json_kv_id(w, "application_id", d->app_id);
	json_key(w, "author");
	dc_write_bot(w, d);
	json_kv_str(w, "content", m->content);
	kv_time(w, "timestamp", m->at_ms);
	kv_time(w, "edited_timestamp", m->edited_ms);
	json_kv_bool(w, "tts", false);
	json_kv_bool(w, "pinned", false);
	json_kv_bool(w, "mention_everyone", m->everyone);
	write_mentions(w, d, m);
	kv_raw(w, "mention_roles", "[]");
	kv_raw(w, "attachments", "[]");
	kv_raw(w, "embeds", m->embeds ? m->embeds : "[]");
	kv_raw(w, "components", m->components ? m->components : "[]");
	json_kv_i64(w, "flags", m->flags);
	if (m->nonce)
		kv_raw(w, "nonce", m->nonce);
	if (m->reply_to) {
		json_key(w, "message_reference");
		json_begin_obj(w);
		json_kv_id(w, "message_id", m->reply_to);
		json_kv_id(w, "channel_id", m->channel->id);
		json_end_obj(w);
	}
	if (m->interaction)
		write_origin(w, d, m);
}

void dc_write_message(struct json_writer *w, struct discord *d, const struct dc_message *m)
{
	json_begin_obj(w);
	dc_message_members(w, d, m);
	json_end_obj(w);
}
