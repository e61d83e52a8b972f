/* People, commands and what is typed in them. */
#include "shoal/sim/discord_deeds.h"

#include <string.h>

#include "shoal/base/clock.h"
#include "shoal/sim/discord_call.h"
#include "shoal/sim/discord_interaction.h"
#include "shoal/sim/discord_object.h"
#include "shoal/sim/discord_shapes.h"

#define NAME_UNITS 32
#define COMMAND_TYPE 1 /* typed, not chosen from the menu of a person or a message */

/* --- what the deeds share */

void *dc_refuse(struct dc_deed *d, int status, const char *why)
{
	d->status = status;
	d->why = why;
	return NULL;
}

bool dc_spec_id(struct dc_deed *d, const cJSON *spec, const char *name, int64_t *out)
{
	if (dc_member_id(spec, name, out) || (json_i64(spec, name, out) && *out > 0))
		return true;
	dc_refuse(d, 422, arena_printf(d->arena, "%s: an id of Discord, a string of digits, is needed", name));
	return false;
}

bool dc_spec_force(const cJSON *spec)
{
	return cJSON_IsTrue(json_get(spec, "force"));
}

bool dc_deed_user(struct dc_deed *d, const cJSON *spec, struct dc_user **out)
{
	const char *name = json_str(spec, "name"), *username = json_str(spec, "username");
	int64_t id = 0;

	if (json_get(spec, "id") && !dc_spec_id(d, spec, "id", &id))
		return false;
	if (!id && (!name || !*name)) {
		dc_refuse(d, 422, "name: a new person needs one");
		return false;
	}
	if ((name && utf8_utf16_len(span_of(name)) > NAME_UNITS) || (username && strlen(username) > NAME_UNITS)) {
		dc_refuse(d, 422, "name, username: at most 32 characters");
		return false;
	}
	*out = dc_put_user(d->discord, id ? id : dc_snowflake(), name, username);
	json_bool(spec, "closed", &(*out)->closed);
	return true;
}

/* Whoever acts is there from then on. */
struct dc_user *dc_spec_user(struct dc_deed *d, const cJSON *spec)
{
	int64_t id;

	return dc_spec_id(d, spec, "user_id", &id) ? dc_put_user(d->discord, id, json_str(spec, "user_name"), NULL)
	                                           : NULL;
}

struct dc_interaction *dc_deed_send(struct dc_deed *d, struct dc_interaction *i, const char *name)
{
	struct sim *s = d->discord->sim;

	i->name = mem_strdup(name);
	i->data = mem_strdup(s->scratch.ptr);
	dc_send(i, dc_body(i, i->data));
	return i;
}

struct dc_interaction *dc_deed_ping(struct dc_deed *d, const cJSON *spec)
{
	struct dc_interaction *i = dc_add_interaction(d->discord, DC_PING, NULL, NULL);

	(void)spec;
	dc_send(i, dc_body(i, NULL));
	return i;
}

/* --- commands */

/* A command as it is being typed. */
struct typing {
	struct dc_deed *deed;
	bool registered;
	const cJSON *known; /* options as registered */
	bool force;
	const char *focus; /* option that is being typed, NULL: none */
};

static const cJSON *known_option(const struct typing *t, const char *name)
{
	const cJSON *o;

	cJSON_ArrayForEach(o, t->known)
	{
		const char *s = json_str(o, "name");

		if (s && strcmp(s, name) == 0)
			return o;
	}
	return NULL;
}

static int64_t type_of(const struct typing *t, const cJSON *value)
{
	const cJSON *o = known_option(t, value->string);
	int64_t type = DC_OPTION_STRING, n;

	if (json_i64(o, "type", &type))
		return type;
	if (cJSON_IsBool(value))
		return DC_OPTION_BOOLEAN;
	if (cJSON_IsNumber(value))
		return json_value_i64(value, &n) ? DC_OPTION_INTEGER : DC_OPTION_NUMBER;
	return DC_OPTION_STRING;
}

static bool is_choice(const cJSON *choices, const cJSON *value)
{
	const cJSON *c;

	cJSON_ArrayForEach(c, choices)
	{
		if (cJSON_Compare(json_get(c, "value"), value, true))
			return true;
	}
	return false;
}

/* What a client would not let a person send. */
static const char *objection(const struct typing *t, const cJSON *value)
{
	const cJSON *o = known_option(t, value->string), *choices = json_arr(o, "choices");
	int64_t type = type_of(t, value), least = 0, most = 6000, n;
	bool text = cJSON_IsString(value);

	if (!o)
		return t->registered ? "the command has no such option" : NULL;
	json_i64(o, "min_length", &least);
	json_i64(o, "max_length", &most);
	if (t->focus && strcmp(t->focus, value->string) == 0) /* not finished */
		return text ? NULL : "what is being typed is a text";
	if (type == DC_OPTION_STRING && !text)
		return "a text is needed";
	n = text ? (int64_t)utf8_utf16_len(span_of(value->valuestring)) : 0;
	if (type == DC_OPTION_STRING && (n < least || n > most || n == 0))
		return "the text is too short or too long";
	if (type == DC_OPTION_INTEGER && !json_value_i64(value, &n))
		return "an integer is needed";
	if (type == DC_OPTION_NUMBER && !cJSON_IsNumber(value))
		return "a number is needed";
	if (type == DC_OPTION_BOOLEAN && !cJSON_IsBool(value))
		return "true or false is needed";
	if (type == DC_OPTION_USER && (!dc_id(value, &n) || !dc_user(t->deed->discord, n)))
		return "the id of a person who is here is needed, as a string";
	if (cJSON_GetArraySize(choices) > 0 && !is_choice(choices, value))
		return "is none of the choices";
	return NULL;
}

