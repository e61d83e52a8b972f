/* Listings of the simulated Discord. */
#include "shoal/sim/discord_show.h"

#include "shoal/base/clock.h"
#include "shoal/sim/control_show.h"
#include "shoal/sim/discord_call.h"
#include "shoal/sim/discord_limits.h"
#include "shoal/sim/discord_object.h"

#define USERS_SHOWN 500

static const char *const state_names[DC_STATES] = {[DC_SENT] = "sent",
                                                   [DC_ANSWERED] = "answered",
                                                   [DC_NO_ANSWER] = "no_answer",
                                                   [DC_REFUSED] = "refused",
                                                   [DC_MALFORMED] = "malformed"};
static const char *const kind_names[DC_SUBMIT + 1] = {[DC_PING] = "ping",
                                                      [DC_COMMAND] = "command",
                                                      [DC_COMPONENT] = "component",
                                                      [DC_AUTOCOMPLETE] = "autocomplete",
                                                      [DC_SUBMIT] = "submit"};

static struct json_writer begin(struct discord *d)
{
	struct json_writer w;

	buf_clear(&d->sim->out);
	json_writer_init(&w, &d->sim->out);
	return w;
}

static void kv_ms(struct json_writer *w, const char *name, int64_t us)
{
	if (us >= 0)
		json_kv_num(w, name, (double)us / 1000);
}

static void kv_text(struct json_writer *w, const char *name, const char *text)
{
	if (text)
		json_kv_str(w, name, text);
}

/* --- the application and its people */

void dc_show_app(struct discord *d)
{
	struct json_writer w = begin(d);

	json_begin_obj(&w);
	json_kv_str(&w, "name", d->name);
	json_kv_id(&w, "application_id", d->app_id);
	json_kv_str(&w, "public_key", d->public_key);
	json_key(&w, "interactions_endpoint_url");
	json_put_str(&w, d->endpoint);
	json_kv_id(&w, "guild_id", d->guild);
	json_kv_id(&w, "channel_id", d->channel->id);
	json_kv_str(&w, "channel", d->channel->name);
	json_kv_i64(&w, "answer_ms", d->answer_ms);
	json_kv_i64(&w, "invalid_limit", d->invalid_max);
	json_key(&w, "commands");
	dc_write_commands(&w, d);
	json_end_obj(&w);
}

static void write_user(struct json_writer *w, const struct dc_user *u)
{
	json_begin_obj(w);
	json_kv_id(w, "id", u->id);
	json_kv_str(w, "name", u->name);
	json_kv_str(w, "username", u->username);
	json_kv_bool(w, "closed", u->closed);
	if (u->dm)
		json_kv_id(w, "dm_channel_id", u->dm->id);
	json_end_obj(w);
}

void dc_show_user(struct discord *d, const struct dc_user *u)
{
	struct json_writer w = begin(d);

	write_user(&w, u);
}

void dc_show_users(struct discord *d)
{
	struct json_writer w = begin(d);
	const struct dc_user *u;
	size_t n = 0;

	json_begin_arr(&w);
	for (size_t i = 0; n < USERS_SHOWN && (u = map_next(&d->users, &i)) != NULL; n++)
		write_user(&w, u);
	json_end_arr(&w);
}

/* --- messages as a person sees them */

static void write_message(struct json_writer *w, struct discord *d, const struct dc_message *m)
{
	json_begin_obj(w);
	json_kv_i64(w, "seq", m->seq);
	if (m->deleted) {
		json_kv_id(w, "id", m->id);
		json_kv_bool(w, "deleted", true);
	} else {
		dc_message_members(w, d, m);
		json_kv_bool(w, "ephemeral", m->only != NULL);
		json_kv_bool(w, "private", m->channel->with != NULL);
		kv_text(w, "notice", m->notice);
		if (m->worker[0])
			json_kv_str(w, "worker", m->worker);
		kv_ms(w, "latency_ms", m->waited_us);
	}
	json_end_obj(w);
}

/* The nth of those that the channel shows, oldest first; NULL behind the last. */
static struct dc_message *shown(const struct dc_channel *c, size_t n)
{
	size_t first = c->nshown > DC_CHANNEL_SHOWN ? c->nshown - DC_CHANNEL_SHOWN : 0;

	return first + n < c->nshown ? c->shown[(first + n) % DC_CHANNEL_SHOWN] : NULL;
}

static bool is_news(const struct dc_user *u, const struct dc_message *m, int64_t after)
{
	return m->seq > after && dc_sees(u, m) && (after > 0 || !m->deleted);
}

static bool has_news(const struct dc_channel *c, const struct dc_user *u, int64_t after)
{
	struct dc_message *m;

	for (size_t n = 0; c && (m = shown(c, n)) != NULL; n++) {
		if (is_news(u, m, after))
			return true;
	}
	return false;
}

bool dc_feed_has(struct discord *d, const struct dc_user *u, int64_t after)
{
	return has_news(d->channel, u, after) || has_news(u->dm, u, after);
}

