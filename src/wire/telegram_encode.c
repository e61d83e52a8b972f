#include "shoal/wire/telegram.h"

#include <string.h>

/* Bodies stay far below this: 4,096 characters of text with tags, and a keyboard. */
#define BODY_MAX (256 * 1024)

struct writer {
	struct buf b;
	struct json_writer w;
};

static void writer_begin(struct writer *w)
{
	buf_init(&w->b, BODY_MAX);
	json_writer_init(&w->w, &w->b);
	json_begin_obj(&w->w);
}

/* The finished body in a; ptr NULL when it did not fit. */
static struct span writer_end(struct writer *w, struct arena *a)
{
	struct span out = {0};

	json_end_obj(&w->w);
	if (!w->b.failed)
		out = arena_span(a, buf_span(&w->b));
	buf_release(&w->b);
	return out;
}

static const char *check_text(const char *html)
{
	const char *why = NULL;
	size_t units;
	bool blank;

	if (!html)
		return "the message has no text";
	if (!telegram_html_units(span_of(html), &units, &blank, &why))
		return why;
	if (blank)
		return "the message text is empty";
	if (units > TELEGRAM_TEXT_UNITS)
		return "the message text is longer than 4096 UTF-16 units";
	return NULL;
}

static const char *check_button(const struct button *b)
{
	if (!b->label || !*b->label || !utf8_valid(span_of(b->label)))
		return "a button has no label, or one that is not UTF-8";
	if (b->url)
		return *b->url && utf8_valid(span_of(b->url)) ? NULL : "a button's link is empty or not UTF-8";
	if (!b->data || !*b->data)
		return "a button has neither link nor callback data";
	if (strlen(b->data) > TELEGRAM_DATA_BYTES)
		return "callback data is longer than 64 bytes";
	return utf8_valid(span_of(b->data)) ? NULL : "callback data is not UTF-8";
}

static const char *check_rows(const struct reply *r)
{
	for (size_t i = 0; i < r->nrows; i++) {
		if (r->rows[i].n == 0)
			return "a row has no button";
		for (size_t j = 0; j < r->rows[i].n; j++) {
			const char *why = check_button(&r->rows[i].buttons[j]);

			if (why)
				return why;
		}
	}
	return NULL;
}

static void put_keyboard(struct json_writer *w, const struct reply *r)
{
	json_key(w, "reply_markup");
	json_begin_obj(w);
	json_key(w, "inline_keyboard");
	json_begin_arr(w);
	for (size_t i = 0; i < r->nrows; i++) {
		json_begin_arr(w);
		for (size_t j = 0; j < r->rows[i].n; j++) {
			const struct button *b = &r->rows[i].buttons[j];

			json_begin_obj(w);
			json_kv_str(w, "text", b->label);
			if (b->url)
				json_kv_str(w, "url", b->url);
			else
				json_kv_str(w, "callback_data", b->data);
			json_end_obj(w);
		}
		json_end_arr(w);
	}
	json_end_arr(w);
	json_end_obj(w);
}

static void put_text(struct json_writer *w, const char *html)
{
	json_kv_str(w, "text", html);
	json_kv_str(w, "parse_mode", "HTML");
	json_key(w, "link_preview_options");
	json_begin_obj(w);
	json_kv_bool(w, "is_disabled", true);
	json_end_obj(w);
}

static const struct {
	const char *method;
	bool text, message_id, keyboard; /* keyboard: also when it is empty */
} methods[REPLY_KIND_COUNT] = {
    [REPLY_SEND] = {"sendMessage", true, false, false},
    [REPLY_EDIT] = {"editMessageText", true, true, false},
    [REPLY_DISARM] = {"editMessageReplyMarkup", false, true, true},
};

static const char *check_reply(const struct reply *r)
{
	const char *why = NULL;

	if ((unsigned)r->kind >= REPLY_KIND_COUNT)
		return "a reply of no known kind";
	if (!methods[r->kind].method)
		return "a reply of a kind that Telegram does not have";
	if (r->chat_id == 0)
		return "the reply names no chat";
	if (methods[r->kind].message_id && r->message_id <= 0)
		return "the reply names no message";
	if (r->kind == REPLY_DISARM && r->nrows > 0)
		return "buttons on a reply that takes them off";
	if (methods[r->kind].text)
		why = check_text(r->html);
	return why ? why : check_rows(r);
}

