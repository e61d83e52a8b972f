/* One call of Discord's REST API, and its answer. */
#ifndef SHOAL_SIM_DISCORD_CALL_H
#define SHOAL_SIM_DISCORD_CALL_H

#include "shoal/sim/discord.h"
#include "shoal/sim/discord_check.h"
#include "shoal/sim/discord_limits.h"
#include "shoal/sim/held.h"

struct dc_route;

struct dc_call {
	struct sim *sim;
	struct discord *discord;
	const struct dc_route *route;
	const char *method; /* its name */
	struct method_count *count;
	struct httpd_request *req;
	struct arena *arena;
	const cJSON *json;                  /* body; NULL: none */
	int64_t ids[2];                     /* of the path, in its order */
	struct span token;                  /* of the path */
	struct dc_interaction *interaction; /* by that token */
	char worker[32];
	int64_t at_ms, at_us;
	struct fault fault; /* what it suffers */
	struct held held;
	char *body; /* the finished answer, while it is held back */

	struct json_writer w; /* the result, onto sim->out */
	int status;           /* 200 or 204, or the refusal's */
	int64_t code;
	const char *message;    /* of a refusal */
	struct dc_check *check; /* of a 50035 */
	double retry_after_s;   /* of a 429 */
	enum fault_scope scope;
	struct dc_allowance allowance;
	int64_t channel_id, message_id; /* for the record */
};

/* A method writes its result to c->w, or refuses and returns what dc_fail returned. DC_WAIT: it calls dc_call_end. */
enum dc_outcome { DC_DONE, DC_WAIT };

enum dc_outcome dc_fail(struct dc_call *c, int status, int64_t code, const char *message);
enum dc_outcome dc_invalid(struct dc_call *c, struct dc_check *check); /* 50035 */
enum dc_outcome dc_no_content(struct dc_call *c);
void dc_too_many(struct dc_call *c, double seconds, enum fault_scope scope);
void dc_call_begin(struct dc_call *c); /* before a result is written: by who has waited */
void dc_call_end(struct dc_call *c);
void dc_call_refuse(struct dc_call *c); /* without a trace in the record */
/* status 0: the connection was cut instead. */
void dc_record(struct dc_call *c, int status, bool applied);

/* All that is under /api/; answers the request now or later. */
void dc_api_handle(struct discord *d, struct httpd_request *r, const char *path);
void dc_write_counts(const struct discord *d, struct json_writer *w);

/* The methods, in the files of their subject. */
enum dc_outcome dc_get_me(struct dc_call *c);
enum dc_outcome dc_open_dm(struct dc_call *c);
enum dc_outcome dc_get_application(struct dc_call *c);
enum dc_outcome dc_edit_application(struct dc_call *c);
enum dc_outcome dc_get_commands(struct dc_call *c);
enum dc_outcome dc_put_commands(struct dc_call *c);
enum dc_outcome dc_get_channel(struct dc_call *c);
enum dc_outcome dc_create_message(struct dc_call *c);
enum dc_outcome dc_get_message(struct dc_call *c);
enum dc_outcome dc_edit_message(struct dc_call *c);
enum dc_outcome dc_delete_message(struct dc_call *c);
enum dc_outcome dc_create_followup(struct dc_call *c);
enum dc_outcome dc_get_original(struct dc_call *c);
enum dc_outcome dc_edit_original(struct dc_call *c);
enum dc_outcome dc_delete_original(struct dc_call *c);
enum dc_outcome dc_get_followup(struct dc_call *c);
enum dc_outcome dc_edit_followup(struct dc_call *c);
enum dc_outcome dc_delete_followup(struct dc_call *c);

/* Commands, in discord_commands.c. */
struct dc_command *dc_command(const struct discord *d, const char *name); /* NULL */
void dc_write_commands(struct json_writer *w, const struct discord *d);

#endif
