/* Bots, people, chats, messages and open callback queries. */
#include "shoal/sim/world.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shoal/base/clock.h"
#include "shoal/base/json.h"
#include "shoal/sim/control.h"
#include "shoal/sim/discord.h"

#define NOTE_STALE_US (60 * 1000000ll)

void message_set(char **field, const char *value)
{
	char *copy = value ? mem_strdup(value) : NULL;
	free(*field);
	*field = copy;
}

/* --- bots */

/* Telegram's tokens start with the bot's id; others get one that stays the same. */
static int64_t token_id(const char *token)
{
	const char *colon = strchr(token, ':');
	int64_t id = 0;

	if (colon && span_i64((struct span){token, (size_t)(colon - token)}, &id) && id > 0)
		return id;
	uint64_t h = 1469598103934665603u;
	for (; *token; token++)
		h = (h ^ (unsigned char)*token) * 1099511628211u;
	return 1000000000 + (int64_t)(h % 1000000000);
}

struct bot *sim_add_bot(struct sim *s, const char *name, const char *token)
{
	struct bot *b = mem_zalloc(sizeof(*b));
	char username[80];

	snprintf(username, sizeof(username), "%s_bot", name);
	b->sim = s;
	b->id = token_id(token);
	b->name = mem_strdup(name);
	b->token = mem_strdup(token);
	b->username = mem_strdup(username);
	b->title = mem_strdup(name);
	b->title[0] = (char)toupper((unsigned char)b->title[0]);
	b->description = mem_strdup("");
	b->next_message_id = 1 + (int64_t)(random_u64() % 1000000);
	updates_init(&b->updates, b);
	s->bots = mem_realloc(s->bots, (s->nbots + 1) * sizeof(struct bot *));
	s->bots[s->nbots++] = b;
	return b;
}

struct bot *sim_bot(struct sim *s, const char *name)
{
	for (size_t i = 0; name && i < s->nbots; i++) {
		if (strcmp(s->bots[i]->name, name) == 0)
			return s->bots[i];
	}
	return NULL;
}

struct bot *sim_bot_by_token(struct sim *s, struct span token)
{
	for (size_t i = 0; i < s->nbots; i++) {
		if (span_is(token, s->bots[i]->token))
			return s->bots[i];
	}
	return NULL;
}

/* --- people */

struct user *sim_user(struct sim *s, int64_t id)
{
	return map_get(&s->users, id);
}

struct user *sim_put_user(struct sim *s, int64_t id, const char *first_name, const char *username,
                          const char *language_code)
{
	struct user *u = sim_user(s, id);

	if (!u) {
		char name[40];
		snprintf(name, sizeof(name), "User %lld", (long long)id);
		u = mem_zalloc(sizeof(*u));
		u->id = id;
		u->first_name = mem_strdup(name);
		map_put(&s->users, id, u);
	}
	if (first_name && *first_name)
		message_set(&u->first_name, first_name);
	if (username && *username)
		message_set(&u->username, username);
	if (language_code && *language_code)
		message_set(&u->language_code, language_code);
	return u;
}

static void user_free(struct user *u)
{
	free(u->first_name);
	free(u->username);
	free(u->language_code);
	free(u);
}

/* --- chats */

struct chat *bot_chat(struct bot *b, int64_t chat_id)
{
	return map_get(&b->chats, chat_id);
}

struct chat *bot_open_chat(struct bot *b, int64_t chat_id, struct user *u, const char *title)
{
	struct chat *c = bot_chat(b, chat_id);
	char name[40];

	if (!c) {
		c = mem_zalloc(sizeof(*c));
		c->bot = b;
		c->id = chat_id;
		c->user = u && u->id == chat_id ? u : NULL;
		c->type = c->user ? "private" : chat_id <= -1000000000000 ? "supergroup" : "group";
		c->instance = (int64_t)(random_u64() >> 1);
		c->seq = ++b->sim->seq;
		map_put(&b->chats, chat_id, c);
	}
	if (!c->user && title && *title)
		message_set(&c->title, title);
	if (!c->user && !c->title) {
		snprintf(name, sizeof(name), "Group %lld", (long long)-chat_id);
		c->title = mem_strdup(name);
	}
	return c;
}

