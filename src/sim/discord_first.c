/* First responses: which interaction may have which, what each holds, what it does. */
#include <stdlib.h>
#include <string.h>

#include "shoal/base/clock.h"
#include "shoal/sim/discord_interaction.h"
#include "shoal/sim/discord_object.h"
#include "shoal/sim/discord_shapes.h"

enum {
	PONG = 1,
	MESSAGE = 4,
	MESSAGE_LATER,
	UPDATE_LATER,
	UPDATE,
	CHOICES,
	MODAL,
	TYPES,
};

#define MESSAGE_TYPE_COMMAND 20
#define MESSAGE_TYPE_REPLY 19

/* --- what each response does */

static struct dc_message *new_message(struct dc_interaction *i, int64_t flags)
{
	struct discord *d = i->discord;
	struct dc_message *m = dc_add_message(d, i->channel, flags & DC_FLAG_EPHEMERAL ? i->user : NULL);

	m->type = i->kind == DC_COMMAND ? MESSAGE_TYPE_COMMAND : MESSAGE_TYPE_REPLY;
	m->interaction = i->id;
	m->flags = flags & (DC_FLAG_EPHEMERAL | DC_FLAG_SILENT | DC_FLAG_LOADING);
	m->waited_us = clock_us() - i->sent_us;
	i->original = m->id;
	return m;
}

static int64_t flags_of(const cJSON *data)
{
	int64_t flags = 0;

	json_i64(data, "flags", &flags);
	return flags & ~(int64_t)DC_FLAG_LOADING;
}

static void do_message(struct dc_interaction *i, const cJSON *data)
{
	struct dc_message *m = new_message(i, flags_of(data));

	dc_fill(i->discord, m, data);
	dc_changed(i->discord, m);
}

static void do_message_later(struct dc_interaction *i, const cJSON *data)
{
	i->deferred = true;
	dc_changed(i->discord, new_message(i, flags_of(data) | DC_FLAG_LOADING));
}

static void do_update_later(struct dc_interaction *i, const cJSON *data)
{
	(void)data;
	i->original = i->message;
}

static void do_update(struct dc_interaction *i, const cJSON *data)
{
	struct dc_message *m = dc_message(i->discord, i->message);

	i->original = i->message;
	if (!m)
		return;
	dc_fill(i->discord, m, data);
	m->edited_ms = clock_wall_ms();
	dc_changed(i->discord, m);
}

/* --- what each must hold */

static void check_message(struct dc_check *c, const struct dc_interaction *i, const cJSON *data)
{
	(void)i;
	dc_check_shape(c, &dc_shape_message, data);
	if (dc_would_be_empty(NULL, data))
		dc_wrong(c, NULL, "EMPTY", "Cannot send an empty message");
}

static void check_deferral(struct dc_check *c, const struct dc_interaction *i, const cJSON *data)
{
	(void)i;
	if (data)
		dc_check_shape(c, &dc_shape_deferral, data);
}

static void check_update(struct dc_check *c, const struct dc_interaction *i, const cJSON *data)
{
	dc_check_shape(c, &dc_shape_message, data);
	if (dc_would_be_empty(dc_message(i->discord, i->message), data))
		dc_wrong(c, NULL, "EMPTY", "Cannot send an empty message");
}

static void check_choices(struct dc_check *c, const struct dc_interaction *i, const cJSON *data)
{
	dc_check_choices(c, data, i->focus_type);
}

static void check_modal(struct dc_check *c, const struct dc_interaction *i, const cJSON *data)
{
	(void)i;
	dc_check_shape(c, &dc_shape_modal, data);
}

#define BIT(kind) (1u << (kind))
static const struct response {
	unsigned kinds;  /* of interactions that may have it */
	bool on_message; /* only where the interaction came of a message */
	bool data;       /* must be there */
	void (*check)(struct dc_check *c, const struct dc_interaction *i, const cJSON *data);
	void (*apply)(struct dc_interaction *i, const cJSON *data);
} responses[TYPES] = {
    [PONG] = {BIT(DC_PING), false, false, NULL, NULL},
    [MESSAGE] = {BIT(DC_COMMAND) | BIT(DC_COMPONENT) | BIT(DC_SUBMIT), false, true, check_message, do_message},
    [MESSAGE_LATER] = {BIT(DC_COMMAND) | BIT(DC_COMPONENT) | BIT(DC_SUBMIT), false, false, check_deferral,
                       do_message_later},
    [UPDATE_LATER] = {BIT(DC_COMPONENT) | BIT(DC_SUBMIT), true, false, NULL, do_update_later},
    [UPDATE] = {BIT(DC_COMPONENT) | BIT(DC_SUBMIT), true, true, check_update, do_update},
    [CHOICES] = {BIT(DC_AUTOCOMPLETE), false, true, check_choices, NULL},
    [MODAL] = {BIT(DC_COMMAND) | BIT(DC_COMPONENT), false, true, check_modal, NULL},
};

const char *dc_take_response(struct dc_interaction *i, struct span body, struct arena *a)
{
	struct dc_check *check = dc_check_new(a);
	const char *why;
	const cJSON *root = json_parse(a, body, &why), *data = json_get(root, "data");
	const struct response *r;

	if (!root)
		return arena_printf(a, "the response is no JSON: %s", why);
	if (!cJSON_IsObject(root) || !json_i64(root, "type", &i->answer_type))
		return "the response is no object with an integer as type";
	if (data)
		message_set(&i->answer, dc_json(i->discord, data));
	if (i->answer_type < 1 || i->answer_type >= TYPES || !responses[i->answer_type].kinds)
		return arena_printf(a, "type %lld is no response", (long long)i->answer_type);
	r = &responses[i->answer_type];
	if (!(r->kinds & BIT(i->kind)) || (r->on_message && !i->message))
		return arena_printf(a, "type %lld is no response to this interaction", (long long)i->answer_type);
	if (data && !cJSON_IsNull(data) && !cJSON_IsObject(data))
		return "data is no object";
	if (r->data && !cJSON_IsObject(data))
		return "data is missing";
	if (r->check)
		r->check(check, i, cJSON_IsObject(data) ? data : NULL);
	if (check->n)
		return dc_check_text(check);
	if (r->apply)
		r->apply(i, cJSON_IsObject(data) ? data : NULL);
	return NULL;
}
