/* Buttons and menus of messages, and modals that are handed in. */
#include <string.h>

#include "shoal/sim/discord_deeds.h"
#include "shoal/sim/discord_interaction.h"
#include "shoal/sim/discord_object.h"
#include "shoal/sim/discord_shapes.h"

static struct json_writer begin(struct dc_deed *d)
{
	struct json_writer w;

	buf_clear(&d->discord->sim->scratch);
	json_writer_init(&w, &d->discord->sim->scratch);
	return w;
}

static void kv_put(struct json_writer *w, const char *name, const cJSON *v)
{
	json_key(w, name);
	json_put(w, v);
}

static int64_t number(const cJSON *obj, const char *name, int64_t fallback)
{
	json_i64(obj, name, &fallback);
	return fallback;
}

/* --- choices in menus */

static bool has_option(const cJSON *menu, const cJSON *value)
{
	const cJSON *o;

	cJSON_ArrayForEach(o, json_arr(menu, "options"))
	{
		const char *s = json_str(o, "value");

		if (s && cJSON_IsString(value) && strcmp(s, value->valuestring) == 0)
			return true;
	}
	return false;
}

/* least: how many there must be. NULL: fine. */
static const char *check_values(struct dc_deed *d, const cJSON *menu, const cJSON *values, int64_t least)
{
	int64_t n = cJSON_GetArraySize(values), id;
	const cJSON *v;

	if (!cJSON_IsArray(values))
		return "values: a list is needed";
	if (n < least || n > number(menu, "max_values", 1))
		return "values: too few or too many";
	cJSON_ArrayForEach(v, values)
	{
		if (number(menu, "type", 0) == DC_SELECT && !has_option(menu, v))
			return "values: one is no option of the menu";
		if (number(menu, "type", 0) == DC_SELECT_USER && (!dc_id(v, &id) || !dc_user(d->discord, id)))
			return "values: one is not the id of a person who is here";
	}
	return NULL;
}

/* --- presses */

static const char *check_press(struct dc_deed *d, const cJSON *component, const cJSON *spec)
{
	int64_t type = number(component, "type", 0);

	if (!component)
		return "custom_id: the message has no such component";
	if (cJSON_IsTrue(json_get(component, "disabled")))
		return "custom_id: it is disabled";
	if (dc_is_select(type))
		return check_values(d, component, json_get(spec, "values"), number(component, "min_values", 1));
	return json_get(spec, "values") ? "values: a button has none" : NULL;
}

static struct dc_interaction *press_once(struct dc_deed *d, const cJSON *spec, struct dc_user *u, struct dc_message *m,
                                         const cJSON *component)
{
	const char *custom_id = json_str(spec, "custom_id");
	const cJSON *values = json_arr(spec, "values");
	struct dc_interaction *i = dc_add_interaction(d->discord, DC_COMPONENT, u, m->channel);
	struct json_writer w = begin(d);

	i->message = m->id;
	json_begin_obj(&w);
	json_kv_str(&w, "custom_id", custom_id);
	json_kv_i64(&w, "component_type", number(component, "type", values ? DC_SELECT : DC_BUTTON));
	json_kv_i64(&w, "id", number(component, "id", 0));
	if (values)
		kv_put(&w, "values", values);
	json_end_obj(&w);
	return dc_deed_send(d, i, custom_id);
}

struct dc_interaction *dc_deed_press(struct dc_deed *d, const cJSON *spec)
{
	const char *custom_id = json_str(spec, "custom_id"), *why;
	struct dc_user *u = dc_spec_user(d, spec);
	struct dc_interaction *i = NULL;
	const cJSON *component;
	struct dc_message *m;
	int64_t id, times = number(spec, "times", 1);

	if (!u || !dc_spec_id(d, spec, "message_id", &id))
		return NULL;
	m = dc_message(d->discord, id);
	if (!m || !dc_sees(u, m))
		return dc_refuse(d, 404, "message_id: this person sees no such message");
	if (!custom_id || !*custom_id)
		return dc_refuse(d, 422, "custom_id: which component?");
	if (times < 1 || times > 100)
		return dc_refuse(d, 422, "times: 1 to 100");
	component =
	    m->components ? dc_find_component(json_parse(d->arena, span_of(m->components), &why), custom_id) : NULL;
	why = dc_spec_force(spec) ? NULL : check_press(d, component, spec);
	if (why)
		return dc_refuse(d, component && cJSON_IsTrue(json_get(component, "disabled")) ? 409 : 422, why);
	for (; times > 0; times--)
		i = press_once(d, spec, u, m, component);
	return i;
}

