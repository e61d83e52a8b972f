/* getUpdates and the webhook's settings. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "shoal/base/clock.h"
#include "shoal/base/json.h"
#include "shoal/sim/call.h"

static int64_t clamp(int64_t v, int64_t low, int64_t high)
{
	return v < low ? low : v > high ? high : v;
}

/* False after call_fail. */
static bool read_allowed(struct call *c)
{
	bool bad;
	const cJSON *names = param_json(c, "allowed_updates", &bad);

	if (!bad && (!names || updates_allow(&c->bot->updates, names)))
		return true;
	call_fail(c, 400, "Bad Request: can't parse allowed updates JSON array");
	return false;
}

enum outcome tg_get_updates(struct call *c)
{
	struct updates *q = &c->bot->updates;
	int64_t offset = 0, limit = 100, timeout = 0;

	if (q->hook.url)
		return call_fail(c, 409,
		                 "Conflict: can't use getUpdates method while webhook is active; use "
		                 "deleteWebhook to delete the webhook first");
	if (!param_i64(c, "offset", &offset) || !param_i64(c, "limit", &limit) || !param_i64(c, "timeout", &timeout))
		return call_fail(c, 400, "Bad Request: offset, limit and timeout must be integers");
	if (!read_allowed(c))
		return CALL_DONE;
	/* the older of two pollers loses; ending it writes its answer where this one's begins */
	updates_end_poll(q, "Conflict: terminated by other getUpdates request; make sure that only one bot instance is "
	                    "running");
	call_begin(c);
	if (offset > q->next_id)
		offset = 0;
	updates_confirm(q, offset);
	updates_expire(q);
	limit = clamp(limit, 1, 100);
	if (updates_write(q, &c->w, 0, limit) || timeout <= 0)
		return CALL_DONE;
	updates_poll(q, c, limit, clamp(timeout, 1, 50) * 1000);
	return CALL_WAIT;
}

static const char *check_url(const char *url)
{
	bool secure = strncasecmp(url, "https://", 8) == 0, plain = strncasecmp(url, "http://", 7) == 0;
	const char *host = url + (secure ? 8 : 7);

	if (!secure && !plain)
		return "Bad Request: invalid webhook URL specified";
	if (strlen(url) > 2048 || !*host || *host == '/' || strpbrk(url, " \t\r\n\"<>"))
		return "Bad Request: invalid webhook URL specified";
	/* the real platform wants https always; plain http may go to this machine only */
	size_t n = strcspn(host, ":/?#");
	if (plain && !(strncmp(host, "127.", 4) == 0 || (n == 9 && strncasecmp(host, "localhost", 9) == 0) ||
	               strncmp(host, "[::1]", 5) == 0))
		return "Bad Request: bad webhook: An HTTPS URL must be provided for webhook";
	return NULL;
}

static bool good_secret(const char *s)
{
	size_t n = strlen(s);
	for (const char *p = s; *p; p++) {
		if (!isalnum((unsigned char)*p) && *p != '_' && *p != '-')
			return false;
	}
	return n >= 1 && n <= 256;
}

static void drop_pending(struct call *c)
{
	if (param_bool(c, "drop_pending_updates"))
		updates_clear(&c->bot->updates);
}

static enum outcome described_true(struct call *c, const char *text)
{
	json_put_bool(&c->w, true);
	buf_adds(&c->sim->out, ",\"description\":");
	struct json_writer w;
	json_writer_init(&w, &c->sim->out);
	json_put_str(&w, text);
	return CALL_DONE;
}

static enum outcome remove_webhook(struct call *c)
{
	bool had = c->bot->updates.hook.url != NULL;

	webhook_set(&c->bot->updates, NULL, NULL, 0);
	drop_pending(c);
	return described_true(c, had ? "Webhook was deleted" : "Webhook is already deleted");
}

enum outcome tg_delete_webhook(struct call *c)
{
	return remove_webhook(c);
}

enum outcome tg_set_webhook(struct call *c)
{
	const char *url = param_text(c, "url"), *secret = param_text(c, "secret_token"), *why;
	int64_t connections = 40, now = clock_ms();
	struct bot *b = c->bot;

	if (c->sim->opts.limits && b->webhook_set_ms && now - b->webhook_set_ms < 1000) {
		c->retry_after_s = 1;
		return call_fail(c, 429, "Too Many Requests: retry after 1");
	}
	b->webhook_set_ms = now;
	if (!url)
		return remove_webhook(c);
	why = check_url(url);
	if (why)
		return call_fail(c, 400, "%s", why);
	if (secret && strlen(secret) > 256)
		return call_fail(c, 400, "Bad Request: secret token is too long");
	if (secret && !good_secret(secret))
		return call_fail(c, 400, "Bad Request: secret token contains unallowed characters");
	if (!param_i64(c, "max_connections", &connections))
		return call_fail(c, 400, "Bad Request: max_connections must be an integer");
	if (!read_allowed(c))
		return CALL_DONE;
	updates_end_poll(&b->updates, "Conflict: terminated by setWebhook request");
	call_begin(c);
	drop_pending(c);
	webhook_set(&b->updates, url, secret, (int)clamp(connections, 1, 100));
	return described_true(c, "Webhook was set");
}

enum outcome tg_get_webhook_info(struct call *c)
{
	struct updates *q = &c->bot->updates;
	struct json_writer *w = &c->w;

	updates_expire(q);
	json_begin_obj(w);
	json_kv_str(w, "url", q->hook.url ? q->hook.url : "");
	json_kv_bool(w, "has_custom_certificate", false);
	json_kv_i64(w, "pending_update_count", (int64_t)q->pending);
	if (q->hook.error) {
		json_kv_i64(w, "last_error_date", q->hook.error_date);
		json_kv_str(w, "last_error_message", q->hook.error);
	}
	if (q->hook.url)
		json_kv_i64(w, "max_connections", q->hook.max_connections);
	if (q->allowed_set) {
		json_key(w, "allowed_updates");
		updates_write_allowed(q, w);
	}
	json_end_obj(w);
	return CALL_DONE;
}
