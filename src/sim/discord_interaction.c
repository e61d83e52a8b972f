/* Sending of interactions, and the time that each has. */
#include "shoal/sim/discord_interaction.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "shoal/base/clock.h"
#include "shoal/sim/discord_show.h"

#define TIMESTAMP_BYTES 24

/* --- signed requests */

struct http_call *dc_send_raw(struct discord *d, const char *url, struct span body, const struct dc_forgery *f,
                              dc_sent_fn *fn, void *arg)
{
	char timestamp[TIMESTAMP_BYTES], signature[129], headers[2][192];
	const char *list[6] = {"Content-Type: application/json",
	                       "User-Agent: Discord-Interactions/1.0 (+https://discord.com)"};
	static const char *const keep[] = {"Content-Type", NULL};
	const char *given = f ? f->signature : NULL;
	struct http_request req = {
	    .method = "POST", .url = url, .headers = list, .body = body, .keep = keep, .peer = "endpoint"};
	size_t n = 2;

	snprintf(timestamp, sizeof(timestamp), "%lld", (long long)(clock_wall_ms() / 1000));
	if (f && f->timestamp)
		snprintf(timestamp, sizeof(timestamp), "%s", f->timestamp);
	if (!given && f && f->other_key)
		dc_sign_as_other(timestamp, body, signature);
	else if (!given)
		dc_sign(d, timestamp, body, signature);
	req.timeout_ms = (unsigned)d->answer_ms;
	snprintf(headers[0], sizeof(headers[0]), "X-Signature-Timestamp: %s", timestamp);
	snprintf(headers[1], sizeof(headers[1]), "X-Signature-Ed25519: %.128s", given ? given : signature);
	list[n++] = headers[0];
	if (!given || *given)
		list[n++] = headers[1];
	return http_send(d->sim->http, &req, fn, arg);
}

/* --- waiting for what comes of one */

/* A press or a deferral is followed by a message by the token. */
static bool is_owed(const struct dc_interaction *i)
{
	bool later = i->answer_type == 5 || i->answer_type == 6 || i->answer_type == 7;

	return i->state == DC_ANSWERED && later && i->done_us < 0;
}

struct dc_wait {
	struct dc_interaction *interaction;
	struct httpd_request *req;
	enum dc_until until;
	struct timer timer;
};

static void wait_over(void *arg)
{
	struct dc_wait *w = arg;
	struct dc_interaction *i = w->interaction;
	struct sim *s = i->discord->sim;

	i->wait = NULL;
	dc_show_interaction(i);
	httpd_reply(w->req, 200, "application/json", buf_span(&s->out), NULL);
	timer_release(&w->timer);
	free(w);
}

/* Answers in a turn of its own: whoever changes the interaction may be writing an answer himself. */
static void wake(struct dc_interaction *i, enum dc_until reached)
{
	if (i->wait && (i->wait->until <= reached))
		timer_set(&i->wait->timer, 0);
}

void dc_wait_for(struct dc_interaction *i, struct httpd_request *r, enum dc_until until, int64_t ms)
{
	struct dc_wait *w = mem_zalloc(sizeof(*w));
	bool over = i->state != DC_SENT && (until == DC_UNTIL_FIRST || i->state != DC_ANSWERED || !is_owed(i));

	w->interaction = i;
	w->req = r;
	w->until = until;
	timer_init(&w->timer, i->discord->sim->loop, wait_over, w);
	timer_set(&w->timer, over ? 0 : ms);
	i->wait = w;
}

void dc_let_go(struct dc_interaction *i)
{
	if (i->call)
		http_cancel(i->call);
	i->call = NULL;
	if (i->late)
		timer_release(&i->lateness);
	free(i->late);
	i->late = NULL;
	if (i->wait)
		wait_over(i->wait);
}

/* --- what becomes of one */

bool dc_token_lives(const struct dc_interaction *i)
{
	return i->state == DC_ANSWERED && clock_us() - i->sent_us + i->aged_us < DC_TOKEN_LIFE_MS * INT64_C(1000);
}

void dc_fulfilled(struct dc_interaction *i)
{
	i->deferred = false;
	if (!is_owed(i))
		return;
	i->done_us = clock_us() - i->sent_us;
	samples_add(&i->discord->done, i->done_us);
	wake(i, DC_UNTIL_DONE);
}

