/* Calls about messages of channels, and about the channels. */
#include <string.h>

#include "shoal/base/clock.h"
#include "shoal/sim/discord_call.h"
#include "shoal/sim/discord_interaction.h"
#include "shoal/sim/discord_object.h"
#include "shoal/sim/discord_shapes.h"

#define NONCE_MS (3 * 60 * 1000) /* "in the past few minutes" */

/* Checks the body; false: refused. m: what it changes, NULL for a new one. */
static bool sound(struct dc_call *c, const struct dc_message *m)
{
	struct dc_check *check = dc_check_new(c->arena);

	dc_check_shape(check, &dc_shape_message, c->json);
	if (check->n)
		dc_invalid(c, check);
	else if (dc_would_be_empty(m, c->json))
		dc_fail(c, 400, 50006, "Cannot send an empty message");
	return c->status < 300;
}

/* The message was written by this call. */
static enum dc_outcome written(struct dc_call *c, struct dc_message *m)
{
	memcpy(m->worker, c->worker, sizeof(m->worker));
	c->message_id = m->id;
	dc_changed(c->discord, m);
	dc_write_message(&c->w, c->discord, m);
	return DC_DONE;
}

static struct dc_channel *channel_of(struct dc_call *c)
{
	struct dc_channel *channel = dc_channel(c->discord, c->ids[0]);

	if (!channel)
		dc_fail(c, 404, 10003, "Unknown Channel");
	return channel;
}

/* In its channel; not what only one person sees: that is reached by the token of its interaction alone. */
static struct dc_message *message_of(struct dc_call *c)
{
	struct dc_channel *channel = channel_of(c);
	struct dc_message *m = channel ? dc_message(c->discord, c->ids[1]) : NULL;

	c->message_id = c->ids[1];
	if (channel && (!m || m->channel != channel || m->only)) {
		dc_fail(c, 404, 10008, "Unknown Message");
		return NULL;
	}
	return m;
}

/* --- new ones */

/* The message that this call made before, where it asks for that. */
static struct dc_message *made_before(struct dc_call *c, const struct dc_channel *channel)
{
	const cJSON *nonce = json_get(c->json, "nonce");
	struct dc_message *m;

	if (!nonce || cJSON_IsNull(nonce) || !cJSON_IsTrue(json_get(c->json, "enforce_nonce")))
		return NULL;
	m = dc_by_nonce(c->discord, channel, dc_json(c->discord, nonce));
	return m && clock_wall_ms() - m->at_ms < NONCE_MS ? m : NULL;
}

static bool read_reference(struct dc_call *c, const struct dc_channel *channel, int64_t *out)
{
	const cJSON *reference = json_obj(c->json, "message_reference");
	const struct dc_message *m;
	int64_t id = 0;

	if (!reference)
		return true;
	dc_member_id(reference, "message_id", &id);
	m = dc_message(c->discord, id);
	if (m && m->channel == channel && !m->only) {
		*out = id;
		return true;
	}
	if (cJSON_IsFalse(json_get(reference, "fail_if_not_exists")))
		return true;
	struct dc_check *check = dc_check_new(c->arena);
	dc_wrong(check, "message_reference", "REPLIES_UNKNOWN_MESSAGE", "Unknown message");
	dc_invalid(c, check);
	return false;
}

enum dc_outcome dc_create_message(struct dc_call *c)
{
	struct dc_channel *channel = channel_of(c);
	struct dc_message *m;
	int64_t reply_to = 0;

	if (!channel || !sound(c, NULL) || !read_reference(c, channel, &reply_to))
		return DC_DONE;
	if (channel->with && channel->with->closed)
		return dc_fail(c, 403, 50007, "Cannot send messages to this user");
	m = made_before(c, channel);
	if (!m) {
		m = dc_add_message(c->discord, channel, NULL);
		m->reply_to = reply_to;
		m->type = reply_to ? 19 : 0;
		dc_fill(c->discord, m, c->json);
		dc_note_nonce(c->discord, m);
		return written(c, m);
	}
	c->message_id = m->id;
	dc_write_message(&c->w, c->discord, m);
	return DC_DONE;
}

/* --- known ones */

enum dc_outcome dc_get_message(struct dc_call *c)
{
	struct dc_message *m = message_of(c);

	if (m)
		dc_write_message(&c->w, c->discord, m);
	return DC_DONE;
}

enum dc_outcome dc_edit_message(struct dc_call *c)
{
	struct dc_message *m = message_of(c);

	if (!m || !sound(c, m))
		return DC_DONE;
	dc_fill(c->discord, m, c->json);
	m->edited_ms = clock_wall_ms();
	return written(c, m);
}