static void message_free(struct message *m)
{
	free(m->text);
	free(m->entities);
	free(m->markup);
	free(m->preview);
	free(m->media_kind);
	free(m->media);
	free(m);
}

struct message *chat_message_at(struct chat *c, size_t i)
{
	return c->messages[(c->first + i) % CHAT_MESSAGES_MAX];
}

static void make_room(struct chat *c)
{
	if (c->nmessages == CHAT_MESSAGES_MAX) {
		message_free(c->messages[c->first]);
		c->first = (c->first + 1) % CHAT_MESSAGES_MAX;
		c->nmessages--;
	} else if ((c->nmessages & (c->nmessages - 1)) == 0) {
		size_t cap = c->nmessages ? c->nmessages * 2 : 4;
		cap = cap < CHAT_MESSAGES_MAX ? cap : CHAT_MESSAGES_MAX;
		if (c->nmessages == 0 || cap > c->nmessages)
			c->messages = mem_realloc(c->messages, (cap < 4 ? 4 : cap) * sizeof(struct message *));
	}
}

struct message *chat_add_message(struct chat *c, struct user *from)
{
	struct message *m = mem_zalloc(sizeof(*m));

	make_room(c);
	m->id = c->bot->next_message_id++;
	m->date = clock_wall_ms() / 1000;
	m->from = from;
	m->waited_us = -1;
	m->text = mem_strdup("");
	c->messages[(c->first + c->nmessages++) % CHAT_MESSAGES_MAX] = m;
	return m;
}

struct message *chat_message(struct chat *c, int64_t id)
{
	size_t low = 0, high = c->nmessages;

	while (low < high) {
		size_t middle = (low + high) / 2;
		if (chat_message_at(c, middle)->id < id)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == c->nmessages)
		return NULL;
	struct message *m = chat_message_at(c, low);
	return m->id == id && !m->deleted ? m : NULL;
}

void chat_note(struct chat *c, const char *kind, const char *text, int64_t message_id, const char *worker,
               int64_t waited_us)
{
	struct note *n = &c->notes[c->nnotes++ % CHAT_NOTES_MAX];

	message_set(&n->text, text);
	snprintf(n->kind, sizeof(n->kind), "%s", kind);
	snprintf(n->worker, sizeof(n->worker), "%s", worker ? worker : "");
	n->at_ms = clock_wall_ms();
	n->message_id = message_id;
	n->waited_us = waited_us;
	chat_changed(c, NULL);
	n->seq = c->seq;
}

static void chat_free(struct chat *c)
{
	task_cancel(&c->wake);
	for (size_t i = 0; i < c->nmessages; i++)
		message_free(chat_message_at(c, i));
	for (size_t i = 0; i < CHAT_NOTES_MAX; i++)
		free(c->notes[i].text);
	free(c->messages);
	free(c->title);
	free(c->reply_keyboard);
	free(c);
}

/* --- who waits for an answer, and how long it took */

void chat_acted(struct chat *c, int64_t now_us, bool wants_reply)
{
	c->acted_us = now_us;
	if (!wants_reply)
		return;
	/* a message that was never answered must not spoil the times of the later ones */
	while (c->nunanswered &&
	       (c->nunanswered == CHAT_UNANSWERED_MAX || now_us - c->unanswered[c->unanswered_first] > NOTE_STALE_US)) {
		c->unanswered_first = (c->unanswered_first + 1) % CHAT_UNANSWERED_MAX;
		c->nunanswered--;
	}
	c->unanswered[(c->unanswered_first + c->nunanswered++) % CHAT_UNANSWERED_MAX] = now_us;
}

