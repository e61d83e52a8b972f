/* What Discord takes: messages, what stands in them, modals, suggestions, commands. */
#ifndef SHOAL_SIM_DISCORD_SHAPES_H
#define SHOAL_SIM_DISCORD_SHAPES_H

#include "shoal/sim/discord_check.h"

/* Types of components that the simulator knows. */
enum {
	DC_ROW = 1,
	DC_BUTTON,
	DC_SELECT, /* of texts */
	DC_INPUT,
	DC_SELECT_USER,
	DC_SELECT_ROLE,
	DC_SELECT_MENTIONABLE,
	DC_SELECT_CHANNEL,
	DC_TEXT_DISPLAY = 10,
	DC_LABEL = 18,
};
enum { DC_STYLE_LINK = 5 };

/* Types of the options of a command. */
enum {
	DC_OPTION_SUBCOMMAND = 1,
	DC_OPTION_GROUP,
	DC_OPTION_STRING,
	DC_OPTION_INTEGER,
	DC_OPTION_BOOLEAN,
	DC_OPTION_USER,
	DC_OPTION_CHANNEL,
	DC_OPTION_ROLE,
	DC_OPTION_MENTIONABLE,
	DC_OPTION_NUMBER,
	DC_OPTION_ATTACHMENT,
};

extern const struct dc_shape dc_shape_message; /* of a message, a change of one, or the data of types 4 and 7 */
extern const struct dc_shape dc_shape_rows;    /* an element of a message's components */
extern const struct dc_shape dc_shape_embed;
extern const struct dc_shape dc_shape_deferral;
extern const struct dc_shape dc_shape_modal;
extern const struct dc_shape dc_shape_choice_string, dc_shape_choice_integer, dc_shape_choice_number;
extern const struct dc_shape dc_shape_command;

/* Checks the choices of a suggestion for an option of this type. */
void dc_check_choices(struct dc_check *c, const cJSON *data, int option_type);
/* What the whole list of an object's components must hold to: no custom_id twice. */
void dc_check_custom_ids(struct dc_check *c, const cJSON *components);
/* The component with this custom_id in a list of them, NULL. */
const cJSON *dc_find_component(const cJSON *list, const char *custom_id);
bool dc_is_select(int64_t type);

#endif
