/* Keyboards: checked, and brought into the form in which the API shows them. */
#include "shoal/sim/telegram.h"

#include <string.h>
#include <strings.h>

#include "shoal/base/json.h"

#define BUTTONS_MAX 100
#define MARKUP_BYTES_MAX (64u << 10)

struct check {
	struct arena *a;
	struct json_writer w;
	const char *why;
	size_t buttons;
};

static bool fail(struct check *c, const char *why)
{
	c->why = why;
	return false;
}

/* What a button may do: exactly one of these. */
static const struct {
	const char *name;
	bool object; /* else a text, or true for pay */
} actions[] = {
    {"url", false},          {"callback_data", false},
    {"web_app", true},       {"login_url", true},
    {"copy_text", true},     {"switch_inline_query", false},
    {"callback_game", true}, {"switch_inline_query_current_chat", false},
    {"pay", false},          {"switch_inline_query_chosen_chat", true},
};

static bool good_url(const char *url)
{
	static const char *const schemes[] = {"http://", "https://", "tg://", "ton://"};
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		size_t n = strlen(schemes[i]);
		if (strncasecmp(url, schemes[i], n) == 0 && url[n])
			return true;
	}
	return strstr(url, "://") == NULL && strchr(url, '.') != NULL;
}

static bool check_action(struct check *c, const char *name, bool object, const cJSON *v)
{
	const char *text = cJSON_IsString(v) ? v->valuestring : NULL;

	if (object ? !cJSON_IsObject(v) : !text && !cJSON_IsBool(v))
		return fail(c, arena_printf(c->a,
		                            "Bad Request: can't parse inline keyboard button: Field \"%s\" must be "
		                            "of type %s",
		                            name, object ? "Object" : "String"));
	if (strcmp(name, "callback_data") == 0 && (!text || strlen(text) < 1 || strlen(text) > 64))
		return fail(c, "Bad Request: BUTTON_DATA_INVALID");
	if (strcmp(name, "url") == 0 && (!text || !good_url(text)))
		return fail(c, arena_printf(c->a,
		                            "Bad Request: inline keyboard button URL '%s' is invalid: Wrong HTTP URL",
		                            text ? text : ""));
	if (strcmp(name, "copy_text") == 0) {
		const char *copied = json_str(v, "text");
		if (!copied || !*copied || utf8_utf16_len(span_of(copied)) > 256)
			return fail(c, "Bad Request: BUTTON_COPY_TEXT_INVALID");
	}
	return true;
}

static void copy_member(struct check *c, const cJSON *from, const char *name)
{
	const cJSON *v = json_get(from, name);
	if (!v || cJSON_IsNull(v))
		return;
	json_key(&c->w, name);
	json_put(&c->w, v);
}

static bool inline_button(struct check *c, const cJSON *b)
{
	const char *text = json_str(b, "text");
	size_t found = 0;

	if (!cJSON_IsObject(b))
		return fail(c,
		            "Bad Request: can't parse inline keyboard button: InlineKeyboardButton must be an Object");
	if (!text)
		return fail(c, "Bad Request: can't parse inline keyboard button: Can't find field \"text\"");
	if (!*text || strspn(text, " \t\r\n") == strlen(text))
		return fail(c, "Bad Request: inline keyboard button text must be non-empty");
	json_begin_obj(&c->w);
	json_kv_str(&c->w, "text", text);
	copy_member(c, b, "icon_custom_emoji_id");
	copy_member(c, b, "style");
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
		const cJSON *v = json_get(b, actions[i].name);
		if (!v || cJSON_IsNull(v))
			continue;
		if (!check_action(c, actions[i].name, actions[i].object, v))
			return false;
		copy_member(c, b, actions[i].name);
		found++;
	}
	json_end_obj(&c->w);
	if (found != 1)
		return fail(c,
		            "Bad Request: can't parse inline keyboard button: Text buttons are unallowed in the inline "
		            "keyboard");
	return true;
}

