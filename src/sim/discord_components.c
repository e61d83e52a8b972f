/* Components of messages and modals. */
#include <string.h>

#include "shoal/sim/discord_shapes.h"

#define DEPTH_MAX 6

bool dc_is_select(int64_t type)
{
	return type == DC_SELECT || (type >= DC_SELECT_USER && type <= DC_SELECT_CHANNEL);
}

/* --- the kinds */

static const struct dc_field emoji_fields[] = {
    {"id", DC_SNOWFLAKE, false, 0, 0, NULL}, {"name", DC_STRING, false, 0, 0, NULL}, {0}};
static const struct dc_shape emoji = {emoji_fields, NULL};

static const struct dc_field button_fields[] = {
    {"style", DC_INT, true, 1, 6, NULL},         {"label", DC_STRING, false, 0, 80, NULL},
    {"emoji", DC_OBJECT, false, 0, 0, &emoji},   {"custom_id", DC_STRING, false, 1, 100, NULL},
    {"sku_id", DC_SNOWFLAKE, false, 0, 0, NULL}, {"url", DC_URL, false, 1, 512, NULL},
    {"disabled", DC_BOOL, false, 0, 0, NULL},    {0},
};

static bool there(const cJSON *v, const char *name)
{
	const cJSON *member = json_get(v, name);

	return member && !cJSON_IsNull(member) && !(cJSON_IsString(member) && !member->valuestring[0]);
}

static void check_button(struct dc_check *c, const cJSON *v)
{
	int64_t style = 0;

	json_i64(v, "style", &style);
	if (style == 6) {
		dc_wrong(c, "style", "BASE_TYPE_CHOICES", "this simulator sells nothing: one of (1, 2, 3, 4, 5)");
		return;
	}
	if (!there(v, "label") && !there(v, "emoji"))
		dc_wrong(c, NULL, "BUTTON_COMPONENT_INVALID_LABEL", "A button needs a label or an emoji");
	if (style == DC_STYLE_LINK && !there(v, "url"))
		dc_missing(c, "url");
	if (style == DC_STYLE_LINK && there(v, "custom_id"))
		dc_wrong(c, NULL, "BUTTON_COMPONENT_CUSTOM_ID_URL_MUTUALLY_EXCLUSIVE",
		         "A custom id and url cannot both be specified");
	if (style != DC_STYLE_LINK && !there(v, "custom_id"))
		dc_missing(c, "custom_id");
	if (style != DC_STYLE_LINK && there(v, "url"))
		dc_wrong(c, NULL, "BUTTON_COMPONENT_INVALID_STYLE", "Only buttons of style 5 have a url");
}
static const struct dc_shape button = {button_fields, check_button};

static const struct dc_field option_fields[] = {
    {"label", DC_STRING, true, 1, 100, NULL},        {"value", DC_STRING, true, 1, 100, NULL},
    {"description", DC_STRING, false, 0, 100, NULL}, {"emoji", DC_OBJECT, false, 0, 0, &emoji},
    {"default", DC_BOOL, false, 0, 0, NULL},         {0},
};
static const struct dc_shape option = {option_fields, NULL};

static const struct dc_field select_fields[] = {
    {"custom_id", DC_STRING, true, 1, 100, NULL},   {"placeholder", DC_STRING, false, 0, 150, NULL},
    {"min_values", DC_INT, false, 0, 25, NULL},     {"max_values", DC_INT, false, 1, 25, NULL},
    {"disabled", DC_BOOL, false, 0, 0, NULL},       {"required", DC_BOOL, false, 0, 0, NULL},
    {"options", DC_LIST, false, 1, 25, &option},    {"default_values", DC_LIST, false, 0, 25, NULL},
    {"channel_types", DC_LIST, false, 0, 25, NULL}, {0},
};

/* The same value twice could not be told apart. */
static void check_values(struct dc_check *c, const cJSON *options)
{
	const cJSON *a, *b;

	cJSON_ArrayForEach(a, options)
	{
		for (b = options->child; b != a; b = b->next) {
			const char *x = json_str(a, "value"), *y = json_str(b, "value");

			if (x && y && strcmp(x, y) == 0)
				dc_wrong(c, "options", "SELECT_COMPONENT_OPTION_VALUE_DUPLICATED",
				         "The specified option value is already used");
		}
	}
}

