/* People, channels, messages, interactions of the simulated Discord. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shoal/base/clock.h"
#include "shoal/sim/discord.h"
#include "shoal/sim/discord_interaction.h"
#include "shoal/sim/discord_limits.h"

#define EPOCH_MS 1420070400000 /* of snowflakes: 2015 */
#define CHANNEL_NAME "ladder"
#define TOKEN_RANDOM 48

/* --- ids and times */

int64_t dc_snowflake(void)
{
	static int64_t last;
	int64_t id = (clock_wall_ms() - EPOCH_MS) << 22;

	last = id > last ? id : last + 1;
	return last;
}

bool dc_id(const cJSON *v, int64_t *out)
{
	int64_t id;

	if (!cJSON_IsString(v) || !span_i64(span_of(v->valuestring), &id) || id <= 0 || v->valuestring[0] == '0')
		return false;
	*out = id;
	return true;
}

bool dc_member_id(const cJSON *obj, const char *name, int64_t *out)
{
	return dc_id(json_get(obj, name), out);
}

const char *dc_json(struct discord *d, const cJSON *v)
{
	struct json_writer w;

	buf_clear(&d->sim->scratch);
	json_writer_init(&w, &d->sim->scratch);
	json_put(&w, v);
	return d->sim->scratch.ptr;
}

void dc_time(int64_t wall_ms, char *out, size_t size)
{
	char text[32];

	clock_rfc3339(wall_ms, text, sizeof(text));
	snprintf(out, size, "%.23s000+00:00", text);
}

/* --- people and channels */

struct dc_user *dc_user(struct discord *d, int64_t id)
{
	return map_get(&d->users, id);
}

struct dc_user *dc_put_user(struct discord *d, int64_t id, const char *name, const char *username)
{
	struct dc_user *u = dc_user(d, id);
	char made[40];

	if (!u) {
		u = mem_zalloc(sizeof(*u));
		u->id = id;
		u->joined_ms = clock_wall_ms();
		snprintf(made, sizeof(made), "player_%lld", (long long)id);
		u->name = mem_strdup(made);
		u->username = mem_strdup(made);
		map_put(&d->users, id, u);
	}
	if (name && *name)
		message_set(&u->name, name);
	if (username && *username)
		message_set(&u->username, username);
	return u;
}

static struct dc_channel *add_channel(struct discord *d, const char *name, struct dc_user *with)
{
	struct dc_channel *c = mem_zalloc(sizeof(*c));

	c->id = dc_snowflake();
	c->name = name ? mem_strdup(name) : NULL;
	c->with = with;
	map_put(&d->channels, c->id, c);
	return c;
}

struct dc_channel *dc_channel(struct discord *d, int64_t id)
{
	return map_get(&d->channels, id);
}

struct dc_channel *dc_dm(struct discord *d, struct dc_user *u)
{
	if (!u->dm)
		u->dm = add_channel(d, NULL, u);
	return u->dm;
}

/* --- messages */

static void message_unref(struct dc_message *m)
{
	if (--m->refs > 0)
		return;
	free(m->content);
	free(m->embeds);
	free(m->components);
	free(m->mentions);
	free(m->nonce);
	free(m);
}

static int64_t nonce_hash(const struct discord *d, const struct dc_channel *c, const char *nonce)
{
	return c->id ^ (int64_t)siphash(&d->seed, span_of(nonce));
}

struct dc_message *dc_by_nonce(struct discord *d, const struct dc_channel *c, const char *nonce)
{
	struct dc_message *m = map_get(&d->nonces, nonce_hash(d, c, nonce));

	return m && m->channel == c && strcmp(m->nonce, nonce) == 0 ? m : NULL;
}

void dc_note_nonce(struct discord *d, struct dc_message *m)
{
	if (m->nonce)
		map_put(&d->nonces, nonce_hash(d, m->channel, m->nonce), m);
}

static void forget_message(struct discord *d, struct dc_message *m)
{
	if (m->nonce && dc_by_nonce(d, m->channel, m->nonce) == m)
		map_remove(&d->nonces, nonce_hash(d, m->channel, m->nonce));
	TAILQ_REMOVE(&d->all_messages, m, link);
	d->nmessages--;
	map_remove(&d->messages, m->id);
	message_unref(m);
}

struct dc_message *dc_add_message(struct discord *d, struct dc_channel *c, struct dc_user *only)
{
	struct dc_message *m = mem_zalloc(sizeof(*m)), **place = &c->shown[c->nshown++ % DC_CHANNEL_SHOWN];

	m->id = dc_snowflake();
	m->at_ms = clock_wall_ms();
	m->channel = c;
	m->only = only;
	m->content = mem_strdup("");
	m->waited_us = -1;
	m->refs = 2;
	if (*place)
		message_unref(*place);
	*place = m;
	TAILQ_INSERT_TAIL(&d->all_messages, m, link);
	map_put(&d->messages, m->id, m);
	if (++d->nmessages > DC_MESSAGES_MAX)
		forget_message(d, TAILQ_FIRST(&d->all_messages));
	return m;
}

struct dc_message *dc_message(struct discord *d, int64_t id)
{
	struct dc_message *m = map_get(&d->messages, id);

	return m && !m->deleted && !m->notice ? m : NULL;
}

