#include "shoal/wire/discord.h"

#include <string.h>

#include "shoal/wire/data.h"
#include "shoal/wire/own.h"

static const struct {
	const char *name;
	enum update_kind kind; /* where all that it needs is there */
} types[DISCORD_TYPES] = {
    [DISCORD_UNKNOWN] = {"unknown", UPDATE_OTHER},
    [DISCORD_PING] = {"ping", UPDATE_OTHER},
    [DISCORD_COMMAND] = {"application_command", UPDATE_SLASH},
    [DISCORD_COMPONENT] = {"message_component", UPDATE_PRESS},
    [DISCORD_AUTOCOMPLETE] = {"application_command_autocomplete", UPDATE_SUGGEST},
    [DISCORD_MODAL] = {"modal_submit", UPDATE_FORM},
};

/* Of data.type: the commands that are typed; the others stand in menus of people and messages. */
#define CHAT_INPUT 1
/* Of an option: those that hold others. */
#define OPTION_SUBCOMMAND 1
#define OPTION_GROUP 2

#define WORD_BYTES 128 /* 32 characters */
#define FORM_DEPTH 4

bool discord_snowflake(const cJSON *obj, const char *name, int64_t *out)
{
	const char *s = json_str(obj, name);
	int64_t id;

	if (!s || *s < '0' || *s > '9' || !span_i64(span_of(s), &id) || id <= 0)
		return false;
	*out = id;
	return true;
}

enum err discord_locate(struct span body, struct arena *a, struct discord_place *p, const char **why)
{
	int64_t type;

	*p = (struct discord_place){.root = json_parse(a, body, why)};
	if (!p->root)
		return ERR_INVALID;
	if (!cJSON_IsObject(p->root)) {
		*why = "the body is not a JSON object";
		return ERR_INVALID;
	}
	if (!json_i64(p->root, "type", &type)) {
		*why = "type is not an integer";
		return ERR_INVALID;
	}
	p->type = type > 0 && type < DISCORD_TYPES ? (enum discord_type)type : DISCORD_UNKNOWN;
	p->kind_name = types[p->type].name;
	if (!discord_snowflake(p->root, "id", &p->id) && p->type != DISCORD_PING) {
		*why = "id is not a snowflake as a string";
		return ERR_INVALID;
	}
	p->user = json_obj(json_obj(p->root, "member"), "user");
	if (!p->user)
		p->user = json_obj(p->root, "user");
	if (!discord_snowflake(p->user, "id", &p->user_id))
		p->user = NULL;
	return ERR_OK;
}

static void read_place(const struct discord_place *p, struct update *u)
{
	const cJSON *root = p->root;
	const char *name = json_str(json_obj(root, "member"), "nick");

	u->kind_name = p->kind_name;
	u->token = json_str(root, "token");
	discord_snowflake(root, "guild_id", &u->guild_id);
	if (!discord_snowflake(root, "channel_id", &u->chat_id))
		discord_snowflake(json_obj(root, "channel"), "id", &u->chat_id);
	if (u->chat_id)
		u->chat = u->guild_id ? CHAT_GROUP : CHAT_PRIVATE;
	if (!p->user)
		return;
	u->from.id = p->user_id;
	u->from.username = json_str(p->user, "username");
	if (!name)
		name = json_str(p->user, "global_name");
	u->from.first_name = name ? name : u->from.username;
	u->from.language_code = json_str(root, "locale");
	json_bool(p->user, "bot", &u->from.is_bot);
}

/* ---- options: counted first, so that an array holds them */

struct options {
	struct arena *a;
	struct option *v; /* NULL while they are counted */
	size_t n;
	const struct option *focus;
};

static const char *text_of(const cJSON *value, struct arena *a)
{
	struct buf b;
	struct json_writer w;
	const char *out;

	if (cJSON_IsString(value))
		return value->valuestring;
	buf_init(&b, 64); /* a number or a boolean */
	json_writer_init(&w, &b);
	json_put(&w, value);
	out = b.failed ? "" : arena_strndup(a, b.ptr, b.len);
	buf_release(&b);
	return out;
}

static void options_add(struct options *o, const char *name, const cJSON *value)
{
	struct option *out;

	if (!name || !(cJSON_IsString(value) || cJSON_IsNumber(value) || cJSON_IsBool(value)))
		return;
	o->n++;
	if (!o->v)
		return;
	out = &o->v[o->n - 1];
	*out = (struct option){.name = name, .value = text_of(value, o->a)};
	if (!span_i64(span_of(out->value), &out->id))
		out->id = 0;
}

static void options_chosen(struct options *o, const char *name, const cJSON *values)
{
	const cJSON *value;

	cJSON_ArrayForEach(value, values) options_add(o, name, value);
}