static bool may_send(struct typing *t, const cJSON *options)
{
	const cJSON *o, *value;
	const char *why;

	if (t->force)
		return true;
	cJSON_ArrayForEach(value, options)
	{
		why = objection(t, value);
		if (why) {
			dc_refuse(t->deed, 422, arena_printf(t->deed->arena, "options.%s: %s", value->string, why));
			return false;
		}
	}
	cJSON_ArrayForEach(o, t->known)
	{
		const char *name = json_str(o, "name");

		if (!t->focus && cJSON_IsTrue(json_get(o, "required")) && !json_get(options, name)) {
			dc_refuse(t->deed, 422, arena_printf(t->deed->arena, "options.%s: is required", name));
			return false;
		}
	}
	return true;
}

static void put_options(struct json_writer *w, const struct typing *t, const cJSON *options)
{
	const cJSON *value;

	json_key(w, "options");
	json_begin_arr(w);
	cJSON_ArrayForEach(value, options)
	{
		json_begin_obj(w);
		json_kv_i64(w, "type", type_of(t, value));
		json_kv_str(w, "name", value->string);
		json_key(w, "value");
		json_put(w, value);
		if (t->focus && strcmp(t->focus, value->string) == 0)
			json_kv_bool(w, "focused", true);
		json_end_obj(w);
	}
	json_end_arr(w);
}

/* People who are meant by options come along whole. */
static void put_resolved(struct json_writer *w, const struct typing *t, const cJSON *options)
{
	struct discord *d = t->deed->discord;
	struct dc_user *people[25];
	size_t n = 0;
	const cJSON *value;
	char id[24];

	cJSON_ArrayForEach(value, options)
	{
		int64_t number;
		struct dc_user *u =
		    type_of(t, value) == DC_OPTION_USER && dc_id(value, &number) ? dc_user(d, number) : NULL;

		if (u && n < sizeof(people) / sizeof(people[0]))
			people[n++] = u;
	}
	if (n == 0)
		return;
	json_key(w, "resolved");
	json_begin_obj(w);
	for (int members = 0; members < 2; members++) {
		json_key(w, members ? "members" : "users");
		json_begin_obj(w);
		for (size_t k = 0; k < n; k++) {
			snprintf(id, sizeof(id), "%lld", (long long)people[k]->id);
			json_key(w, id);
			if (members)
				dc_write_member(w, people[k], false);
			else
				dc_write_user(w, people[k]);
		}
		json_end_obj(w);
	}
	json_end_obj(w);
}

static struct dc_interaction *type_command(struct dc_deed *d, const cJSON *spec, enum dc_kind kind, const char *focus)
{
	const char *name = json_str(spec, "name"), *why;
	const cJSON *options = json_obj(spec, "options"), *focused;
	struct dc_command *c = dc_command(d->discord, name);
	struct dc_user *u = dc_spec_user(d, spec);
	struct typing t = {.deed = d, .force = dc_spec_force(spec), .focus = focus, .registered = c != NULL};
	struct dc_interaction *i;
	struct json_writer w;

	if (!u)
		return NULL;
	if (!name || !*name)
		return dc_refuse(d, 422, "name: which command?");
	if (json_get(spec, "options") && !options)
		return dc_refuse(d, 422, "options: an object of names and values");
	t.known = c ? json_arr(json_parse(d->arena, span_of(c->json), &why), "options") : NULL;
	if (!may_send(&t, options))
		return NULL;
	i = dc_add_interaction(d->discord, kind, u,
	                       cJSON_IsTrue(json_get(spec, "dm")) ? dc_dm(d->discord, u) : d->discord->channel);
	focused = focus ? json_get(options, focus) : NULL;
	i->focus_type = focused ? (int)type_of(&t, focused) : 0;
	buf_clear(&d->discord->sim->scratch);
	json_writer_init(&w, &d->discord->sim->scratch);
	json_begin_obj(&w);
	json_kv_id(&w, "id", c ? c->id : i->id);
	json_kv_str(&w, "name", name);
	json_kv_i64(&w, "type", COMMAND_TYPE);
	put_options(&w, &t, options);
	put_resolved(&w, &t, options);
	json_end_obj(&w);
	return dc_deed_send(d, i, name);
}

struct dc_interaction *dc_deed_command(struct dc_deed *d, const cJSON *spec)
{
	return type_command(d, spec, DC_COMMAND, NULL);
}

struct dc_interaction *dc_deed_autocomplete(struct dc_deed *d, const cJSON *spec)
{
	const char *focus = json_str(spec, "option");

	if (!focus || !json_get(json_obj(spec, "options"), focus))
		return dc_refuse(d, 422, "option: which of the options is being typed?");
	return type_command(d, spec, DC_AUTOCOMPLETE, focus);
}
