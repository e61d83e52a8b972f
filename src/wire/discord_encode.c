/* The calls of Discord's API that Shoal makes. */
#include <stdio.h>
#include <string.h>

#include "shoal/base/siphash.h"
#include "shoal/wire/discord.h"

#define BODY_MAX (64 * 1024)
/* Discord shuts an address out at 10,000 (API v10, "Invalid Request Limit"). What is on the wire when this is reached
 * still counts, up to 64 calls of each worker, which is room for some 25 of them; and so does what other programs do at
 * the same address. */
#define REFUSALS_MOST 8000
#define TOKEN_LIFE_MS (15 * 60 * 1000)

enum { FLAG_NO_EMBEDS = 1 << 2, FLAG_EPHEMERAL = 1 << 6 };
enum { ROW = 1, BUTTON = 2 };
enum { STYLE_LINK = 5 };

static const unsigned char styles[] = {[BUTTON_PLAIN] = 2, [BUTTON_MAIN] = 1, [BUTTON_GOOD] = 3, [BUTTON_BAD] = 4};

/* How each call is made: in its path, # is the chat, % the message, $ the update's token, ! the application. Each is a
 * route of its own, by which Discord counts. */
static const struct method {
	const char *name;
	const char *verb, *path;
	bool bot;  /* in the name of the bot; else the token in the path is enough */
	bool bare; /* has no body, whatever was stored */
} methods[] = {
    {"createMessage", "POST", "/channels/#/messages", true, false},
    {"editMessage", "PATCH", "/channels/#/messages/%", true, false},
    {"editOriginal", "PATCH", "/webhooks/!/$/messages/@original", false, false},
    {"deleteOriginal", "DELETE", "/webhooks/!/$/messages/@original", false, true},
    {"followUp", "POST", "/webhooks/!/$", false, false},
    {"setCommands", "PUT", "/applications/!/commands", true, false},
    {"getCommands", "GET", "/applications/!/commands", true, true},
    {"setEndpoint", "PATCH", "/applications/@me", true, false},
    {"getApplication", "GET", "/applications/@me", true, true},
    {"getMe", "GET", "/users/@me", true, true},
};

/* What each kind of reply is, and what it needs. */
static const struct {
	const char *method;
	bool message, token; /* else the chat */
	bool text;
	bool rows; /* told also when there are none: an edit takes away what stood there only where it says so */
	bool once; /* the platform can be told to take it once */
} kinds[REPLY_KIND_COUNT] = {
    [REPLY_SEND] = {"createMessage", .text = true, .once = true},
    [REPLY_EDIT] = {"editMessage", .message = true, .text = true, .rows = true},
    [REPLY_DISARM] = {"editMessage", .message = true, .rows = true},
    [REPLY_ANSWER] = {"editOriginal", .token = true, .text = true, .rows = true},
    [REPLY_MORE] = {"followUp", .token = true, .text = true},
};

/* ---- messages */

static bool too_long(const char *s, size_t units)
{
	return utf8_utf16_len(span_of(s)) > units;
}

static const char *check_button(const struct button *b)
{
	if (!b->label || !*b->label || !utf8_valid(span_of(b->label)))
		return "a button has no label, or one that is not UTF-8";
	if (too_long(b->label, DISCORD_LABEL_UNITS))
		return "a button's label is longer than 80 characters";
	if (b->url)
		return *b->url && utf8_valid(span_of(b->url)) && strlen(b->url) <= DISCORD_URL_BYTES
		           ? NULL
		           : "a button's link is empty, not UTF-8 or longer than 512 bytes";
	if (!b->data || !*b->data || !utf8_valid(span_of(b->data)))
		return "a button has neither link nor callback data";
	return strlen(b->data) > DISCORD_DATA_BYTES ? "callback data is longer than 100 bytes" : NULL;
}

/* The platform wants each callback data once in a message. */
static bool is_double(const struct reply *r, const char *data)
{
	unsigned n = 0;

	for (size_t i = 0; i < r->nrows; i++) {
		for (size_t k = 0; k < r->rows[i].n; k++) {
			const struct button *b = &r->rows[i].buttons[k];

			n += !b->url && b->data && strcmp(b->data, data) == 0;
		}
	}
	return n > 1;
}

static const char *check_rows(const struct reply *r)
{
	if (r->nrows > DISCORD_ROWS)
		return "there are more than 5 rows of buttons";
	for (size_t i = 0; i < r->nrows; i++) {
		if (r->rows[i].n == 0 || r->rows[i].n > DISCORD_ROW_BUTTONS)
			return "a row has no button, or more than 5";
		for (size_t k = 0; k < r->rows[i].n; k++) {
			const struct button *b = &r->rows[i].buttons[k];
			const char *why = check_button(b);

			if (why)
				return why;
			if (!b->url && is_double(r, b->data))
				return "two buttons have the same callback data";
		}
	}
	return NULL;
}

