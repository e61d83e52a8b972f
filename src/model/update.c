#include "shoal/model/update.h"

#include "shoal/base/arena.h"

const char *update_line(const struct update *u, struct arena *a)
{
	if (!u->media)
		return u->text;
	return arena_printf(a, u->text[0] ? "[%s] %s" : "[%s]", u->media, u->text);
}