/* Has `fill` add what it finds, twice: once to count. */
static void read_options(struct update *u, struct arena *a, void (*fill)(struct options *o, const cJSON *from),
                         const cJSON *from)
{
	struct options o = {.a = a};

	fill(&o, from);
	o.v = arena_array(a, struct option, o.n + 1);
	o.n = 0;
	fill(&o, from);
	u->options = o.v;
	u->noptions = o.n;
	u->focus = o.focus;
}

/* ---- commands */

static void fill_command(struct options *o, const cJSON *command)
{
	const cJSON *option;

	cJSON_ArrayForEach(option, json_arr(command, "options"))
	{
		size_t before = o->n;
		bool focused = false;

		options_add(o, json_str(option, "name"), json_get(option, "value"));
		if (o->v && o->n > before && json_bool(option, "focused", &focused) && focused)
			o->focus = &o->v[before];
	}
}

static bool is_name(const char *s)
{
	return s && *s && strlen(s) <= WORD_BYTES && !strchr(s, ' ');
}

/* The only option of a command that has subcommands. */
static const cJSON *subcommand(const cJSON *command)
{
	const cJSON *first = cJSON_GetArrayItem(json_arr(command, "options"), 0);
	int64_t type;

	if (!json_i64(first, "type", &type) || (type != OPTION_SUBCOMMAND && type != OPTION_GROUP))
		return NULL;
	return first;
}

static void read_command(const cJSON *data, const struct discord_place *p, struct arena *a, struct update *u)
{
	const char *word = json_str(data, "name");
	int64_t type = CHAT_INPUT;

	json_i64(data, "type", &type);
	if (type != CHAT_INPUT || !is_name(word))
		return;
	for (const cJSON *sub = subcommand(data); sub; sub = subcommand(sub)) {
		if (!is_name(json_str(sub, "name")) || strlen(word) > 2 * WORD_BYTES)
			return;
		word = arena_printf(a, "%s %s", word, json_str(sub, "name"));
		data = sub;
	}
	u->kind = types[p->type].kind;
	u->word = word;
	read_options(u, a, fill_command, data);
}

/* ---- components and forms */

static void fill_menu(struct options *o, const cJSON *data)
{
	options_chosen(o, "value", json_arr(data, "values"));
}

/* Fields stand in rows or under labels, one level deep or two. */
static void fill_form_at(struct options *o, const cJSON *at, int depth)
{
	const char *name = json_str(at, "custom_id");
	const cJSON *child;

	options_add(o, name, json_get(at, "value"));
	options_chosen(o, name, json_arr(at, "values"));
	if (depth == 0)
		return;
	if (json_obj(at, "component"))
		fill_form_at(o, json_obj(at, "component"), depth - 1);
	cJSON_ArrayForEach(child, json_arr(at, "components")) fill_form_at(o, child, depth - 1);
}

static void fill_form(struct options *o, const cJSON *data)
{
	const cJSON *child;

	cJSON_ArrayForEach(child, json_arr(data, "components")) fill_form_at(o, child, FORM_DEPTH);
}

static void read_data(const cJSON *data, const struct discord_place *p, struct arena *a, struct update *u)
{
	const char *custom_id = json_str(data, "custom_id");

	if (!custom_id || u->from.id == 0)
		return;
	u->kind = types[p->type].kind;
	u->data = custom_id;
	u->press_id = json_str(p->root, "id");
	data_read(a, u);
	read_options(u, a, p->type == DISCORD_MODAL ? fill_form : fill_menu, data);
}

/* Discord's interactions, which the gateway takes in, all have a type. */
static bool read_own(struct span body, struct arena *a, struct update *u)
{
	const char *why;
	const cJSON *root = own_begins(body) ? json_parse(a, body, &why) : NULL;

	return root && !json_get(root, "type") && own_read(root, a, u);
}

enum err discord_decode(const struct bot *bot, struct span body, const char *key, int64_t at_ms, struct arena *a,
                        struct update *u, const char **why)
{
	struct discord_place p;
	const cJSON *data;

	(void)bot;
	*u = (struct update){
	    .kind = UPDATE_OTHER, .kind_name = "unknown", .key = key, .received_ms = at_ms, .text = "", .payload = ""};
	if (read_own(body, a, u))
		return ERR_OK;
	if (discord_locate(body, a, &p, why) != ERR_OK)
		return ERR_INVALID;
	read_place(&p, u);
	u->serial = p.id;
	discord_snowflake(json_obj(p.root, "message"), "id", &u->message_id);
	data = json_obj(p.root, "data");
	if (p.type == DISCORD_COMMAND || p.type == DISCORD_AUTOCOMPLETE)
		read_command(data, &p, a, u);
	else if (p.type == DISCORD_COMPONENT || p.type == DISCORD_MODAL)
		read_data(data, &p, a, u);
	return ERR_OK;
}
