/* Messages and what stands in them; suggestions. */
#include "shoal/sim/discord_shapes.h"

#include <string.h>

#include "shoal/sim/discord.h"

/* --- embeds */

#define EMBEDS_UNITS 6000

static const struct dc_field media_fields[] = {{"url", DC_URL, true, 1, 2048, NULL}, {0}};
static const struct dc_shape media = {media_fields, NULL};
static const struct dc_field footer_fields[] = {
    {"text", DC_STRING, true, 1, 2048, NULL}, {"icon_url", DC_URL, false, 1, 2048, NULL}, {0}};
static const struct dc_shape footer = {footer_fields, NULL};
static const struct dc_field author_fields[] = {{"name", DC_STRING, true, 1, 256, NULL},
                                                {"url", DC_URL, false, 1, 2048, NULL},
                                                {"icon_url", DC_URL, false, 1, 2048, NULL},
                                                {0}};
static const struct dc_shape author = {author_fields, NULL};
static const struct dc_field line_fields[] = {{"name", DC_TEXT, true, 1, 256, NULL},
                                              {"value", DC_TEXT, true, 1, 1024, NULL},
                                              {"inline", DC_BOOL, false, 0, 0, NULL},
                                              {0}};
static const struct dc_shape line = {line_fields, NULL};
static const struct dc_field embed_fields[] = {
    {"title", DC_TEXT, false, 0, 256, NULL},        {"type", DC_STRING, false, 0, 0, NULL},
    {"description", DC_TEXT, false, 0, 4096, NULL}, {"url", DC_URL, false, 1, 2048, NULL},
    {"timestamp", DC_STRING, false, 0, 0, NULL},    {"color", DC_INT, false, 0, 0xffffff, NULL},
    {"footer", DC_OBJECT, false, 0, 0, &footer},    {"image", DC_OBJECT, false, 0, 0, &media},
    {"thumbnail", DC_OBJECT, false, 0, 0, &media},  {"author", DC_OBJECT, false, 0, 0, &author},
    {"fields", DC_LIST, false, 0, 25, &line},       {0},
};
const struct dc_shape dc_shape_embed = {embed_fields, NULL};

static size_t units(const cJSON *obj, const char *name)
{
	return utf8_utf16_len(span_of(json_str(obj, name)));
}

static void check_embeds_size(struct dc_check *c, const cJSON *embeds)
{
	const cJSON *e, *f;
	size_t sum = 0;

	cJSON_ArrayForEach(e, embeds)
	{
		sum += units(e, "title") + units(e, "description") + units(json_obj(e, "footer"), "text") +
		       units(json_obj(e, "author"), "name");
		cJSON_ArrayForEach(f, json_arr(e, "fields")) sum += units(f, "name") + units(f, "value");
	}
	if (sum > EMBEDS_UNITS)
		dc_wrong(c, "embeds", "MAX_EMBED_SIZE_EXCEEDED", "Embed size exceeds maximum size of %d", EMBEDS_UNITS);
}

/* --- who is told */

static void check_parse(struct dc_check *c, const cJSON *v)
{
	const char *s = cJSON_IsString(v) ? v->valuestring : "";

	if (strcmp(s, "users") != 0 && strcmp(s, "roles") != 0 && strcmp(s, "everyone") != 0)
		dc_wrong(c, NULL, "BASE_TYPE_CHOICES", "Value must be one of ('users', 'everyone', 'roles').");
}
static const struct dc_shape parse = {NULL, check_parse};

static void check_listed(struct dc_check *c, const cJSON *v)
{
	int64_t id;

	if (!dc_id(v, &id))
		dc_wrong(c, NULL, "NUMBER_TYPE_COERCE", "Value is not snowflake.");
}
static const struct dc_shape listed = {NULL, check_listed};

static const struct dc_field allowed_fields[] = {{"parse", DC_LIST, false, 0, 3, &parse},
                                                 {"roles", DC_LIST, false, 0, 100, &listed},
                                                 {"users", DC_LIST, false, 0, 100, &listed},
                                                 {"replied_user", DC_BOOL, false, 0, 0, NULL},
                                                 {0}};

static void check_allowed(struct dc_check *c, const cJSON *v)
{
	const cJSON *p;

	cJSON_ArrayForEach(p, json_arr(v, "parse"))
	{
		const char *s = cJSON_IsString(p) ? p->valuestring : "";

		if (cJSON_GetArraySize(json_arr(v, s)) > 0)
			dc_wrong(c, NULL, "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE",
			         "parse:[\"%s\"] and %s: [ids...] are mutually exclusive.", s, s);
	}
}
static const struct dc_shape allowed = {allowed_fields, check_allowed};