/* Telegram knows no message again. */
static enum err telegram_encode(const struct reply *r, const char *once, struct arena *a, struct call *out,
                                const char **why)
{
	struct writer w;

	(void)once;
	*why = check_reply(r);
	if (*why)
		return ERR_INVALID;
	writer_begin(&w);
	json_kv_i64(&w.w, "chat_id", r->chat_id);
	if (methods[r->kind].message_id)
		json_kv_i64(&w.w, "message_id", r->message_id);
	if (methods[r->kind].text)
		put_text(&w.w, r->html);
	if (r->nrows > 0 || methods[r->kind].keyboard)
		put_keyboard(&w.w, r);
	*out = (struct call){.method = methods[r->kind].method, .chat_id = r->chat_id, .group = r->group};
	out->body = writer_end(&w, a);
	if (!out->body.ptr) {
		*why = "the message with its markup is too long";
		return ERR_INVALID;
	}
	return ERR_OK;
}

static void telegram_answer_press(const char *press_id, const char *toast, struct arena *a, struct call *out)
{
	struct span text = utf8_prefix_utf16(span_of(toast), TELEGRAM_TOAST_UNITS);
	struct writer w;

	writer_begin(&w);
	json_kv_str(&w.w, "callback_query_id", press_id);
	if (text.len > 0) {
		json_key(&w.w, "text");
		json_put_span(&w.w, text);
	}
	*out = (struct call){.method = "answerCallbackQuery", .body = writer_end(&w, a)};
	if (!out->body.ptr) /* an id of absurd length: an answer that Telegram refuses */
		out->body = SPAN("{\"callback_query_id\":\"\"}");
}

/* Who pressed a button of a message that they deleted meanwhile shall hear what came of it. */
static bool telegram_anew(const struct call *c, struct arena *a, struct call *out)
{
	const char *ignored;
	cJSON *body;
	struct buf b;
	struct json_writer w;

	if (strcmp(c->method, methods[REPLY_EDIT].method) != 0 || !(body = json_parse(a, c->body, &ignored)))
		return false;
	cJSON_DetachItemFromObjectCaseSensitive(body, "message_id");
	*out = *c;
	out->method = methods[REPLY_SEND].method;
	buf_init(&b, BODY_MAX);
	json_writer_init(&w, &b);
	json_put(&w, body);
	ENSURE(!b.failed); /* it has become shorter */
	out->body = arena_span(a, buf_span(&b));
	buf_release(&b);
	return true;
}

static void telegram_request(const struct credentials *who, const struct call *c, struct arena *a, struct request *out)
{
	*out = (struct request){.method = "POST", .body = c->body.len ? c->body : SPAN("{}")};
	out->url = arena_join(a, who->api, "/bot", who->token, "/", c->method);
}

struct span telegram_webhook_reply(const struct call *c, struct arena *a)
{
	/* The body is an object with at least one member. */
	return span_of(arena_printf(a, "{\"method\":\"%s\",%.*s", c->method, (int)c->body.len - 1, c->body.ptr + 1));
}

struct span telegram_get_updates(const struct bot *bot, int64_t offset, unsigned limit, unsigned timeout_s,
                                 struct arena *a)
{
	struct writer w;
	struct span body;

	writer_begin(&w);
	if (offset != 0)
		json_kv_i64(&w.w, "offset", offset);
	json_kv_i64(&w.w, "limit", limit);
	json_kv_i64(&w.w, "timeout", timeout_s);
	json_key(&w.w, "allowed_updates");
	json_put_raw(&w.w, telegram_allowed_updates(bot, a));
	body = writer_end(&w, a);
	ENSURE(body.ptr != NULL);
	return body;
}

const struct platform platform_telegram = {
    .name = "telegram",
    .decode = telegram_decode,
    .probe = "getMe",
    .name_in = telegram_name_in,
    .encode = telegram_encode,
    .answer_press = telegram_answer_press,
    .menu = telegram_menu,
    .menu_told = "getMyCommands",
    .menu_same = telegram_menu_same,
    .hook_set = telegram_hook_set,
    .hook_told = "getWebhookInfo",
    .hook_read = telegram_hook_read,
    .anew = telegram_anew,
    .request = telegram_request,
    .judge = telegram_judge,
};
