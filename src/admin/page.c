/* The dashboard: files of the binary, nothing from outside. Who it is for is found out by what it asks the API. */
#include "shoal/admin/page.h"

#include <string.h>

#include "shoal/base/embed.h"

static const struct {
	const char *path, *file, *type;
} files[] = {
    {"/", "admin/web/index.html", "text/html; charset=utf-8"},
    {"/style.css", "admin/web/style.css", "text/css; charset=utf-8"},
    {"/app.js", "admin/web/app.js", "text/javascript; charset=utf-8"},
    {"/api.js", "admin/web/api.js", "text/javascript; charset=utf-8"},
    {"/caches.js", "admin/web/caches.js", "text/javascript; charset=utf-8"},
    {"/chart.js", "admin/web/chart.js", "text/javascript; charset=utf-8"},
    {"/codes.js", "admin/web/codes.js", "text/javascript; charset=utf-8"},
    {"/dead.js", "admin/web/dead.js", "text/javascript; charset=utf-8"},
    {"/dom.js", "admin/web/dom.js", "text/javascript; charset=utf-8"},
    {"/live.js", "admin/web/live.js", "text/javascript; charset=utf-8"},
    {"/people.js", "admin/web/people.js", "text/javascript; charset=utf-8"},
    {"/icon.svg", "admin/web/icon.svg", "image/svg+xml"},
};

bool page_serve(struct visitor *v)
{
	const char *path = httpd_path(v->r), *method = httpd_method(v->r);

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		const struct embed_file *f = strcmp(path, files[i].path) == 0 ? embed_find(files[i].file) : NULL;

		if (!f)
			continue;
		v->label = "page";
		if (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0)
			visitor_send_file(v, files[i].type, (struct span){f->data, f->len});
		else
			visitor_refuse_with(v, 405, "method_not_allowed", "the page can only be read", "Allow", "GET");
		return true;
	}
	return false;
}