int64_t chat_replied(struct chat *c, int64_t now_us)
{
	if (c->nunanswered == 0)
		return -1;
	int64_t since = c->unanswered[c->unanswered_first];
	c->unanswered_first = (c->unanswered_first + 1) % CHAT_UNANSWERED_MAX;
	c->nunanswered--;
	return now_us - since;
}

/* --- callback queries */

static void forget_oldest_query(struct sim *s)
{
	struct query *q = s->oldest_query;

	s->oldest_query = q->next;
	if (!s->oldest_query)
		s->youngest_query = NULL;
	map_remove(&s->queries, q->id);
	free(q);
}

static bool query_too_old(const struct sim *s, const struct query *q)
{
	return clock_us() - q->at_us > s->opts.query_ttl_s * 1000000;
}

struct query *sim_add_query(struct sim *s, struct chat *c, struct user *u, int64_t message_id)
{
	struct query *q = mem_zalloc(sizeof(*q));

	while (s->oldest_query && (s->queries.count >= QUERIES_MAX || query_too_old(s, s->oldest_query)))
		forget_oldest_query(s);
	q->id = s->next_query_id++;
	q->chat = c;
	q->user = u;
	q->message_id = message_id;
	q->at_us = clock_us();
	map_put(&s->queries, q->id, q);
	if (s->youngest_query)
		s->youngest_query->next = q;
	else
		s->oldest_query = q;
	s->youngest_query = q;
	return q;
}

bool sim_take_query(struct sim *s, struct bot *b, int64_t id, struct query *out)
{
	struct query *q = map_get(&s->queries, id);

	if (!q || q->answered || q->chat->bot != b || query_too_old(s, q))
		return false;
	q->answered = true;
	*out = *q;
	return true;
}

/* --- the end */

static void bot_clear(struct bot *b)
{
	struct chat *c;

	updates_clear(&b->updates);
	for (size_t i = 0; (c = map_next(&b->chats, &i)) != NULL;)
		chat_free(c);
	map_release(&b->chats);
	b->bucket = (struct bucket){0};
}

static void end_waiting(struct bot *b)
{
	struct chat *c;
	for (size_t i = 0; (c = map_next(&b->chats, &i)) != NULL;) {
		chat_changed(c, NULL);
		if (c->wake.fn) {
			task_cancel(&c->wake);
			c->wake.fn(c);
		}
	}
}

void sim_reset(struct sim *s)
{
	struct user *u;

	s->epoch_ms = clock_wall_ms();
	while (s->oldest_query)
		forget_oldest_query(s);
	for (size_t i = 0; i < s->nbots; i++) {
		end_waiting(s->bots[i]);
		bot_clear(s->bots[i]);
	}
	for (size_t i = 0; (u = map_next(&s->users, &i)) != NULL;)
		user_free(u);
	map_release(&s->users);
	if (s->discord)
		discord_reset(s->discord);
	faults_clear(&s->faults);
	record_clear(&s->record);
	samples_release(&s->press_to_answer);
	samples_release(&s->message_to_reply);
	memset(s->counts, 0, sizeof(s->counts));
	s->messages_in = s->presses_in = s->messages_out = 0;
}

static void bot_free(struct bot *b)
{
	struct command_list *next;

	updates_release(&b->updates);
	for (struct command_list *l = b->commands; l; l = next) {
		next = l->next;
		free(l->scope);
		free(l->json);
		free(l);
	}
	free(b->name);
	free(b->token);
	free(b->username);
	free(b->title);
	free(b->description);
	free(b);
}

void sim_free(struct sim *s)
{
	sim_reset(s);
	map_release(&s->queries);
	for (size_t i = 0; i < s->nbots; i++)
		bot_free(s->bots[i]);
	free(s->bots);
	discord_free(s->discord);
	record_close(&s->record);
	buf_release(&s->out);
	buf_release(&s->scratch);
}