static void check_select(struct dc_check *c, const cJSON *v)
{
	int64_t type = 0, least = 1, most = 1, n = cJSON_GetArraySize(json_arr(v, "options"));

	json_i64(v, "type", &type);
	json_i64(v, "min_values", &least);
	json_i64(v, "max_values", &most);
	if (type == DC_SELECT && !json_arr(v, "options"))
		dc_missing(c, "options");
	if (type == DC_SELECT && (least > n || most > n) && n > 0)
		dc_wrong(c, NULL, "SELECT_COMPONENT_INVALID_VALUES", "more values than options");
	if (least > most)
		dc_wrong(c, "min_values", "SELECT_COMPONENT_MIN_VALUES_TOO_LARGE", "more than max_values");
	check_values(c, json_arr(v, "options"));
}
static const struct dc_shape select_menu = {select_fields, check_select};

static const struct dc_field input_fields[] = {
    {"custom_id", DC_STRING, true, 1, 100, NULL},
    {"style", DC_INT, true, 1, 2, NULL},
    {"label", DC_STRING, false, 1, 45, NULL},
    {"min_length", DC_INT, false, 0, 4000, NULL},
    {"max_length", DC_INT, false, 1, 4000, NULL},
    {"required", DC_BOOL, false, 0, 0, NULL},
    {"value", DC_STRING, false, 0, 4000, NULL},
    {"placeholder", DC_STRING, false, 0, 100, NULL},
    {0},
};

static void check_input(struct dc_check *c, const cJSON *v)
{
	int64_t least = 0, most = 4000;

	json_i64(v, "min_length", &least);
	json_i64(v, "max_length", &most);
	if (least > most)
		dc_wrong(c, "min_length", "TEXT_INPUT_MIN_LENGTH_TOO_LARGE", "more than max_length");
}
static const struct dc_shape input = {input_fields, check_input};

static const struct dc_field display_fields[] = {{"content", DC_TEXT, true, 1, 4000, NULL}, {0}};
static const struct dc_shape display = {display_fields, NULL};

/* --- which kind stands where */

struct kind {
	int64_t first, last; /* types */
	const struct dc_shape *shape;
};

static void check_kind(struct dc_check *c, const cJSON *v, const struct kind *kinds, size_t n, const char *types)
{
	static const struct dc_field common[] = {{"id", DC_INT, false, 0, INT32_MAX, NULL}, {0}};
	int64_t type = 0;

	if (!cJSON_IsObject(v)) {
		dc_wrong(c, NULL, "MODEL_TYPE_CONVERT", "Only dictionaries may be used in a ModelType");
		return;
	}
	if (!json_get(v, "type")) {
		dc_missing(c, "type");
		return;
	}
	json_i64(v, "type", &type);
	for (size_t i = 0; i < n; i++) {
		if (type < kinds[i].first || type > kinds[i].last)
			continue;
		dc_check_fields(c, common, v);
		dc_check_shape(c, kinds[i].shape, v);
		return;
	}
	dc_wrong(c, "type", "UNION_TYPE_CHOICES", "Value of field \"type\" must be one of (%s).", types);
}
#define KINDS(c, v, types, ...)                                                                                        \
	check_kind(c, v, (const struct kind[]){__VA_ARGS__},                                                           \
	           sizeof((const struct kind[]){__VA_ARGS__}) / sizeof(struct kind), types)

static void check_in_row(struct dc_check *c, const cJSON *v)
{
	KINDS(c, v, "2, 3, 5, 6, 7, 8", {DC_BUTTON, DC_BUTTON, &button}, {DC_SELECT, DC_SELECT, &select_menu},
	      {DC_SELECT_USER, DC_SELECT_CHANNEL, &select_menu});
}
static const struct dc_shape in_row = {NULL, check_in_row};

/* Up to five buttons, or one menu. */
static void check_row_width(struct dc_check *c, const cJSON *v)
{
	const cJSON *list = json_arr(v, "components"), *child;
	int width = 0;

	cJSON_ArrayForEach(child, list)
	{
		int64_t type = 0;

		json_i64(child, "type", &type);
		width += dc_is_select(type) ? 5 : 1;
	}
	if (width > 5)
		dc_wrong(c, "components", "COMPONENT_LAYOUT_WIDTH_EXCEEDED",
		         "The specified component exceeds the maximum width");
}
static const struct dc_field row_fields[] = {{"components", DC_LIST, true, 1, 5, &in_row}, {0}};
static const struct dc_shape row = {row_fields, check_row_width};