static void put_button(struct json_writer *w, const struct button *b)
{
	json_begin_obj(w);
	json_kv_i64(w, "type", BUTTON);
	json_kv_i64(w, "style", b->url ? STYLE_LINK : styles[b->style]);
	json_kv_str(w, "label", b->label);
	json_kv_str(w, b->url ? "url" : "custom_id", b->url ? b->url : b->data);
	if (b->off)
		json_kv_bool(w, "disabled", true);
	json_end_obj(w);
}

static void put_rows(struct json_writer *w, const struct reply *r)
{
	json_key(w, "components");
	json_begin_arr(w);
	for (size_t i = 0; i < r->nrows; i++) {
		json_begin_obj(w);
		json_kv_i64(w, "type", ROW);
		json_key(w, "components");
		json_begin_arr(w);
		for (size_t k = 0; k < r->rows[i].n; k++)
			put_button(w, &r->rows[i].buttons[k]);
		json_end_arr(w);
		json_end_obj(w);
	}
	json_end_arr(w);
}

void discord_put_nobody(struct json_writer *w)
{
	json_key(w, "allowed_mentions");
	json_begin_obj(w);
	json_key(w, "parse");
	json_begin_arr(w);
	json_end_arr(w);
	json_end_obj(w);
}

static const char *check_text(const char *content)
{
	if (text_blank(content))
		return "the message text is empty";
	return too_long(content, DISCORD_CONTENT_UNITS) ? "the message text is longer than 2000 characters" : NULL;
}

/* Of two messages with one nonce within some minutes the platform makes one (API v10, "Create Message"; 25 characters
 * at most): the one in flight when its worker died is not seen twice. */
static void put_nonce(struct json_writer *w, const char *once)
{
	static const struct siphash_seed seed = {{UINT64_C(0x736861646f776564), UINT64_C(0x6f6e63652d6f6e6c)}};
	char nonce[17];

	snprintf(nonce, sizeof(nonce), "%016llx", (unsigned long long)siphash(&seed, span_of(once)));
	json_kv_str(w, "nonce", nonce);
	json_kv_bool(w, "enforce_nonce", true);
}

static void put_call(struct buf *text, int64_t person)
{
	buf_addf(text, "<@%lld> ", (long long)person);
}

/* Only who is meant to be called is. */
static void put_mention(struct json_writer *w, int64_t person)
{
	if (person == 0) {
		discord_put_nobody(w);
		return;
	}
	json_key(w, "allowed_mentions");
	json_begin_obj(w);
	json_key(w, "users");
	json_begin_arr(w);
	json_put_id(w, person);
	json_end_arr(w);
	json_end_obj(w);
}

/* content: NULL: it stays. */
static void put_message(struct json_writer *w, const struct reply *r, const char *content, const char *once)
{
	json_begin_obj(w);
	if (content) {
		json_kv_str(w, "content", content);
		json_kv_i64(w, "flags", FLAG_NO_EMBEDS | (r->hidden ? FLAG_EPHEMERAL : 0));
		put_mention(w, r->mention);
	}
	if (kinds[r->kind].once)
		put_nonce(w, once);
	if (r->nrows > 0 || kinds[r->kind].rows)
		put_rows(w, r);
	json_end_obj(w);
}

static const char *check_reply(const struct reply *r)
{
	if ((unsigned)r->kind >= REPLY_KIND_COUNT || !kinds[r->kind].method)
		return "a reply of a kind that Discord does not have";
	if (kinds[r->kind].token ? !r->token || !*r->token : r->chat_id <= 0)
		return "the reply names no chat, or has no token";
	if (kinds[r->kind].message && r->message_id <= 0)
		return "the reply names no message";
	if (kinds[r->kind].text && !r->html)
		return "the message has no text";
	return !kinds[r->kind].text && r->nrows > 0 ? "buttons on a reply that takes them off" : check_rows(r);
}

static enum err discord_encode(const struct reply *r, const char *once, struct arena *a, struct call *out,
                               const char **why)
{
	struct buf text, body;
	struct json_writer w;
	bool has_text;

	*why = check_reply(r);
	if (*why)
		return ERR_INVALID;
	has_text = kinds[r->kind].text;
	buf_init(&text, BODY_MAX);
	buf_init(&body, BODY_MAX);
	if (has_text && r->mention && !r->token)
		put_call(&text, r->mention);
	if (has_text && discord_markdown(r->html, &text, why) && !text.failed)
		*why = check_text(text.ptr);
	if (!*why && !text.failed) {
		json_writer_init(&w, &body);
		put_message(&w, r, has_text ? text.ptr : NULL, once);
		*out = (struct call){.method = kinds[r->kind].method,
		                     .chat_id = r->chat_id,
		                     .message_id = r->message_id,
		                     .token = r->token};
		out->body = !body.failed ? arena_span(a, buf_span(&body)) : (struct span){0};
	}
	if (!*why && (text.failed || body.failed))
		*why = "the message with its buttons is too long";
	buf_release(&text);
	buf_release(&body);
	return *why ? ERR_INVALID : ERR_OK;
}