static bool reply_button(struct check *c, const cJSON *b)
{
	const char *text = cJSON_IsString(b) ? b->valuestring : json_str(b, "text");

	if (!text)
		return fail(c, "Bad Request: can't parse keyboard button: KeyboardButton must be a String or an Object "
		               "with field \"text\"");
	if (!*text)
		return fail(c, "Bad Request: keyboard button text must be non-empty");
	json_begin_obj(&c->w);
	json_kv_str(&c->w, "text", text);
	copy_member(c, b, "style");
	copy_member(c, b, "request_contact");
	copy_member(c, b, "request_location");
	json_end_obj(&c->w);
	return true;
}

static bool check_rows(struct check *c, const cJSON *rows, bool (*button)(struct check *, const cJSON *))
{
	const cJSON *row, *b;

	json_begin_arr(&c->w);
	cJSON_ArrayForEach(row, rows)
	{
		if (!cJSON_IsArray(row))
			return fail(c, "Bad Request: can't parse reply markup: rows must be Arrays of buttons");
		if (!row->child)
			continue;
		json_begin_arr(&c->w);
		cJSON_ArrayForEach(b, row)
		{
			if (++c->buttons > BUTTONS_MAX)
				return fail(c, "Bad Request: reply markup is too long");
			if (!button(c, b))
				return false;
		}
		json_end_arr(&c->w);
	}
	json_end_arr(&c->w);
	return true;
}

static bool check_markup(struct check *c, const cJSON *v, struct markup *out)
{
	const cJSON *rows = json_arr(v, "inline_keyboard");
	bool yes = false;

	json_begin_obj(&c->w);
	if (rows) {
		out->kind = MARKUP_INLINE;
		json_key(&c->w, "inline_keyboard");
		if (!check_rows(c, rows, inline_button))
			return false;
	} else if ((rows = json_arr(v, "keyboard"))) {
		out->kind = MARKUP_KEYBOARD;
		json_key(&c->w, "keyboard");
		if (!check_rows(c, rows, reply_button))
			return false;
		if (c->buttons == 0)
			return fail(c, "Bad Request: reply keyboard must have at least one button");
		copy_member(c, v, "is_persistent");
		copy_member(c, v, "one_time_keyboard");
		copy_member(c, v, "resize_keyboard");
		copy_member(c, v, "input_field_placeholder");
	} else if (json_bool(v, "remove_keyboard", &yes) && yes) {
		out->kind = MARKUP_REMOVE;
	} else if (json_bool(v, "force_reply", &yes) && yes) {
		out->kind = MARKUP_FORCE_REPLY;
	} else if (v->child) {
		return fail(
		    c, "Bad Request: can't parse reply markup: none of inline_keyboard, keyboard, remove_keyboard, "
		       "force_reply is there");
	}
	json_end_obj(&c->w);
	return true;
}

bool tg_parse_markup(struct arena *a, const cJSON *v, struct markup *out, const char **why)
{
	struct check c = {.a = a};
	struct buf b;

	*out = (struct markup){0};
	if (!cJSON_IsObject(v)) {
		*why = "Bad Request: object expected as reply markup";
		return false;
	}
	buf_init(&b, MARKUP_BYTES_MAX);
	json_writer_init(&c.w, &b);
	bool ok = check_markup(&c, v, out);
	if (ok && b.failed)
		ok = fail(&c, "Bad Request: reply markup is too long");
	if (ok && !(out->kind == MARKUP_INLINE && c.buttons == 0))
		out->json = arena_strndup(a, b.ptr, b.len);
	buf_release(&b);
	*why = c.why;
	return ok;
}

bool tg_markup_has(struct arena *a, const char *markup_json, const char *data)
{
	const char *why;
	const cJSON *v = markup_json ? json_parse(a, span_of(markup_json), &why) : NULL, *row, *b;

	cJSON_ArrayForEach(row, json_arr(v, "inline_keyboard"))
	{
		cJSON_ArrayForEach(b, row)
		{
			const char *have = json_str(b, "callback_data");
			if (have && strcmp(have, data) == 0)
				return true;
		}
	}
	return false;
}
