/* The dashboard: files of the binary, nothing from outside. Who it is for is found out by what it asks the API. */
#include "shoal/admin/page.h"

#include <string.h>

#include "shoal/base/embed.h"

#define FOLDER "admin/web"

static const struct {
	const char *ending, *type;
} types[] = {
    {".html", "text/html; charset=utf-8"},
    {".css", "text/css; charset=utf-8"},
    {".js", "text/javascript; charset=utf-8"},
    {".svg", "image/svg+xml"},
};

static const char *type_of(const char *path)
{
	const char *ending = strrchr(path, '.');

	for (size_t i = 0; ending && i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(ending, types[i].ending) == 0)
			return types[i].type;
	return NULL;
}

bool page_serve(struct visitor *v)
{
	const char *path = httpd_path(v->r), *method = httpd_method(v->r);
	const char *file = strcmp(path, "/") == 0 ? "/index.html" : path, *type = type_of(file);
	const struct embed_file *f = type ? embed_find(arena_printf(v->a, "%s%s", FOLDER, file)) : NULL;

	if (!f)
		return false;
	v->label = "page";
	if (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0)
		visitor_send_file(v, type, (struct span){f->data, f->len});
	else
		visitor_refuse_with(v, 405, "method_not_allowed", "the page can only be read", "Allow", "GET");
	return true;
}
