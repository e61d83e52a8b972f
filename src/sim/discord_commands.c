/* Commands of an application, as it registers them. */
#include <stdlib.h>
#include <string.h>

#include "shoal/sim/discord.h"
#include "shoal/sim/discord_call.h"
#include "shoal/sim/discord_shapes.h"

#define COMMANDS_MAX 100
#define DEPTH_MAX 3

/* --- what Discord takes */

static void check_name(struct dc_check *c, const cJSON *v)
{
	const char *name = json_str(v, "name");
	int64_t type = 1;

	json_i64(v, "type", &type);
	if (!name)
		return;
	for (const char *p = name; *p; p++) {
		bool letter = (*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || strchr("-_'", *p) ||
		              (unsigned char)*p >= 0x80;

		if (!letter) {
			dc_wrong(c, "name", "APPLICATION_COMMAND_INVALID_NAME", "Command name is invalid");
			return;
		}
	}
}

static void check_options(struct dc_check *c, const cJSON *options)
{
	const cJSON *o, *before;
	bool optional = false;

	cJSON_ArrayForEach(o, options)
	{
		bool required = cJSON_IsTrue(json_get(o, "required"));

		if (required && optional) {
			dc_wrong(c, "options", "APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID",
			         "Required options must be placed before non-required options");
			return;
		}
		optional = optional || !required;
		for (before = options->child; before != o; before = before->next) {
			const char *a = json_str(before, "name"), *b = json_str(o, "name");

			if (a && b && strcmp(a, b) == 0)
				dc_wrong(c, "options", "APPLICATION_COMMAND_OPTIONS_NAME_DUPLICATED",
				         "Option names must be unique");
		}
	}
}

static const struct dc_shape *choice_shape(int64_t type)
{
	return type == DC_OPTION_INTEGER  ? &dc_shape_choice_integer
	       : type == DC_OPTION_NUMBER ? &dc_shape_choice_number
	       : type == DC_OPTION_STRING ? &dc_shape_choice_string
	                                  : NULL;
}

static void check_option(struct dc_check *c, const cJSON *v);
static const struct dc_shape option_shape;

static const struct dc_field option_fields[] = {
    {"type", DC_INT, true, 1, 11, NULL},
    {"name", DC_STRING, true, 1, 32, NULL},
    {"description", DC_STRING, true, 1, 100, NULL},
    {"required", DC_BOOL, false, 0, 0, NULL},
    {"choices", DC_LIST, false, 0, 25, NULL},
    {"options", DC_LIST, false, 0, 25, &option_shape},
    {"channel_types", DC_LIST, false, 0, 25, NULL},
    {"min_value", DC_NUMBER, false, 0, 0, NULL},
    {"max_value", DC_NUMBER, false, 0, 0, NULL},
    {"min_length", DC_INT, false, 0, 6000, NULL},
    {"max_length", DC_INT, false, 1, 6000, NULL},
    {"autocomplete", DC_BOOL, false, 0, 0, NULL},
    {"name_localizations", DC_OBJECT, false, 0, 0, NULL},
    {"description_localizations", DC_OBJECT, false, 0, 0, NULL},
    {0},
};
static const struct dc_shape option_shape = {option_fields, check_option};

static void check_option(struct dc_check *c, const cJSON *v)
{
	const cJSON *choices = json_arr(v, "choices");
	bool completes = cJSON_IsTrue(json_get(v, "autocomplete"));
	int64_t type = 0;

	json_i64(v, "type", &type);
	check_name(c, v);
	check_options(c, json_arr(v, "options"));
	if ((choices || completes) && !choice_shape(type))
		dc_wrong(c, "type", "APPLICATION_COMMAND_OPTION_CHOICES_TYPE_INVALID",
		         "only texts and numbers have choices");
	else if (choices)
		dc_check_each(c, "choices", choice_shape(type), choices);
	if (completes && cJSON_GetArraySize(choices) > 0)
		dc_wrong(c, "autocomplete", "APPLICATION_COMMAND_AUTOCOMPLETE_CHOICES",
		         "choices and autocomplete exclude each other");
	if (type != DC_OPTION_STRING && (json_get(v, "min_length") || json_get(v, "max_length")))
		dc_wrong(c, "type", "APPLICATION_COMMAND_OPTION_LENGTH_TYPE_INVALID", "only texts have a length");
}

static const struct dc_field command_fields[] = {
    {"name", DC_STRING, true, 1, 32, NULL},
    {"type", DC_INT, false, 1, 4, NULL},
    {"description", DC_STRING, false, 0, 100, NULL},
    {"options", DC_LIST, false, 0, 25, &option_shape},
    {"default_member_permissions", DC_STRING, false, 0, 0, NULL},
    {"dm_permission", DC_BOOL, false, 0, 0, NULL},
    {"nsfw", DC_BOOL, false, 0, 0, NULL},
    {"contexts", DC_LIST, false, 0, 3, NULL},
    {"integration_types", DC_LIST, false, 0, 2, NULL},
    {"name_localizations", DC_OBJECT, false, 0, 0, NULL},
    {"description_localizations", DC_OBJECT, false, 0, 0, NULL},
    {0},
};

static void check_command(struct dc_check *c, const cJSON *v)
{
	int64_t type = 1;

	json_i64(v, "type", &type);
	if (type == 1)
		check_name(c, v);
	if (type == 1 && (!json_str(v, "description") || !*json_str(v, "description")))
		dc_missing(c, "description");
	check_options(c, json_arr(v, "options"));
}
const struct dc_shape dc_shape_command = {command_fields, check_command};

/* --- keeping them */

struct dc_command *dc_command(const struct discord *d, const char *name)
{
	for (struct dc_command *c = d->commands; c && name; c = c->next) {
		if (strcmp(c->name, name) == 0)
			return c;
	}
	return NULL;
}

static void command_free(struct dc_command *c)
{
	free(c->name);
	free(c->json);
	free(c);
}

/* A command of the same name keeps its id. */
static struct dc_command *make(struct discord *d, const cJSON *v)
{
	const struct dc_command *known = dc_command(d, json_str(v, "name"));
	struct dc_command *c = mem_zalloc(sizeof(*c));

	c->id = known ? known->id : dc_snowflake();
	c->version = dc_snowflake();
	c->name = mem_strdup(json_str(v, "name"));
	c->json = mem_strdup(dc_json(d, v));
	return c;
}

static void replace_all(struct discord *d, const cJSON *list)
{
	struct dc_command *all = NULL, **end = &all, *next;
	const cJSON *v;

	cJSON_ArrayForEach(v, list)
	{
		*end = make(d, v);
		end = &(*end)->next;
	}
	for (struct dc_command *c = d->commands; c; c = next) {
		next = c->next;
		command_free(c);
	}
	d->commands = all;
}

static void write_command(struct json_writer *w, const struct discord *d, const struct dc_command *c,
                          const cJSON *given)
{
	static const char *const own[] = {"id", "application_id", "version", "type", NULL};
	int64_t type = 1;
	const cJSON *m;

	json_i64(given, "type", &type);
	json_begin_obj(w);
	json_kv_id(w, "id", c->id);
	json_kv_id(w, "application_id", d->app_id);
	json_kv_id(w, "version", c->version);
	json_kv_i64(w, "type", type);
	cJSON_ArrayForEach(m, given)
	{
		bool ours = false;

		for (size_t i = 0; own[i]; i++)
			ours = ours || strcmp(own[i], m->string) == 0;
		if (ours)
			continue;
		json_key(w, m->string);
		json_put(w, m);
	}
	json_end_obj(w);
}

void dc_write_commands(struct json_writer *w, const struct discord *d)
{
	struct arena a;
	const char *why;

	arena_init(&a);
	json_begin_arr(w);
	for (const struct dc_command *c = d->commands; c; c = c->next)
		write_command(w, d, c, json_parse(&a, span_of(c->json), &why));
	json_end_arr(w);
	arena_release(&a);
}

/* --- the calls */

static bool is_ours(struct dc_call *c)
{
	if (c->ids[0] == c->discord->app_id)
		return true;
	dc_fail(c, 404, 10002, "Unknown Application");
	return false;
}

enum dc_outcome dc_get_commands(struct dc_call *c)
{
	if (is_ours(c))
		dc_write_commands(&c->w, c->discord);
	return DC_DONE;
}

static void check_names(struct dc_check *check, const cJSON *list)
{
	const cJSON *v, *before;

	cJSON_ArrayForEach(v, list)
	{
		for (before = list->child; before != v; before = before->next) {
			const char *a = json_str(before, "name"), *b = json_str(v, "name");

			if (a && b && strcmp(a, b) == 0)
				dc_wrong(check, NULL, "APPLICATION_COMMANDS_DUPLICATE_NAME",
				         "Application command names must be unique");
		}
	}
}

enum dc_outcome dc_put_commands(struct dc_call *c)
{
	struct dc_check *check = dc_check_new(c->arena);
	const cJSON *v;
	char at[16];
	int i = 0;

	if (!is_ours(c))
		return DC_DONE;
	if (!cJSON_IsArray(c->json)) {
		dc_wrong(check, NULL, "LIST_TYPE_CONVERT", "Only iterables may be used in a ListType");
		return dc_invalid(c, check);
	}
	if (cJSON_GetArraySize(c->json) > COMMANDS_MAX)
		return dc_fail(c, 400, 30032, "Maximum number of application commands reached (100)");
	cJSON_ArrayForEach(v, c->json)
	{
		snprintf(at, sizeof(at), "%d", i++);
		dc_check_at(check, at, &dc_shape_command, v);
	}
	check_names(check, c->json);
	if (check->n)
		return dc_invalid(c, check);
	replace_all(c->discord, c->json);
	dc_write_commands(&c->w, c->discord);
	return DC_DONE;
}