/* Whom a message may call; 0: nobody. */
static int64_t mention_of(const cJSON *body)
{
	const char *id =
	    cJSON_GetStringValue(cJSON_GetArrayItem(json_arr(json_obj(body, "allowed_mentions"), "users"), 0));
	int64_t person;

	return id && span_i64(span_of(id), &person) ? person : 0;
}

/* What was to be said by a token that is dead is said in the chat; by the same nonce each time. */
static bool discord_anew(const struct call *c, struct arena *a, struct call *out)
{
	const char *ignored, *content;
	struct buf text, body;
	struct json_writer w;
	int64_t person;
	cJSON *was;

	if (strcmp(c->method, kinds[REPLY_MORE].method) != 0 || c->chat_id <= 0 || !c->token ||
	    !(was = json_parse(a, c->body, &ignored)) || !(content = json_str(was, "content")))
		return false;
	person = mention_of(was);
	buf_init(&text, BODY_MAX);
	buf_init(&body, BODY_MAX);
	if (person)
		put_call(&text, person);
	buf_adds(&text, content);
	json_writer_init(&w, &body);
	if (!text.failed)
		put_message(&w, &(struct reply){.kind = REPLY_SEND, .mention = person}, text.ptr,
		            arena_printf(a, "%s %s", c->token, content));
	*out = (struct call){.method = kinds[REPLY_SEND].method, .chat_id = c->chat_id};
	out->body = !text.failed && !body.failed ? arena_span(a, buf_span(&body)) : (struct span){0};
	buf_release(&text);
	buf_release(&body);
	return out->body.len > 0;
}

static void discord_dismiss(const char *token, struct call *out)
{
	*out = (struct call){.method = "deleteOriginal", .token = token, .body = SPAN("{}")};
}

/* ---- requests */

/* A token as one segment of a path. */
static void put_segment(struct buf *b, const char *s)
{
	for (; *s; s++) {
		if ((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9') || *s == '_' ||
		    *s == '-')
			buf_addc(b, *s);
		else
			buf_addf(b, "%%%02X", (unsigned char)*s);
	}
}

static void put_path(struct buf *b, const char *path, const struct credentials *who, const struct call *c)
{
	for (; *path; path++) {
		if (*path == '#')
			buf_add_i64(b, c->chat_id);
		else if (*path == '%')
			buf_add_i64(b, c->message_id);
		else if (*path == '$')
			put_segment(b, c->token ? c->token : "");
		else if (*path == '!')
			put_segment(b, who->app_id ? who->app_id : "");
		else
			buf_addc(b, *path);
	}
}

static void discord_request(const struct credentials *who, const struct call *c, struct arena *a, struct request *out)
{
	const struct method *m = NULL;
	struct buf b;

	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if (strcmp(methods[i].name, c->method) == 0)
			m = &methods[i];
	}
	if (!m) { /* stored by a later release: the platform shall refuse it */
		*out = (struct request){.method = "GET", .url = arena_printf(a, "%s/unknown", who->api)};
		return;
	}
	buf_init(&b, BODY_MAX);
	buf_adds(&b, who->api);
	put_path(&b, m->path, who, c);
	ENSURE(!b.failed);
	*out = (struct request){.method = m->verb, .url = arena_strndup(a, b.ptr, b.len)};
	if (!m->bare)
		out->body = c->body;
	if (m->bot)
		out->headers[0] = arena_printf(a, "Authorization: Bot %s", who->token);
	buf_release(&b);
}

const struct platform platform_discord = {
    .name = "discord",
    .wants_app_id = true,
    .decode = discord_decode,
    .probe = "getMe",
    .encode = discord_encode,
    .dismiss = discord_dismiss,
    .anew = discord_anew,
    .buckets = true,
    .refusals_most = REFUSALS_MOST,
    .token_life_ms = TOKEN_LIFE_MS,
    .menu = discord_commands,
    .menu_told = "getCommands",
    .menu_same = discord_menu_same,
    .hook_set = discord_hook_set,
    .hook_told = "getApplication",
    .hook_read = discord_hook_read,
    .request = discord_request,
    .headers = discord_headers,
    .judge = discord_judge,
};
