/* An interaction as the gateway gets it. */
#include <stdio.h>

#include "shoal/sim/discord_interaction.h"
#include "shoal/sim/discord_object.h"

#define LOCALE "en-GB"
#define PERMISSIONS "2222085186641473"

enum { CONTEXT_GUILD = 0, CONTEXT_BOT_DM = 1 };

static void write_guild(struct json_writer *w, const struct discord *d)
{
	json_kv_id(w, "guild_id", d->guild);
	json_kv_str(w, "guild_locale", LOCALE);
	json_key(w, "guild");
	json_begin_obj(w);
	json_kv_id(w, "id", d->guild);
	json_kv_str(w, "locale", LOCALE);
	json_key(w, "features");
	json_put_raw(w, SPAN("[]"));
	json_end_obj(w);
}

/* Who did it and where. */
static void write_place(struct json_writer *w, const struct dc_interaction *i)
{
	struct discord *d = i->discord;
	bool in_guild = !i->channel->with;

	if (in_guild)
		write_guild(w, d);
	json_kv_id(w, "channel_id", i->channel->id);
	json_key(w, "channel");
	dc_write_channel(w, d, i->channel);
	json_key(w, in_guild ? "member" : "user");
	if (in_guild)
		dc_write_member(w, i->user, true);
	else
		dc_write_user(w, i->user);
	json_kv_i64(w, "context", in_guild ? CONTEXT_GUILD : CONTEXT_BOT_DM);
	json_key(w, "authorizing_integration_owners");
	json_begin_obj(w);
	json_kv_id(w, "0", in_guild ? d->guild : 0);
	json_end_obj(w);
}

struct span dc_body(struct dc_interaction *i, const char *data)
{
	struct discord *d = i->discord;
	struct dc_message *m = i->message ? dc_message(d, i->message) : NULL;
	struct json_writer w;

	buf_clear(&d->sim->scratch);
	json_writer_init(&w, &d->sim->scratch);
	json_begin_obj(&w);
	json_kv_id(&w, "id", i->id);
	json_kv_id(&w, "application_id", d->app_id);
	json_kv_i64(&w, "type", i->kind);
	json_kv_str(&w, "token", i->token);
	json_kv_i64(&w, "version", 1);
	if (i->user)
		write_place(&w, i);
	if (data) {
		json_key(&w, "data");
		json_put_raw(&w, span_of(data));
	}
	if (m) {
		json_key(&w, "message");
		dc_write_message(&w, d, m);
	}
	json_kv_str(&w, "app_permissions", PERMISSIONS);
	json_kv_str(&w, "locale", LOCALE);
	json_key(&w, "entitlements");
	json_put_raw(&w, SPAN("[]"));
	json_kv_i64(&w, "attachment_size_limit", 10485760);
	json_end_obj(&w);
	return buf_span(&d->sim->scratch);
}