enum dc_outcome dc_delete_message(struct dc_call *c)
{
	struct dc_message *m = message_of(c);

	if (m)
		dc_delete(c->discord, m);
	return m ? dc_no_content(c) : DC_DONE;
}

/* --- channels */

enum dc_outcome dc_get_channel(struct dc_call *c)
{
	struct dc_channel *channel = channel_of(c);

	if (channel)
		dc_write_channel(&c->w, c->discord, channel);
	return DC_DONE;
}

enum dc_outcome dc_open_dm(struct dc_call *c)
{
	static const struct dc_field fields[] = {{"recipient_id", DC_SNOWFLAKE, true, 0, 0, NULL}, {0}};
	static const struct dc_shape shape = {fields, NULL};
	struct dc_check *check = dc_check_new(c->arena);
	struct dc_user *u;
	int64_t id = 0;

	dc_check_shape(check, &shape, c->json);
	if (check->n)
		return dc_invalid(c, check);
	if (!dc_member_id(c->json, "recipient_id", &id))
		json_i64(c->json, "recipient_id", &id);
	u = dc_user(c->discord, id);
	if (!u)
		return dc_fail(c, 400, 50033, "Invalid Recipient(s)");
	c->channel_id = dc_dm(c->discord, u)->id;
	dc_write_channel(&c->w, c->discord, u->dm);
	return DC_DONE;
}

/* --- by the token of an interaction */

/* Of what was waited for: the first edit or follow-up behind a deferral. */
static void fulfilled(struct dc_call *c, struct dc_message *m)
{
	struct dc_interaction *i = c->interaction;

	m->waited_us = clock_us() - i->sent_us;
	dc_fulfilled(i);
}

static enum dc_outcome edit(struct dc_call *c, struct dc_message *m)
{
	if (!sound(c, m))
		return DC_DONE;
	if (!(m->flags & DC_FLAG_LOADING))
		m->edited_ms = clock_wall_ms();
	dc_fill(c->discord, m, c->json);
	c->interaction->edits++;
	fulfilled(c, m);
	return written(c, m);
}

static struct dc_message *original(struct dc_call *c)
{
	struct dc_message *m = dc_message(c->discord, c->interaction->original);

	if (!m)
		dc_fail(c, 404, 10008, "Unknown Message");
	return m;
}

/* Of this interaction, and not what it began with. */
static struct dc_message *followup(struct dc_call *c)
{
	struct dc_message *m = dc_message(c->discord, c->ids[1]);

	c->message_id = c->ids[1];
	if (m && m->interaction == c->interaction->id)
		return m;
	dc_fail(c, 404, 10008, "Unknown Message");
	return NULL;
}

static enum dc_outcome show(struct dc_call *c, const struct dc_message *m)
{
	if (m)
		dc_write_message(&c->w, c->discord, m);
	return DC_DONE;
}

static enum dc_outcome remove_it(struct dc_call *c, struct dc_message *m)
{
	if (!m)
		return DC_DONE;
	c->message_id = m->id;
	dc_delete(c->discord, m);
	return dc_no_content(c);
}

enum dc_outcome dc_create_followup(struct dc_call *c)
{
	struct dc_interaction *i = c->interaction;
	struct dc_message *m = i->deferred ? dc_message(c->discord, i->original) : NULL;
	int64_t flags = 0;

	if (m) /* the first one fills what says that the bot is thinking */
		return edit(c, m);
	if (!sound(c, NULL))
		return DC_DONE;
	json_i64(c->json, "flags", &flags);
	m = dc_add_message(c->discord, i->channel, flags & DC_FLAG_EPHEMERAL ? i->user : NULL);
	m->flags = flags & (DC_FLAG_EPHEMERAL | DC_FLAG_SILENT);
	m->type = 19;
	m->interaction = i->id;
	m->reply_to = i->original;
	dc_fill(c->discord, m, c->json);
	i->followups++;
	fulfilled(c, m);
	return written(c, m);
}

enum dc_outcome dc_get_original(struct dc_call *c)
{
	return show(c, original(c));
}

enum dc_outcome dc_edit_original(struct dc_call *c)
{
	struct dc_message *m = original(c);

	return m ? edit(c, m) : DC_DONE;
}

enum dc_outcome dc_delete_original(struct dc_call *c)
{
	return remove_it(c, original(c));
}

enum dc_outcome dc_get_followup(struct dc_call *c)
{
	return show(c, followup(c));
}

enum dc_outcome dc_edit_followup(struct dc_call *c)
{
	struct dc_message *m = followup(c);

	return m ? edit(c, m) : DC_DONE;
}

enum dc_outcome dc_delete_followup(struct dc_call *c)
{
	return remove_it(c, followup(c));
}
