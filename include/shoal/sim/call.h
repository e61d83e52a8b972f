/* One call of a bot method: its parameters however they came, and its answer. */
#ifndef SHOAL_SIM_CALL_H
#define SHOAL_SIM_CALL_H

#include "shoal/sim/held.h"

struct method;

struct call {
	struct sim *sim;
	struct bot *bot;
	const struct method *method;
	struct httpd_request *req; /* NULL: it came as a webhook's reply */
	const cJSON *json;         /* parameters of a JSON body; NULL: query and form */
	struct arena *arena;
	const char *via; /* literal: http, webhook */
	char worker[32];
	int64_t at_ms, at_us;
	struct fault fault; /* what it suffers; a copy, without its texts */
	struct held held;   /* by a fault */
	char *body;         /* the finished answer, while it is held back */

	struct json_writer w; /* the result, onto sim->out */
	int status;           /* 200 or the refusal's */
	const char *description;
	int64_t retry_after_s;
	int64_t chat_id, message_id; /* for the record */
};

/* A method writes its result to c->w, or refuses and returns what call_fail returned. */
enum outcome { CALL_DONE, CALL_WAIT };

struct method {
	const char *name;
	const char *params; /* all names that the API gives it, separated by blanks */
	enum outcome (*run)(struct call *c);
	bool counts; /* against the flood limits */
};

enum outcome call_fail(struct call *c, int status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
enum outcome call_true(struct call *c);
/* Ends a call that waited. Its result is on sim->out already (call_begin), or it was refused. */
void call_begin(struct call *c);
void call_end(struct call *c);

/* /bot<token>/<method>; answers the request now or later. */
void api_handle(struct sim *s, struct httpd_request *r, const char *path);
/* {"sendMessage":{"ok":n,"refused":n},...} of the methods that were called. */
void api_write_counts(const struct sim *s, struct json_writer *w);
/* A webhook's reply: {"method":...}; others are left alone. */
void api_webhook_reply(struct bot *b, struct span body, const char *worker);
/* "shoal-worker/ID" of a User-Agent, "" where there is none. */
void api_worker_name(const char *user_agent, char out[32]);

/* Parameters. A missing one, an empty one and null are the same: NULL, false, or the default. */
const char *param_text(struct call *c, const char *name);
bool param_bool(struct call *c, const char *name);
/* False where it is there but no integer. */
bool param_i64(struct call *c, const char *name, int64_t *out);
/* An object or array, nested in a JSON body or as JSON text. NULL with *bad false: not there. */
const cJSON *param_json(struct call *c, const char *name, bool *bad);
/* All parameters as a JSON object, for the record. */
char *params_record(struct call *c);

/* The chat of chat_id that the bot may write to; NULL after call_fail. */
struct chat *call_chat(struct call *c);
/* The same for looking only: a blocked chat is found too. */
struct chat *call_chat_seen(struct call *c);

/* The methods, in the files of their subject. */
enum outcome tg_get_me(struct call *c);
enum outcome tg_get_updates(struct call *c);
enum outcome tg_set_webhook(struct call *c);
enum outcome tg_delete_webhook(struct call *c);
enum outcome tg_get_webhook_info(struct call *c);
enum outcome tg_send_message(struct call *c);
enum outcome tg_edit_message_text(struct call *c);
enum outcome tg_edit_message_reply_markup(struct call *c);
enum outcome tg_delete_message(struct call *c);
enum outcome tg_answer_callback_query(struct call *c);
enum outcome tg_send_chat_action(struct call *c);
enum outcome tg_set_my_commands(struct call *c);
enum outcome tg_get_my_commands(struct call *c);
enum outcome tg_delete_my_commands(struct call *c);
enum outcome tg_set_my_description(struct call *c);
enum outcome tg_get_my_description(struct call *c);
enum outcome tg_get_chat(struct call *c);

#endif
