/* All bots of this program. */
#ifndef SHOAL_BOTS_REGISTRY_H
#define SHOAL_BOTS_REGISTRY_H

#include "shoal/base/str.h"
#include "shoal/model/bot.h"

extern const struct bot *const bots_all[];     /* ends with NULL */
const struct bot *bots_find(struct span name); /* NULL: none of that name */

#endif
