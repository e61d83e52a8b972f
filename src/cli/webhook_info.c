/* shoal webhook info, delete: what the platforms know, and that they forget it. */
#include <stdio.h>
#include <string.h>

#include "shoal/cli/webhook.h"

/* ---- info */

static const struct out_col columns[] = {
    {"bot", OUT_TEXT},           {"platform", OUT_TEXT},       {"url", OUT_TEXT},           {"url_ours", OUT_BOOL},
    {"updates_ours", OUT_BOOL},  {"max_connections", OUT_INT}, {"pending", OUT_INT},        {"last_error", OUT_TEXT},
    {"last_error_at", OUT_TIME}, {"commands", OUT_INT},        {"commands_ours", OUT_BOOL}, {0},
};

/* The columns of the webhook, or nulls. */
static void put_hook(struct session *s, struct out *o, const struct webhook_bot *b, const struct hook *h)
{
	bool polls = b->bot->platform == PLATFORM_TELEGRAM && s->conf.telegram_mode == TELEGRAM_POLL;

	if (!h) {
		for (int i = 0; i < 7; i++)
			out_null(o);
		return;
	}
	out_text(o, *h->url ? h->url : NULL);
	if (polls)
		out_bool(o, !*h->url);
	else if (s->conf.webhook_url)
		out_bool(o, strcmp(h->url, webhook_url(s, b)) == 0);
	else
		out_null(o);
	if (*h->url)
		out_bool(o, h->updates_same);
	else
		out_null(o);
	if (h->connections)
		out_int(o, h->connections);
	else
		out_null(o);
	if (h->pending >= 0)
		out_int(o, h->pending);
	else
		out_null(o);
	out_text(o, h->last_error ? out_plain(s->a, h->last_error) : NULL);
	if (h->last_error_s)
		out_time(o, h->last_error_s * 1000);
	else
		out_null(o);
}

/* NULL: it was said why it is not known. */
static const struct hook *ask_hook(struct webhook_desk *d, struct session *s, const struct webhook_bot *b,
                                   struct hook *h)
{
	const struct call c = {.method = b->platform->hook_told};
	struct span answer;

	if (!webhook_call(d, b, &c, &answer))
		return NULL;
	if (b->platform->hook_read(b->bot, answer, s->a, h))
		return h;
	session_fail(s, EXIT_FAILED, "%s: %s: an answer that cannot be read", b->bot->name, c.method);
	return NULL;
}

static void put_menu(struct webhook_desk *d, struct session *s, struct out *o, const struct webhook_bot *b)
{
	const struct call ask = {.method = b->platform->menu_told};
	struct span answer;
	struct call menu;
	const char *why;
	size_t n = 0;
	bool same;

	if (!webhook_call(d, b, &ask, &answer)) {
		out_null(o);
		out_null(o);
		return;
	}
	same = b->platform->menu(b->bot, s->a, &menu, &why) == ERR_OK &&
	       b->platform->menu_same(menu.body, answer, s->a, &n);
	out_int(o, (int64_t)n);
	out_bool(o, same);
}

int webhooks_info(struct session *s)
{
	struct webhook_bots bots;
	struct webhook_desk *d;
	struct out o;
	int code;

	if (!webhook_bots_find(s, &bots) || !(d = webhook_desk_open(s, false)))
		return s->code;
	out_begin(&o, s->json, columns);
	for (size_t i = 0; i < bots.n; i++) {
		const struct webhook_bot *b = &bots.v[i];
		struct hook h;

		out_row(&o);
		out_text(&o, b->bot->name);
		out_text(&o, b->platform->name);
		put_hook(s, &o, b, ask_hook(d, s, b, &h));
		put_menu(d, s, &o, b);
	}
	webhook_desk_close(d);
	code = out_end(&o, NULL);
	return s->code != EXIT_DONE ? s->code : code;
}

/* ---- delete */

static const char *forget(struct webhook_desk *d, struct session *s, const struct webhook_bot *b)
{
	bool drop = args_has(s->args, "drop-pending");
	const struct call hook = {.method = "deleteWebhook",
	                          .body = drop ? SPAN("{\"drop_pending_updates\":true}") : SPAN("{}")};
	const struct call menu = {.method = "setCommands", .body = SPAN("[]")};
	bool telegram = b->bot->platform == PLATFORM_TELEGRAM;
	const char *what = telegram ? "webhook" : "commands";

	webhook_note(d, b, what, NULL); /* also where the call's answer is lost: the next `set` shall call */
	return webhook_call(d, b, telegram ? &hook : &menu, NULL) ? what : NULL;
}

int webhooks_delete(struct session *s)
{
	static const struct out_col deleted[] = {{"bot", OUT_TEXT}, {"deleted", OUT_TEXT}, {0}};
	struct webhook_bots bots;
	struct webhook_desk *d;
	struct out o;
	int code;

	if (!webhook_bots_find(s, &bots) || !(d = webhook_desk_open(s, true)))
		return s->code;
	out_begin(&o, s->json, deleted);
	for (size_t i = 0; i < bots.n; i++) {
		const char *what = forget(d, s, &bots.v[i]);

		if (!what)
			continue;
		out_row(&o);
		out_text(&o, bots.v[i].bot->name);
		out_text(&o, what);
	}
	webhook_desk_close(d);
	code = out_end(&o, NULL);
	return s->code != EXIT_DONE ? s->code : code;
}