/* --- messages */

static const struct dc_field reference_fields[] = {{"message_id", DC_SNOWFLAKE, true, 0, 0, NULL},
                                                   {"channel_id", DC_SNOWFLAKE, false, 0, 0, NULL},
                                                   {"guild_id", DC_SNOWFLAKE, false, 0, 0, NULL},
                                                   {"fail_if_not_exists", DC_BOOL, false, 0, 0, NULL},
                                                   {0}};
static const struct dc_shape reference = {reference_fields, NULL};

static const struct dc_field message_fields[] = {
    {"content", DC_TEXT, false, 0, 2000, NULL},
    {"nonce", DC_ANY, false, 0, 0, NULL},
    {"enforce_nonce", DC_BOOL, false, 0, 0, NULL},
    {"tts", DC_BOOL, false, 0, 0, NULL},
    {"embeds", DC_LIST, false, 0, 10, &dc_shape_embed},
    {"allowed_mentions", DC_OBJECT, false, 0, 0, &allowed},
    {"message_reference", DC_OBJECT, false, 0, 0, &reference},
    {"components", DC_LIST, false, 0, 5, &dc_shape_rows},
    {"sticker_ids", DC_LIST, false, 0, 3, &listed},
    {"attachments", DC_LIST, false, 0, 10, NULL},
    {"flags", DC_INT, false, 0, 0, NULL},
    {"poll", DC_OBJECT, false, 0, 0, NULL},
    {0},
};

static void check_nonce(struct dc_check *c, const cJSON *v)
{
	int64_t n;

	if (!v || cJSON_IsNull(v) || json_value_i64(v, &n))
		return;
	if (!cJSON_IsString(v))
		dc_wrong(c, "nonce", "NONCE_TYPE_INVALID", "Nonce must be a string or an integer.");
	else if (utf8_utf16_len(span_of(v->valuestring)) > 25)
		dc_wrong(c, "nonce", "NONCE_TYPE_TOO_LONG", "Nonce must be 25 or fewer in length.");
}

static void check_message(struct dc_check *c, const cJSON *v)
{
	int64_t flags = 0;

	check_nonce(c, json_get(v, "nonce"));
	check_embeds_size(c, json_arr(v, "embeds"));
	dc_check_custom_ids(c, json_arr(v, "components"));
	json_i64(v, "flags", &flags);
	if (flags & DC_FLAG_COMPONENTS_V2)
		dc_wrong(c, "flags", "SIMULATOR", "this simulator knows components in rows only");
	for (size_t i = 0; i < 3; i++) {
		static const char *const absent[] = {"poll", "sticker_ids", "attachments"};
		const cJSON *member = json_get(v, absent[i]);

		if (cJSON_IsObject(member) || cJSON_GetArraySize(member) > 0)
			dc_wrong(c, absent[i], "SIMULATOR", "this simulator does not know them");
	}
}
const struct dc_shape dc_shape_message = {message_fields, check_message};

static const struct dc_field deferral_fields[] = {{"flags", DC_INT, false, 0, 0, NULL}, {0}};
const struct dc_shape dc_shape_deferral = {deferral_fields, NULL};

/* --- choices, of commands and of suggestions */

#define EXACT_MAX ((1ll << 53) - 1)

static const struct dc_field string_choice[] = {
    {"name", DC_STRING, true, 1, 100, NULL}, {"value", DC_STRING, true, 0, 100, NULL}, {0}};
static const struct dc_field integer_choice[] = {
    {"name", DC_STRING, true, 1, 100, NULL}, {"value", DC_INT, true, -EXACT_MAX, EXACT_MAX, NULL}, {0}};
static const struct dc_field number_choice[] = {
    {"name", DC_STRING, true, 1, 100, NULL}, {"value", DC_NUMBER, true, 0, 0, NULL}, {0}};
const struct dc_shape dc_shape_choice_string = {string_choice, NULL};
const struct dc_shape dc_shape_choice_integer = {integer_choice, NULL};
const struct dc_shape dc_shape_choice_number = {number_choice, NULL};

void dc_check_choices(struct dc_check *c, const cJSON *data, int option_type)
{
	const struct dc_field fields[] = {{"choices", DC_LIST, true, 0, 25,
	                                   option_type == DC_OPTION_INTEGER  ? &dc_shape_choice_integer
	                                   : option_type == DC_OPTION_NUMBER ? &dc_shape_choice_number
	                                                                     : &dc_shape_choice_string},
	                                  {0}};

	dc_check_fields(c, fields, data);
}
