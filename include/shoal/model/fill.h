/* Texts with places to be filled, "{amount} are held", so that each language may put them in its own order. */
#ifndef SHOAL_MODEL_FILL_H
#define SHOAL_MODEL_FILL_H

#include <stdbool.h>

#include "shoal/base/arena.h"

struct slot {
	const char *name; /* NULL ends a list */
	const char *value;
	bool html; /* made by us: goes in as it is; else it is escaped */
};

/* The HTML text with each {name} replaced; one that no slot is called after stays as it stands. */
char *text_fill(struct arena *a, const char *html, const struct slot *slots);
#define WORDS(slot_name, text)                                                                                         \
	{                                                                                                              \
		.name = (slot_name), .value = (text)                                                                   \
	}
#define MARKUP(slot_name, text)                                                                                        \
	{                                                                                                              \
		.name = (slot_name), .value = (text), .html = true                                                     \
	}
#define FILL(a, html, ...) text_fill(a, html, (const struct slot[]){__VA_ARGS__, {.name = NULL}})

#endif