/* --- modals */

/* Each field of the modal with what it is given, written as the platform sends it. NULL: fine. */
static const char *put_field(struct dc_deed *d, struct json_writer *w, const cJSON *field, int64_t id,
                             const cJSON *given, bool force)
{
	int64_t type = number(field, "type", 0), units;
	bool required = !cJSON_IsFalse(json_get(field, "required")), menu = dc_is_select(type);
	const char *name = json_str(field, "custom_id"), *text = cJSON_GetStringValue(given), *why = NULL;

	json_begin_obj(w);
	json_kv_i64(w, "type", type);
	json_kv_i64(w, "id", number(field, "id", id));
	json_kv_str(w, "custom_id", name);
	json_key(w, menu ? "values" : "value");
	if (given)
		json_put(w, given);
	else
		json_put_raw(w, menu ? SPAN("[]") : SPAN("\"\""));
	json_end_obj(w);
	if (force)
		return NULL;
	if (menu && (given || required))
		why = check_values(d, field, given, required ? number(field, "min_values", 1) : 0);
	if (!menu && given && !text)
		why = "a text is needed";
	units = !menu && text ? (int64_t)utf8_utf16_len(span_of(text)) : 0;
	if (!menu && !why && required && units == 0)
		why = "is required";
	if (!menu && !why && units > 0 &&
	    (units < number(field, "min_length", 0) || units > number(field, "max_length", 4000)))
		why = "the text is too short or too long";
	return why ? arena_printf(d->arena, "fields.%s: %s", name, why) : NULL;
}

static const char *put_part(struct dc_deed *d, struct json_writer *w, const cJSON *part, int64_t *id,
                            const cJSON *fields, bool force)
{
	const cJSON *in_label = json_obj(part, "component");
	const cJSON *field = in_label ? in_label : cJSON_GetArrayItem(json_arr(part, "components"), 0);
	const char *why;

	if (!field)
		return NULL; /* a text */
	json_begin_obj(w);
	json_kv_i64(w, "type", number(part, "type", 0));
	json_kv_i64(w, "id", number(part, "id", ++*id));
	json_key(w, in_label ? "component" : "components");
	if (!in_label)
		json_begin_arr(w);
	why = put_field(d, w, field, ++*id, json_get(fields, json_str(field, "custom_id")), force);
	if (!in_label)
		json_end_arr(w);
	json_end_obj(w);
	return why;
}

static const char *put_modal(struct dc_deed *d, struct json_writer *w, const cJSON *modal, const cJSON *fields,
                             bool force)
{
	const cJSON *part, *given;
	const char *why = NULL;
	int64_t id = 0;

	cJSON_ArrayForEach(given, fields)
	{
		if (!why && !force && !dc_find_component(json_arr(modal, "components"), given->string))
			why = arena_printf(d->arena, "fields.%s: the modal has no such field", given->string);
	}
	json_begin_obj(w);
	json_kv_str(w, "custom_id", json_str(modal, "custom_id"));
	json_key(w, "components");
	json_begin_arr(w);
	cJSON_ArrayForEach(part, json_arr(modal, "components"))
	{
		const char *wrong = put_part(d, w, part, &id, fields, force);

		why = why ? why : wrong;
	}
	json_end_arr(w);
	json_end_obj(w);
	return why;
}

struct dc_interaction *dc_deed_submit(struct dc_deed *d, const cJSON *spec)
{
	struct dc_user *u = dc_spec_user(d, spec);
	struct dc_interaction *opened, *i;
	struct json_writer w;
	const cJSON *modal;
	const char *why;
	int64_t id;

	if (!u || !dc_spec_id(d, spec, "interaction_id", &id))
		return NULL;
	opened = dc_interaction(d->discord, id);
	if (!opened || opened->user != u || opened->state != DC_ANSWERED || opened->answer_type != 9)
		return dc_refuse(d, 404, "interaction_id: it opened no modal for this person");
	if (opened->submitted && !dc_spec_force(spec))
		return dc_refuse(d, 409, "interaction_id: its modal is closed");
	modal = json_parse(d->arena, span_of(opened->answer), &why);
	w = begin(d);
	why = put_modal(d, &w, modal, json_obj(spec, "fields"), dc_spec_force(spec));
	if (why)
		return dc_refuse(d, 422, why);
	opened->submitted = true;
	i = dc_add_interaction(d->discord, DC_SUBMIT, u, opened->channel);
	i->message = opened->message;
	return dc_deed_send(d, i, json_str(modal, "custom_id"));
}
