#include "shoal/model/update.h"

#include <string.h>

#include "shoal/base/arena.h"

const struct option *update_option(const struct update *u, const char *name)
{
	for (size_t i = 0; i < u->noptions; i++) {
		if (strcmp(u->options[i].name, name) == 0)
			return &u->options[i];
	}
	return NULL;
}

const char *update_line(const struct update *u, struct arena *a)
{
	if (!u->media)
		return u->text;
	return arena_printf(a, u->text[0] ? "[%s] %s" : "[%s]", u->media, u->text);
}