/* Of two channels, in the order of their messages. */
static void write_news(struct json_writer *w, struct discord *d, const struct dc_user *u, int64_t after)
{
	const struct dc_channel *channels[2] = {d->channel, u->dm};
	size_t at[2] = {0, 0};

	for (;;) {
		struct dc_message *a = shown(channels[0], at[0]), *b = channels[1] ? shown(channels[1], at[1]) : NULL;
		bool second = !a || (b && b->id < a->id);

		if (!a && !b)
			return;
		if (is_news(u, second ? b : a, after))
			write_message(w, d, second ? b : a);
		at[second]++;
	}
}

void dc_show_feed(struct discord *d, const struct dc_user *u, int64_t after)
{
	struct json_writer w = begin(d);

	json_begin_obj(&w);
	json_kv_i64(&w, "epoch", d->sim->epoch_ms);
	json_kv_i64(&w, "seq", d->sim->seq);
	json_key(&w, "user");
	write_user(&w, u);
	json_key(&w, "messages");
	json_begin_arr(&w);
	write_news(&w, d, u, after);
	json_end_arr(&w);
	json_end_obj(&w);
}

/* --- interactions */

/* The first message that is younger than the interaction. */
static struct dc_message *first_behind(const struct dc_interaction *i)
{
	struct dc_message *m, *first = NULL;

	TAILQ_FOREACH_REVERSE(m, &i->discord->all_messages, dc_messages, link)
	{
		if (m->id < i->id)
			break;
		first = m;
	}
	return first;
}

static void write_messages(struct json_writer *w, const struct dc_interaction *i)
{
	struct discord *d = i->discord;
	const struct dc_message *m = i->original ? dc_message(d, i->original) : NULL;

	if (m) {
		json_key(w, "original");
		write_message(w, d, m);
	}
	if (i->followups == 0)
		return;
	json_key(w, "followups");
	json_begin_arr(w);
	for (m = first_behind(i); m; m = TAILQ_NEXT(m, link)) {
		if (m->interaction == i->id && m->id != i->original && !m->deleted && !m->notice)
			write_message(w, d, m);
	}
	json_end_arr(w);
}

static void interaction_members(struct json_writer *w, const struct dc_interaction *i)
{
	json_kv_id(w, "id", i->id);
	json_kv_str(w, "kind", kind_names[i->kind]);
	json_kv_i64(w, "type", i->kind);
	if (i->name)
		json_kv_str(w, "name", i->name);
	if (i->user)
		json_kv_id(w, "user_id", i->user->id);
	json_kv_i64(w, "time", i->at_ms);
	json_kv_str(w, "state", state_names[i->state]);
	kv_text(w, "why", i->why);
	json_kv_i64(w, "status", i->status);
	json_kv_i64(w, "answer_type", i->answer_type);
	kv_ms(w, "first_ms", i->first_us);
	kv_ms(w, "done_ms", i->done_us);
	json_kv_i64(w, "edits", i->edits);
}

void dc_show_interaction(struct dc_interaction *i)
{
	struct json_writer w = begin(i->discord);

	json_begin_obj(&w);
	interaction_members(&w, i);
	json_kv_str(&w, "token", i->token);
	if (i->answer) {
		json_key(&w, "answer");
		json_put_raw(&w, span_of(i->answer));
	}
	write_messages(&w, i);
	json_end_obj(&w);
}

void dc_show_interactions(struct discord *d, int64_t after, int64_t limit)
{
	struct json_writer w = begin(d);
	const struct dc_interaction *i;

	json_begin_arr(&w);
	TAILQ_FOREACH(i, &d->all_interactions, link)
	{
		if (i->id <= after)
			continue;
		if (limit-- <= 0)
			break;
		json_begin_obj(&w);
		interaction_members(&w, i);
		json_end_obj(&w);
	}
	json_end_arr(&w);
}

/* --- numbers */

void dc_show_stats(struct discord *d, struct json_writer *w)
{
	uint64_t total;
	size_t recent = dc_limits_invalid_count(d->limits, clock_us(), &total);

	json_key(w, "discord");
	json_begin_obj(w);
	json_kv_i64(w, "users", (int64_t)d->users.count);
	json_kv_i64(w, "messages", (int64_t)d->nmessages);
	json_key(w, "interactions");
	json_begin_obj(w);
	for (size_t i = DC_PING; i <= DC_SUBMIT; i++)
		json_kv_i64(w, kind_names[i], (int64_t)d->by_kind[i]);
	for (size_t i = DC_ANSWERED; i < DC_STATES; i++)
		json_kv_i64(w, state_names[i], (int64_t)d->states[i]);
	json_end_obj(w);
	show_samples(w, "first_response_ms", &d->first_response);
	show_samples(w, "done_ms", &d->done);
	json_kv_i64(w, "invalid_recent", (int64_t)recent);
	json_kv_i64(w, "invalid_total", (int64_t)total);
	json_key(w, "methods");
	dc_write_counts(d, w);
	json_end_obj(w);
}
