/* What interactions are answered with at once. */
#include <string.h>

#include "shoal/wire/discord.h"

#define BODY_MAX (8u << 20) /* a message's components come back written anew */

enum { ANSWER_MESSAGE = 4, ANSWER_LATER, ANSWER_UPDATE_LATER, ANSWER_UPDATE, ANSWER_CHOICES, ANSWER_FORM };
enum { FLAG_EPHEMERAL = 1 << 6 };
enum { BUTTON = 2, MENU = 3, INPUT = 4, MENU_LAST = 8, LABEL = 18 };
enum { STYLE_LINK = 5, INPUT_SHORT = 1 };
#define DEPTH_MAX 8

struct writer {
	struct buf b;
	struct json_writer w;
};

/* {"type":T,"data":{ */
static void answer_begin(struct writer *w, int type)
{
	buf_init(&w->b, BODY_MAX);
	json_writer_init(&w->w, &w->b);
	json_begin_obj(&w->w);
	json_kv_i64(&w->w, "type", type);
	json_key(&w->w, "data");
	json_begin_obj(&w->w);
}

static struct span answer_end(struct writer *w, struct arena *a)
{
	struct span out;

	json_end_obj(&w->w);
	json_end_obj(&w->w);
	ENSURE(!w->b.failed);
	out = arena_span(a, buf_span(&w->b));
	buf_release(&w->b);
	return out;
}

struct span discord_defer(bool hidden, struct arena *a)
{
	struct writer w;

	answer_begin(&w, ANSWER_LATER);
	if (hidden)
		json_kv_i64(&w.w, "flags", FLAG_EPHEMERAL);
	return answer_end(&w, a);
}

struct span discord_say(const char *text, struct arena *a)
{
	struct writer w;

	answer_begin(&w, ANSWER_MESSAGE);
	json_kv_str(&w.w, "content", text);
	json_kv_i64(&w.w, "flags", FLAG_EPHEMERAL);
	discord_put_nobody(&w.w);
	return answer_end(&w, a);
}

/* ---- the message that carries the pressed button */

/* Links lead elsewhere and may be followed again. */
static bool can_be_pressed(const cJSON *component)
{
	int64_t type = 0, style = 0;

	if (!json_i64(component, "type", &type))
		return false;
	json_i64(component, "style", &style);
	return (type == BUTTON && style != STYLE_LINK) || (type >= MENU && type <= MENU_LAST && type != INPUT);
}

/* Whether there is anything to press in what obj, a message or a component, consists of. */
static bool has_pressable(const cJSON *obj, int depth)
{
	const cJSON *accessory = json_obj(obj, "accessory"), *child;

	if (depth == 0)
		return false;
	if (can_be_pressed(accessory) || has_pressable(accessory, depth - 1))
		return true;
	cJSON_ArrayForEach(child, json_arr(obj, "components"))
	{
		if (can_be_pressed(child) || has_pressable(child, depth - 1))
			return true;
	}
	return false;
}

static void put_disabled(struct json_writer *w, const cJSON *component, int depth);

static void put_disabled_list(struct json_writer *w, const cJSON *list, int depth)
{
	const cJSON *child;

	json_begin_arr(w);
	cJSON_ArrayForEach(child, list) put_disabled(w, child, depth);
	json_end_arr(w);
}

/* The component as it is, but for what can be pressed in it. */
static void put_disabled(struct json_writer *w, const cJSON *component, int depth)
{
	bool end = can_be_pressed(component);
	const cJSON *member;

	if (!cJSON_IsObject(component) || depth == 0) {
		json_put(w, component);
		return;
	}
	json_begin_obj(w);
	cJSON_ArrayForEach(member, component)
	{
		if (end && strcmp(member->string, "disabled") == 0)
			continue;
		json_key(w, member->string);
		if (strcmp(member->string, "components") == 0 && cJSON_IsArray(member))
			put_disabled_list(w, member, depth - 1);
		else if (strcmp(member->string, "accessory") == 0)
			put_disabled(w, member, depth - 1);
		else
			json_put(w, member);
	}
	if (end)
		json_kv_bool(w, "disabled", true);
	json_end_obj(w);
}

struct span discord_disable(const cJSON *interaction, struct arena *a)
{
	const cJSON *message = json_obj(interaction, "message");
	bool any = has_pressable(message, DEPTH_MAX);
	struct writer w;

	answer_begin(&w, any ? ANSWER_UPDATE : ANSWER_UPDATE_LATER);
	if (any) {
		json_key(&w.w, "components");
		put_disabled_list(&w.w, json_arr(message, "components"), DEPTH_MAX);
	}
	return answer_end(&w, a);
}

/* ---- choices and forms */

static void put_fit(struct json_writer *w, const char *name, const char *text, size_t units)
{
	json_key(w, name);
	json_put_span(w, utf8_prefix_utf16(span_of(text), units));
}

/* name: what the platform calls what is shown. */
static void put_choices(struct json_writer *w, const char *name, const struct discord_choices *c)
{
	json_begin_arr(w);
	for (size_t i = 0; i < c->n && i < CHOICES_MAX; i++) {
		json_begin_obj(w);
		put_fit(w, name, c->v[i].label, DISCORD_CHOICE_UNITS);
		json_kv_str(w, "value", c->v[i].value);
		json_end_obj(w);
	}
	json_end_arr(w);
}

struct span discord_suggest(const struct discord_choices *c, struct arena *a)
{
	struct writer w;

	answer_begin(&w, ANSWER_CHOICES);
	json_key(&w.w, "choices");
	put_choices(&w.w, "name", c);
	return answer_end(&w, a);
}

static void put_input(struct json_writer *w, const struct form_field *f)
{
	json_kv_i64(w, "type", INPUT);
	json_kv_str(w, "custom_id", f->name);
	json_kv_i64(w, "style", INPUT_SHORT);
	if (f->min > 0)
		json_kv_i64(w, "min_length", f->min);
	if (f->max > 0)
		json_kv_i64(w, "max_length", f->max);
	json_kv_bool(w, "required", f->required);
}

static void put_menu(struct json_writer *w, const struct form_field *f, const struct discord_choices *c)
{
	json_kv_i64(w, "type", MENU);
	json_kv_str(w, "custom_id", f->name);
	json_key(w, "options");
	put_choices(w, "label", c);
	json_kv_bool(w, "required", f->required);
}

struct span discord_form(const struct form *form, const struct discord_choices *tables, struct arena *a)
{
	struct writer w;

	answer_begin(&w, ANSWER_FORM);
	json_kv_str(&w.w, "custom_id", form->verb);
	json_kv_str(&w.w, "title", form->title);
	json_key(&w.w, "components");
	json_begin_arr(&w.w);
	for (size_t i = 0; i < form->nfields; i++) {
		const struct form_field *f = &form->fields[i];
		struct discord_choices c = f->nchoices ? (struct discord_choices){f->nchoices, f->choices} : tables[i];

		json_begin_obj(&w.w);
		json_kv_i64(&w.w, "type", LABEL);
		json_kv_str(&w.w, "label", f->label);
		json_key(&w.w, "component");
		json_begin_obj(&w.w);
		if (c.n > 0 && c.n <= CHOICES_MAX)
			put_menu(&w.w, f, &c);
		else
			put_input(&w.w, f);
		json_end_obj(&w.w);
		json_end_obj(&w.w);
	}
	json_end_arr(&w.w);
	return answer_end(&w, a);
}
