/* The bot's commands as Discord's menu shows them. */
#include <string.h>

#include "shoal/wire/discord.h"
#include "shoal/wire/menu.h"

#define BODY_MAX (256 * 1024)
#define ABOUT_UNITS 100
#define NAME_BYTES 32
#define COMMANDS_MAX 100

enum { CHAT_INPUT = 1 };
static const unsigned char option_types[] = {[FIELD_TEXT] = 3, [FIELD_NUMBER] = 4, [FIELD_PERSON] = 6};

static bool is_name(const char *s)
{
	size_t n = s ? strlen(s) : 0;

	return n > 0 && n <= NAME_BYTES && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_-") == n;
}

static bool fits(const char *s, size_t units)
{
	return s && *s && utf8_valid(span_of(s)) && utf8_utf16_len(span_of(s)) <= units;
}

static const char *check_field(const struct form_field *f)
{
	if (!is_name(f->name))
		return "an option's name is not 1 to 32 of a-z 0-9 _ -";
	if (!fits(f->label, ABOUT_UNITS))
		return "an option's label is not 1 to 100 characters";
	if (f->nchoices > CHOICES_MAX)
		return "an option has more than 25 choices";
	for (size_t i = 0; i < f->nchoices; i++) {
		if (!fits(f->choices[i].label, DISCORD_CHOICE_UNITS) ||
		    !fits(f->choices[i].value, DISCORD_CHOICE_UNITS))
			return "a choice is not 1 to 100 characters";
	}
	if (f->kind != FIELD_TEXT && (f->nchoices || f->table || f->min || f->max))
		return "only texts have choices or a length";
	return NULL;
}

static const char *check_command(const struct command *c)
{
	if (!(c->kinds & UPDATE_SLASH) || !is_name(c->word))
		return "a command of the menu has no word of 1 to 32 of a-z 0-9 _ -";
	if (!fits(c->about, ABOUT_UNITS))
		return "what a command does is not told in 1 to 100 characters";
	if (c->nfields > FIELDS_MAX)
		return "a command has more than 25 options";
	for (size_t i = 0; i < c->nfields; i++) {
		const char *why = check_field(&c->fields[i]);

		if (why)
			return why;
		if (i > 0 && c->fields[i].required && !c->fields[i - 1].required)
			return "an option that must be given stands behind one that need not";
	}
	return NULL;
}

static void put_field(struct json_writer *w, const struct form_field *f)
{
	json_begin_obj(w);
	json_kv_i64(w, "type", option_types[f->kind]);
	json_kv_str(w, "name", f->name);
	json_kv_str(w, "description", f->label);
	if (f->required)
		json_kv_bool(w, "required", true);
	if (f->min > 0)
		json_kv_i64(w, "min_length", f->min);
	if (f->max > 0)
		json_kv_i64(w, "max_length", f->max);
	if (f->nchoices > 0) {
		json_key(w, "choices");
		json_begin_arr(w);
		for (size_t i = 0; i < f->nchoices; i++) {
			json_begin_obj(w);
			json_kv_str(w, "name", f->choices[i].label);
			json_kv_str(w, "value", f->choices[i].value);
			json_end_obj(w);
		}
		json_end_arr(w);
	} else if (f->table) {
		json_kv_bool(w, "autocomplete", true);
	}
	json_end_obj(w);
}

static void put_command(struct json_writer *w, const struct command *c)
{
	json_begin_obj(w);
	json_kv_str(w, "name", c->word);
	json_kv_i64(w, "type", CHAT_INPUT);
	json_kv_str(w, "description", c->about);
	json_key(w, "options");
	json_begin_arr(w);
	for (size_t i = 0; i < c->nfields; i++)
		put_field(w, &c->fields[i]);
	json_end_arr(w);
	json_end_obj(w);
}

enum err discord_commands(const struct bot *bot, struct arena *a, struct call *out, const char **why)
{
	struct json_writer w;
	struct buf b;
	size_t n = 0;

	*why = NULL;
	buf_init(&b, BODY_MAX);
	json_writer_init(&w, &b);
	json_begin_arr(&w);
	for (size_t i = 0; i < bot->ncommands && !*why; i++) {
		const struct command *c = &bot->commands[i];
		const char *wrong = c->about ? check_command(c) : NULL;

		if (wrong)
			*why = arena_printf(a, "%s: %s", c->name, wrong);
		else if (c->about && ++n > COMMANDS_MAX)
			*why = "there are more than 100 commands";
		else if (c->about)
			put_command(&w, c);
	}
	json_end_arr(&w);
	if (!*why && b.failed)
		*why = "the commands are too long";
	*out = (struct call){.method = "setCommands"};
	if (!*why)
		out->body = arena_span(a, buf_span(&b));
	buf_release(&b);
	return *why ? ERR_INVALID : ERR_OK;
}

bool discord_menu_same(struct span menu, struct span answer, struct arena *a, size_t *n)
{
	static const struct menu_field choice[] = {{"name", MENU_TEXT, NULL}, {"value", MENU_TEXT, NULL}, {0}};
	static const struct menu_field option[] = {
	    {"name", MENU_TEXT, NULL},         {"type", MENU_NUMBER, NULL},       {"description", MENU_TEXT, NULL},
	    {"required", MENU_FLAG, NULL},     {"min_length", MENU_NUMBER, NULL}, {"max_length", MENU_NUMBER, NULL},
	    {"autocomplete", MENU_FLAG, NULL}, {"choices", MENU_LIST, choice},    {0}};
	static const struct menu_field command[] = {{"name", MENU_TEXT, NULL},
	                                            {"type", MENU_NUMBER, NULL},
	                                            {"description", MENU_TEXT, NULL},
	                                            {"options", MENU_LIST, option},
	                                            {0}};
	const char *ignored;
	const cJSON *theirs = json_parse(a, answer, &ignored);

	*n = cJSON_IsArray(theirs) ? (size_t)cJSON_GetArraySize(theirs) : 0;
	return cJSON_IsArray(theirs) && menu_lists_same(json_parse(a, menu, &ignored), theirs, command, true);
}

/* ---- where interactions are sent; the platform calls it with a PING before it takes it */

void discord_hook_set(const struct bot *bot, const struct hook *h, struct arena *a, struct call *out)
{
	struct json_writer w;
	struct buf b;

	(void)bot;
	buf_init(&b, BODY_MAX);
	json_writer_init(&w, &b);
	json_begin_obj(&w);
	json_kv_str(&w, "interactions_endpoint_url", h->url);
	json_end_obj(&w);
	ENSURE(!b.failed);
	*out = (struct call){.method = "setEndpoint", .body = arena_span(a, buf_span(&b))};
	buf_release(&b);
}

bool discord_hook_read(const struct bot *bot, struct span answer, struct arena *a, struct hook *out)
{
	const char *ignored;
	const cJSON *application = json_parse(a, answer, &ignored);
	const char *url = json_str(application, "interactions_endpoint_url");

	(void)bot;
	*out = (struct hook){.url = url ? url : "", .pending = -1, .updates_same = true};
	return json_str(application, "id") != NULL;
}
