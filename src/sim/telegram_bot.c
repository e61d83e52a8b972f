/* What a bot asks and says about itself and its chats. */
#include <stdlib.h>
#include <string.h>

#include "shoal/base/json.h"
#include "shoal/sim/call.h"
#include "shoal/sim/telegram.h"

enum outcome tg_get_me(struct call *c)
{
	const struct bot *b = c->bot;
	struct json_writer *w = &c->w;

	json_begin_obj(w);
	json_kv_i64(w, "id", b->id);
	json_kv_bool(w, "is_bot", true);
	json_kv_str(w, "first_name", b->title);
	json_kv_str(w, "username", b->username);
	json_kv_bool(w, "can_join_groups", true);
	json_kv_bool(w, "can_read_all_group_messages", false);
	json_kv_bool(w, "supports_guest_queries", false);
	json_kv_bool(w, "supports_inline_queries", false);
	json_kv_bool(w, "can_connect_to_business", false);
	json_kv_bool(w, "has_main_web_app", false);
	json_kv_bool(w, "has_topics_enabled", false);
	json_kv_bool(w, "allows_users_to_create_topics", false);
	json_kv_bool(w, "can_manage_bots", false);
	json_kv_bool(w, "supports_join_request_queries", false);
	json_end_obj(w);
	return CALL_DONE;
}

enum outcome tg_get_chat(struct call *c)
{
	struct chat *chat = call_chat_seen(c);
	struct json_writer *w = &c->w;

	if (!chat) {
		/* looking is allowed where writing is not, but only at chats that the bot was in */
		return call_fail(c, 400, "Bad Request: chat not found");
	}
	json_begin_obj(w);
	json_kv_i64(w, "id", chat->id);
	json_kv_str(w, "type", chat->type);
	if (chat->user) {
		json_kv_str(w, "first_name", chat->user->first_name);
		if (chat->user->username) {
			json_kv_str(w, "username", chat->user->username);
			json_key(w, "active_usernames");
			json_begin_arr(w);
			json_put_str(w, chat->user->username);
			json_end_arr(w);
		}
	} else {
		json_kv_str(w, "title", chat->title);
	}
	json_kv_i64(w, "accent_color_id", (int64_t)((uint64_t)chat->id % 7));
	json_kv_i64(w, "max_reaction_count", 11);
	json_key(w, "accepted_gift_types");
	json_begin_obj(w);
	json_kv_bool(w, "unlimited_gifts", true);
	json_kv_bool(w, "limited_gifts", true);
	json_kv_bool(w, "unique_gifts", true);
	json_kv_bool(w, "premium_subscription", true);
	json_kv_bool(w, "gifts_from_channels", true);
	json_end_obj(w);
	json_end_obj(w);
	return CALL_DONE;
}

/* --- commands, by scope and language */

static const struct {
	const char *type;
	bool chat, user;
} scopes[] = {
    {"default", false, false},
    {"all_private_chats", false, false},
    {"all_group_chats", false, false},
    {"all_chat_administrators", false, false},
    {"chat", true, false},
    {"chat_administrators", true, false},
    {"chat_member", true, true},
};

/* "type chat user language", NULL after call_fail. */
static const char *read_scope(struct call *c)
{
	bool bad;
	const cJSON *v = param_json(c, "scope", &bad);
	const char *type = v ? json_str(v, "type") : "default", *language = param_text(c, "language_code");
	int64_t chat_id = 0, user_id = 0;

	if (language && (strlen(language) != 2 || strspn(language, "abcdefghijklmnopqrstuvwxyz") != 2)) {
		call_fail(c, 400, "Bad Request: language code is invalid");
		return NULL;
	}
	json_i64(v, "chat_id", &chat_id);
	json_i64(v, "user_id", &user_id);
	for (size_t i = 0; !bad && type && i < sizeof(scopes) / sizeof(scopes[0]); i++) {
		if (strcmp(type, scopes[i].type) == 0 && (!scopes[i].chat || chat_id) && (!scopes[i].user || user_id))
			return arena_printf(c->arena, "%s %lld %lld %s", type, (long long)chat_id, (long long)user_id,
			                    language ? language : "");
	}
	call_fail(c, 400, "Bad Request: can't parse BotCommandScope: unsupported type or identifier is missing");
	return NULL;
}

