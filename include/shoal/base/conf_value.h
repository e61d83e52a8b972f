/* What an option's text may be, and saying so. */
#ifndef SHOAL_BASE_CONF_VALUE_H
#define SHOAL_BASE_CONF_VALUE_H

#include "shoal/base/conf.h"

/* Reads the text of an option into its field at `at`, as conf.h has it. NULL, or what is allowed ("1 to 64"), in a. */
const char *conf_value_parse(struct arena *a, const struct opt *o, const char *text, void *at);

/* The nth of "a|b|c"; empty behind the last. */
struct span conf_value_choice(const char *choices, int n);

#endif