bool dc_sees(const struct dc_user *u, const struct dc_message *m)
{
	return (!m->only || m->only == u) && (!m->channel->with || m->channel->with == u);
}

void dc_delete(struct discord *d, struct dc_message *m)
{
	m->deleted = true;
	dc_changed(d, m);
}

/* --- interactions */

static void forget_interaction(struct discord *d, struct dc_interaction *i)
{
	TAILQ_REMOVE(&d->all_interactions, i, link);
	d->ninteractions--;
	map_remove(&d->interactions, i->id);
	map_remove(&d->tokens, i->token_hash);
	dc_let_go(i);
	free(i->token);
	free(i->name);
	free(i->data);
	free(i->answer);
	free(i->why);
	free(i);
}

static int64_t token_hash(const struct discord *d, struct span token)
{
	return (int64_t)siphash(&d->seed, token);
}

/* The platform's tokens are long and mean nothing to anybody else. */
static char *make_token(void)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	unsigned char random[TOKEN_RANDOM];
	char text[TOKEN_RANDOM + 1];

	random_bytes(random, sizeof(random));
	for (size_t i = 0; i < TOKEN_RANDOM; i++)
		text[i] = digits[random[i] & 63];
	text[TOKEN_RANDOM] = '\0';
	return mem_strdup(text);
}

struct dc_interaction *dc_add_interaction(struct discord *d, enum dc_kind kind, struct dc_user *u, struct dc_channel *c)
{
	struct dc_interaction *i = mem_zalloc(sizeof(*i));

	i->discord = d;
	i->id = dc_snowflake();
	i->kind = kind;
	i->user = u;
	i->channel = c;
	i->token = make_token();
	i->token_hash = token_hash(d, span_of(i->token));
	i->at_ms = clock_wall_ms();
	i->sent_us = clock_us();
	i->first_us = i->done_us = -1;
	map_put(&d->interactions, i->id, i);
	map_put(&d->tokens, i->token_hash, i);
	TAILQ_INSERT_TAIL(&d->all_interactions, i, link);
	if (++d->ninteractions > DC_INTERACTIONS_MAX)
		forget_interaction(d, TAILQ_FIRST(&d->all_interactions));
	return i;
}

struct dc_interaction *dc_interaction(struct discord *d, int64_t id)
{
	return map_get(&d->interactions, id);
}

struct dc_interaction *dc_by_token(struct discord *d, struct span token)
{
	struct dc_interaction *i = map_get(&d->tokens, token_hash(d, token));

	return i && span_is(token, i->token) ? i : NULL;
}

/* --- the application */

struct discord *discord_new(struct sim *s, const char *name, int64_t app_id, const char *token)
{
	struct discord *d = mem_zalloc(sizeof(*d));

	d->sim = s;
	d->name = mem_strdup(name);
	d->app_id = app_id;
	d->token = mem_strdup(token);
	d->answer_ms = DC_ANSWER_MS;
	d->invalid_max = DC_INVALID_MAX;
	d->limits = dc_limits_new();
	random_bytes(&d->seed, sizeof(d->seed));
	TAILQ_INIT(&d->all_messages);
	TAILQ_INIT(&d->all_interactions);
	d->guild = dc_snowflake();
	d->channel = add_channel(d, CHANNEL_NAME, NULL);
	return d;
}

static void forget_channel(struct dc_channel *c)
{
	for (size_t i = 0; i < DC_CHANNEL_SHOWN; i++) {
		if (c->shown[i])
			message_unref(c->shown[i]);
		c->shown[i] = NULL;
	}
	c->nshown = 0;
}

static void clear(struct discord *d)
{
	struct dc_channel *c;
	struct dc_user *u;

	dc_feed_end(d);
	while (!TAILQ_EMPTY(&d->all_interactions))
		forget_interaction(d, TAILQ_FIRST(&d->all_interactions));
	while (!TAILQ_EMPTY(&d->all_messages))
		forget_message(d, TAILQ_FIRST(&d->all_messages));
	for (size_t i = 0; (c = map_next(&d->channels, &i)) != NULL;) {
		forget_channel(c);
		if (c != d->channel)
			free(c);
	}
	for (size_t i = 0; (u = map_next(&d->users, &i)) != NULL;) {
		free(u->name);
		free(u->username);
		free(u);
	}
	map_release(&d->channels);
	map_release(&d->users);
	map_release(&d->messages);
	map_release(&d->interactions);
	map_release(&d->tokens);
	map_release(&d->nonces);
	samples_release(&d->first_response);
	samples_release(&d->done);
	memset(d->states, 0, sizeof(d->states));
	memset(d->by_kind, 0, sizeof(d->by_kind));
}

void discord_reset(struct discord *d)
{
	clear(d);
	map_put(&d->channels, d->channel->id, d->channel);
	dc_limits_clear(d->limits);
}

void discord_free(struct discord *d)
{
	struct dc_command *next;

	if (!d)
		return;
	clear(d);
	dc_probe_end(d);
	for (struct dc_command *c = d->commands; c; c = next) {
		next = c->next;
		free(c->name);
		free(c->json);
		free(c);
	}
	free(d->channel->name);
	free(d->channel);
	dc_limits_free(d->limits);
	dc_key_free(d);
	free(d->endpoint);
	free(d->name);
	free(d->token);
	free(d);
}