static void record(struct dc_interaction *i)
{
	struct discord *d = i->discord;
	struct json_writer w;
	struct record_entry e = {
	    .at_ms = i->at_ms,
	    .took_us = i->first_us,
	    .bot = d->name,
	    .method = "interaction",
	    .via = "interaction",
	    .description = i->why ? mem_strdup(i->why) : NULL,
	    .status = i->status,
	    .applied = i->state == DC_ANSWERED,
	    .chat_id = i->channel ? i->channel->id : 0,
	    .message_id = i->message,
	};

	buf_clear(&d->sim->scratch);
	json_writer_init(&w, &d->sim->scratch);
	json_begin_obj(&w);
	json_kv_id(&w, "interaction_id", i->id);
	json_kv_i64(&w, "type", i->kind);
	if (i->user)
		json_kv_id(&w, "user_id", i->user->id);
	json_key(&w, "data");
	json_put_raw(&w, span_of(i->data ? i->data : "null"));
	json_kv_i64(&w, "answer_type", i->answer_type);
	json_end_obj(&w);
	e.params = mem_strdup(d->sim->scratch.ptr);
	record_add(&d->sim->record, &e);
}

/* The person is told, where a client would tell. */
static void tell_failure(struct dc_interaction *i)
{
	struct discord *d = i->discord;
	struct dc_message *m;

	if (!i->user || i->kind == DC_AUTOCOMPLETE || i->kind == DC_PING)
		return;
	m = dc_add_message(d, i->channel, i->user);
	m->notice = i->kind == DC_COMMAND ? "The application did not respond" : "This interaction failed";
	m->interaction = i->id;
	m->waited_us = i->first_us;
	dc_changed(d, m);
}

/* The wait for the first response is over. why: NULL for nothing. */
static void end(struct dc_interaction *i, enum dc_state state, const char *why)
{
	struct discord *d = i->discord;

	i->state = state;
	i->first_us = clock_us() - i->sent_us;
	message_set(&i->why, why);
	d->states[state]++;
	if (state == DC_ANSWERED)
		samples_add(&d->first_response, i->first_us);
	else
		tell_failure(i);
	record(i);
	wake(i, is_owed(i) ? DC_UNTIL_FIRST : DC_UNTIL_DONE);
}

static void take(struct dc_interaction *i, struct span body)
{
	const char *why;
	struct arena a;

	arena_init(&a);
	why = dc_take_response(i, body, &a);
	end(i, why ? DC_MALFORMED : DC_ANSWERED, why);
	arena_release(&a);
}

static void on_late(void *arg)
{
	struct dc_interaction *i = arg;
	char *body = i->late;

	timer_release(&i->lateness);
	i->late = NULL;
	take(i, span_of(body));
	free(body);
}

/* The real one, too, now and then knows of a response some time after it came. */
static bool is_late(struct dc_interaction *i, struct span body)
{
	struct sim *s = i->discord->sim;
	const struct fault *f =
	    faults_hit(&s->faults, "interaction", i->discord->name, i->channel ? i->channel->id : 0);

	if (!f || f->kind != FAULT_DELAY)
		return false;
	i->late = mem_strdup(body.ptr ? body.ptr : "");
	timer_init(&i->lateness, s->loop, on_late, i);
	timer_set(&i->lateness, f->ms);
	return true;
}

static void on_response(void *arg, enum err err, const struct http_response *res)
{
	struct dc_interaction *i = arg;
	const char *type;

	i->call = NULL;
	if (err != ERR_OK) {
		end(i, DC_NO_ANSWER, err == ERR_TIMEOUT ? "no answer in time" : err_text(err));
		return;
	}
	i->status = res->status;
	type = res->headers[0];
	if (res->status != 200)
		end(i, DC_REFUSED, "answered with another status than 200");
	else if (!type || strncasecmp(type, "application/json", 16) != 0)
		end(i, DC_MALFORMED, "the response has another Content-Type than application/json");
	else if (!is_late(i, res->body))
		take(i, res->body);
}

void dc_send(struct dc_interaction *i, struct span body)
{
	struct discord *d = i->discord;

	d->by_kind[i->kind]++;
	if (!d->endpoint) {
		end(i, DC_NO_ANSWER, "the application has no interactions_endpoint_url");
		return;
	}
	i->sent_us = clock_us();
	i->call = dc_send_raw(d, d->endpoint, body, NULL, on_response, i);
}