static struct command_list **find_commands(struct bot *b, const char *scope)
{
	struct command_list **p = &b->commands;
	while (*p && strcmp((*p)->scope, scope) != 0)
		p = &(*p)->next;
	return p;
}

static void remove_commands(struct command_list **p)
{
	struct command_list *l = *p;

	if (!l)
		return;
	*p = l->next;
	free(l->scope);
	free(l->json);
	free(l);
}

static const char *check_command(const char *command, const char *description)
{
	if (!command || !description)
		return "Bad Request: can't parse BotCommand: command and description are needed";
	command += *command == '/';
	size_t n = strlen(command);
	if (n < 1 || n > 32 || strspn(command, "abcdefghijklmnopqrstuvwxyz0123456789_") != n)
		return "Bad Request: BOT_COMMAND_INVALID";
	if (!*description || utf8_utf16_len(span_of(description)) > 256)
		return "Bad Request: BOT_COMMAND_DESCRIPTION_INVALID";
	return NULL;
}

static const char *commands_json(struct call *c, const cJSON *list, const char **why)
{
	struct json_writer w;
	struct buf b;
	const cJSON *v;

	buf_init(&b, 256u << 10);
	json_writer_init(&w, &b);
	json_begin_arr(&w);
	*why = cJSON_GetArraySize(list) > 100 ? "Bad Request: BOT_COMMANDS_TOO_MUCH" : NULL;
	cJSON_ArrayForEach(v, list)
	{
		const char *command = json_str(v, "command"), *description = json_str(v, "description");
		if (!*why)
			*why = check_command(command, description);
		if (*why)
			break;
		json_begin_obj(&w);
		json_kv_str(&w, "command", command + (*command == '/'));
		json_kv_str(&w, "description", description);
		json_end_obj(&w);
	}
	json_end_arr(&w);
	const char *json = *why || b.failed ? NULL : arena_strndup(c->arena, b.ptr, b.len);
	buf_release(&b);
	return json;
}

enum outcome tg_set_my_commands(struct call *c)
{
	bool bad;
	const cJSON *list = param_json(c, "commands", &bad);
	const char *scope = read_scope(c), *why = NULL;

	if (!scope)
		return CALL_DONE;
	if (!list || !cJSON_IsArray(list))
		return call_fail(c, 400, "Bad Request: can't parse commands JSON array");
	const char *json = commands_json(c, list, &why);
	if (!json)
		return call_fail(c, 400, "%s", why ? why : "Bad Request: BOT_COMMANDS_TOO_MUCH");
	struct command_list **p = find_commands(c->bot, scope);
	remove_commands(p);
	if (list->child) {
		struct command_list *l = mem_zalloc(sizeof(*l));
		l->scope = mem_strdup(scope);
		l->json = mem_strdup(json);
		l->next = *p;
		*p = l;
	}
	return call_true(c);
}

enum outcome tg_get_my_commands(struct call *c)
{
	const char *scope = read_scope(c);

	if (!scope)
		return CALL_DONE;
	struct command_list *l = *find_commands(c->bot, scope);
	json_put_raw(&c->w, span_of(l ? l->json : "[]"));
	return CALL_DONE;
}

enum outcome tg_delete_my_commands(struct call *c)
{
	const char *scope = read_scope(c);

	if (!scope)
		return CALL_DONE;
	remove_commands(find_commands(c->bot, scope));
	return call_true(c);
}

enum outcome tg_set_my_description(struct call *c)
{
	const char *text = param_text(c, "description");

	if (text && (!utf8_valid(span_of(text)) || utf8_utf16_len(span_of(text)) > 512))
		return call_fail(c, 400, "Bad Request: description is too long");
	if (!param_text(c, "language_code"))
		message_set(&c->bot->description, text ? text : "");
	return call_true(c);
}

enum outcome tg_get_my_description(struct call *c)
{
	json_begin_obj(&c->w);
	json_kv_str(&c->w, "description", param_text(c, "language_code") ? "" : c->bot->description);
	json_end_obj(&c->w);
	return CALL_DONE;
}
