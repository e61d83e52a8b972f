/* What Telegram is told of a bot: its menu of commands, its webhook. */
#include <string.h>

#include "shoal/wire/menu.h"
#include "shoal/wire/telegram.h"

#define BODY_MAX (64 * 1024)
/* Bot API, "BotCommand", setMyCommands */
#define COMMANDS_MAX 100
#define NAME_BYTES 32
#define ABOUT_UNITS 256

static const char *check_command(const struct command *c)
{
	size_t n = c->word ? strlen(c->word) : 0;

	if (!(c->kinds & UPDATE_COMMAND) || n == 0 || n > NAME_BYTES ||
	    strspn(c->word, "abcdefghijklmnopqrstuvwxyz0123456789_") != n)
		return "a command of the menu has no word of 1 to 32 of a-z 0-9 _";
	if (!*c->about || !utf8_valid(span_of(c->about)) || utf8_utf16_len(span_of(c->about)) > ABOUT_UNITS)
		return "what a command does is not told in 1 to 256 characters";
	return NULL;
}

static void put_command(struct json_writer *w, const struct command *c)
{
	json_begin_obj(w);
	json_kv_str(w, "command", c->word);
	json_kv_str(w, "description", c->about);
	json_end_obj(w);
}

enum err telegram_menu(const struct bot *bot, struct arena *a, struct call *out, const char **why)
{
	struct json_writer w;
	struct buf b;
	size_t n = 0;

	*why = NULL;
	buf_init(&b, BODY_MAX);
	json_writer_init(&w, &b);
	json_begin_obj(&w);
	json_key(&w, "commands");
	json_begin_arr(&w);
	for (size_t i = 0; i < bot->ncommands && !*why; i++) {
		const struct command *c = &bot->commands[i];

		if (!c->about)
			continue;
		*why = ++n > COMMANDS_MAX ? "there are more than 100 commands" : check_command(c);
		if (*why)
			*why = arena_printf(a, "%s: %s", c->name, *why);
		put_command(&w, c);
	}
	json_end_arr(&w);
	json_end_obj(&w);
	if (!*why && b.failed)
		*why = "the commands are too long";
	*out = (struct call){.method = "setMyCommands"};
	if (!*why)
		out->body = arena_span(a, buf_span(&b));
	buf_release(&b);
	return *why ? ERR_INVALID : ERR_OK;
}

bool telegram_menu_same(struct span menu, struct span answer, struct arena *a, size_t *n)
{
	static const struct menu_field fields[] = {{"command", MENU_TEXT, NULL}, {"description", MENU_TEXT, NULL}, {0}};
	const char *ignored;
	const cJSON *theirs = json_arr(json_parse(a, answer, &ignored), "result");

	*n = (size_t)cJSON_GetArraySize(theirs);
	return theirs && menu_lists_same(json_arr(json_parse(a, menu, &ignored), "commands"), theirs, fields, false);
}

/* ---- webhooks */

void telegram_hook_set(const struct bot *bot, const struct hook *h, struct arena *a, struct call *out)
{
	struct json_writer w;
	struct buf b;

	buf_init(&b, BODY_MAX);
	json_writer_init(&w, &b);
	json_begin_obj(&w);
	json_kv_str(&w, "url", h->url);
	json_kv_str(&w, "secret_token", h->secret);
	json_kv_i64(&w, "max_connections", h->connections);
	json_key(&w, "allowed_updates");
	json_put_raw(&w, telegram_allowed_updates(bot, a));
	json_end_obj(&w);
	ENSURE(!b.failed);
	*out = (struct call){.method = "setWebhook", .body = arena_span(a, buf_span(&b))};
	buf_release(&b);
}

/* As sets: none means all but a few, and is never what a bot wants. */
static bool updates_same(const cJSON *ours, const cJSON *theirs)
{
	const cJSON *kind, *other;

	if (cJSON_GetArraySize(ours) != cJSON_GetArraySize(theirs))
		return false;
	cJSON_ArrayForEach(kind, ours)
	{
		bool found = false;

		cJSON_ArrayForEach(other, theirs) found =
		    found || (cJSON_IsString(other) && strcmp(other->valuestring, kind->valuestring) == 0);
		if (!found)
			return false;
	}
	return true;
}

bool telegram_hook_read(const struct bot *bot, struct span answer, struct arena *a, struct hook *out)
{
	const char *ignored;
	const cJSON *info = json_obj(json_parse(a, answer, &ignored), "result");

	*out = (struct hook){.url = json_str(info, "url"), .last_error = json_str(info, "last_error_message")};
	json_i64(info, "max_connections", &out->connections);
	json_i64(info, "pending_update_count", &out->pending);
	json_i64(info, "last_error_date", &out->last_error_s);
	out->updates_same =
	    updates_same(json_parse(a, telegram_allowed_updates(bot, a), &ignored), json_arr(info, "allowed_updates"));
	return out->url != NULL;
}
