/* The chat page: files of the binary, nothing from outside. */
#include <string.h>

#include "shoal/base/embed.h"
#include "shoal/sim/control.h"

static const struct {
	const char *path, *file, *type;
} files[] = {
    {"/", "sim/web/index.html", "text/html; charset=utf-8"},
    {"/style.css", "sim/web/style.css", "text/css; charset=utf-8"},
    {"/app.js", "sim/web/app.js", "text/javascript; charset=utf-8"},
    {"/text.js", "sim/web/text.js", "text/javascript; charset=utf-8"},
    {"/api.js", "sim/web/api.js", "text/javascript; charset=utf-8"},
    {"/discord", "sim/web/discord.html", "text/html; charset=utf-8"},
    {"/discord.css", "sim/web/discord.css", "text/css; charset=utf-8"},
    {"/discord.js", "sim/web/discord.js", "text/javascript; charset=utf-8"},
    {"/discord_form.js", "sim/web/discord_form.js", "text/javascript; charset=utf-8"},
    {"/discord_text.js", "sim/web/discord_text.js", "text/javascript; charset=utf-8"},
    {"/icon.svg", "sim/web/icon.svg", "image/svg+xml"},
};

static const char *const headers[] = {
    "Content-Security-Policy",
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'self'",
    "X-Content-Type-Options",
    "nosniff",
    "Referrer-Policy",
    "no-referrer",
    "Cache-Control",
    "no-cache",
    NULL,
};

void page_handle(struct sim *s, struct httpd_request *r, const char *path)
{
	(void)s;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		const struct embed_file *f = strcmp(path, files[i].path) == 0 ? embed_find(files[i].file) : NULL;
		if (!f)
			continue;
		bool reads = strcmp(httpd_method(r), "GET") == 0 || strcmp(httpd_method(r), "HEAD") == 0;
		if (reads)
			httpd_reply(r, 200, files[i].type, (struct span){f->data, f->len}, headers);
		else
			httpd_reply_error(r, 405, "method", "the page can only be read");
		return;
	}
	httpd_reply_error(r, 404, "not_found", "there is no such path");
}