static void check_top(struct dc_check *c, const cJSON *v)
{
	KINDS(c, v, "1", {DC_ROW, DC_ROW, &row});
}
const struct dc_shape dc_shape_rows = {NULL, check_top};

static void check_in_label(struct dc_check *c, const cJSON *v)
{
	KINDS(c, v, "3, 4, 5, 6, 7, 8", {DC_INPUT, DC_INPUT, &input}, {DC_SELECT, DC_SELECT, &select_menu},
	      {DC_SELECT_USER, DC_SELECT_CHANNEL, &select_menu});
	if (json_get(v, "disabled") && cJSON_IsTrue(json_get(v, "disabled")))
		dc_wrong(c, "disabled", "COMPONENT_DISABLED_IN_MODAL", "nothing in a modal may be disabled");
	if (there(v, "label"))
		dc_wrong(c, "label", "COMPONENT_LABEL_TWICE", "an input in a label has no label of its own");
}
static const struct dc_shape in_label = {NULL, check_in_label};

static const struct dc_field label_fields[] = {{"label", DC_STRING, true, 1, 45, NULL},
                                               {"description", DC_STRING, false, 0, 100, NULL},
                                               {"component", DC_OBJECT, true, 0, 0, &in_label},
                                               {0}};
static const struct dc_shape label = {label_fields, NULL};

/* The older form: an input of its own label in a row of its own. */
static void check_old_input(struct dc_check *c, const cJSON *v)
{
	KINDS(c, v, "4", {DC_INPUT, DC_INPUT, &input});
	if (!there(v, "label"))
		dc_missing(c, "label");
}
static const struct dc_shape in_old_row = {NULL, check_old_input};
static const struct dc_field old_row_fields[] = {{"components", DC_LIST, true, 1, 1, &in_old_row}, {0}};
static const struct dc_shape old_row = {old_row_fields, NULL};

static void check_in_modal(struct dc_check *c, const cJSON *v)
{
	KINDS(c, v, "1, 10, 18", {DC_ROW, DC_ROW, &old_row}, {DC_TEXT_DISPLAY, DC_TEXT_DISPLAY, &display},
	      {DC_LABEL, DC_LABEL, &label});
}
static const struct dc_shape in_modal = {NULL, check_in_modal};

static const struct dc_field modal_fields[] = {{"custom_id", DC_STRING, true, 1, 100, NULL},
                                               {"title", DC_STRING, true, 1, 45, NULL},
                                               {"components", DC_LIST, true, 1, 5, &in_modal},
                                               {0}};
static void check_modal(struct dc_check *c, const cJSON *v)
{
	dc_check_custom_ids(c, json_arr(v, "components"));
}
const struct dc_shape dc_shape_modal = {modal_fields, check_modal};

/* --- all of an object */

static const cJSON *find(const cJSON *v, const char *custom_id, int depth)
{
	const char *id = json_str(v, "custom_id");
	const cJSON *child, *found = json_obj(v, "component");

	if (id && strcmp(id, custom_id) == 0)
		return v;
	if (depth == 0)
		return NULL;
	found = found ? find(found, custom_id, depth - 1) : NULL;
	cJSON_ArrayForEach(child, json_arr(v, "components"))
	{
		if (!found)
			found = find(child, custom_id, depth - 1);
	}
	return found;
}

const cJSON *dc_find_component(const cJSON *list, const char *custom_id)
{
	const cJSON *child, *found = NULL;

	cJSON_ArrayForEach(child, list)
	{
		if (!found)
			found = find(child, custom_id, DEPTH_MAX);
	}
	return found;
}

/* Every component with a custom_id must be the first with it. */
static void check_unique(struct dc_check *c, const cJSON *list, const cJSON *v, int depth)
{
	const char *id = json_str(v, "custom_id");
	const cJSON *child;

	if (id && dc_find_component(list, id) != v)
		dc_wrong(c, "components", "COMPONENT_CUSTOM_ID_DUPLICATED", "Component custom id cannot be duplicated");
	if (depth == 0)
		return;
	if (json_obj(v, "component"))
		check_unique(c, list, json_obj(v, "component"), depth - 1);
	cJSON_ArrayForEach(child, json_arr(v, "components")) check_unique(c, list, child, depth - 1);
}

void dc_check_custom_ids(struct dc_check *c, const cJSON *components)
{
	const cJSON *child;

	cJSON_ArrayForEach(child, components) check_unique(c, components, child, DEPTH_MAX);
}
