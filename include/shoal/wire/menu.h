/* Menus of commands as platforms tell them: with defaults filled in or left out, and members of their own. Only wire/.
 */
#ifndef SHOAL_WIRE_MENU_H
#define SHOAL_WIRE_MENU_H

#include <stdbool.h>

#include "shoal/base/json.h"

/* What of an entry counts. A member that is not there is "", 0, false or an empty list. */
struct menu_field {
	const char *name; /* NULL ends the table */
	enum { MENU_TEXT, MENU_NUMBER, MENU_FLAG, MENU_LIST } kind;
	const struct menu_field *of; /* MENU_LIST: its entries */
};

/* Whether two lists say the same, in the same order; by_name: in any order, the first field being a name. */
bool menu_lists_same(const cJSON *a, const cJSON *b, const struct menu_field *fields, bool by_name);

#endif
