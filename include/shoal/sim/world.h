/* What the simulated platform knows: bots, people, chats, messages and open callback queries.
 * A chat belongs to one bot: the same person's chats with two bots have nothing in common. */
#ifndef SHOAL_SIM_WORLD_H
#define SHOAL_SIM_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "shoal/base/arena.h"
#include "shoal/base/str.h"
#include "shoal/io/http.h"
#include "shoal/io/httpd.h"
#include "shoal/io/loop.h"
#include "shoal/sim/faults.h"
#include "shoal/sim/map.h"
#include "shoal/sim/record.h"
#include "shoal/sim/samples.h"
#include "shoal/sim/updates.h"

#define CHAT_MESSAGES_MAX 200 /* kept per chat; older ones are forgotten */
#define CHAT_NOTES_MAX 32
#define CHAT_UNANSWERED_MAX 64
#define QUERIES_MAX 200000

struct user {
	int64_t id;
	char *first_name;    /* never NULL */
	char *username;      /* NULL: none */
	char *language_code; /* NULL: none */
};

struct message {
	int64_t id, date, edit_date; /* dates in seconds; edit_date 0: never edited */
	struct user *from;           /* NULL: the bot */
	char *text;                  /* or the caption, "" for none */
	char *entities;              /* JSON array, NULL: none */
	char *markup;                /* JSON of the inline keyboard, NULL: none */
	char *preview;               /* JSON of link_preview_options, NULL: none */
	char *media_kind;            /* "photo", NULL: a text */
	char *media;                 /* JSON value of the member `media_kind` */
	int64_t reply_to;            /* message id, 0: none */
	bool deleted;
	int64_t seq;       /* of its last change, for the page */
	char worker[32];   /* who sent or last edited it, "" unknown */
	int64_t waited_us; /* since the person's last action in the chat, -1 unknown */
};

/* Something that the page shows and forgets: a toast, an alert, a chat action, blocked. */
struct note {
	int64_t seq, at_ms;
	char kind[12];
	char *text; /* may be NULL */
	int64_t message_id;
	char worker[32];
	int64_t waited_us;
};

/* Somebody who waits for changes of a chat. */
struct waiter;

struct bucket {
	double tokens;
	int64_t at_us; /* 0: never used, full */
};

struct chat {
	struct bot *bot;
	int64_t id;
	const char *type;  /* literal: private, group, supergroup */
	char *title;       /* groups */
	struct user *user; /* private chats */
	bool blocked;      /* by the user; in a group: the bot was removed */
	struct message **messages;
	size_t nmessages, first; /* a ring once CHAT_MESSAGES_MAX is reached; ids rise */
	int64_t seq;
	struct note notes[CHAT_NOTES_MAX];
	size_t nnotes;        /* ever added */
	char *reply_keyboard; /* JSON of the last ReplyKeyboardMarkup, NULL: none */
	struct waiter *waiters;
	struct task wake;
	struct bucket bucket;
	int64_t unanswered[CHAT_UNANSWERED_MAX]; /* clock_us of messages that no reply was counted against yet */
	unsigned nunanswered, unanswered_first;
	int64_t acted_us; /* the person's last message or press */
	int64_t instance; /* chat_instance of its callback queries */
};

struct query {
	int64_t id;
	struct chat *chat;
	struct user *user;
	int64_t message_id, at_us;
	bool answered;
	struct query *next; /* younger */
};

struct command_list {
	char *scope; /* normal form of scope and language */
	char *json;
	struct command_list *next;
};

struct bot {
	struct sim *sim;
	int64_t id;
	char *name, *token, *username, *title;
	char *description; /* "" none */
	struct command_list *commands;
	struct map chats;
	int64_t next_message_id;
	struct updates updates;
	struct bucket bucket;
	int64_t webhook_set_ms;
};

struct sim_opts {
	const char *listen, *record;
	bool limits;
	double retry_scale;
	int64_t query_ttl_s;
};

#define METHODS_MAX 32
struct method_count {
	uint64_t ok, refused;
};

struct sim {
	struct loop *loop;
	struct httpd *httpd;
	struct http *http;
	struct sim_opts opts;
	struct bot **bots;
	size_t nbots;
	struct map users, queries;
	struct query *oldest_query, *youngest_query;
	int64_t next_query_id;
	int64_t seq;      /* of changes in chats; rises over restarts too */
	int64_t epoch_ms; /* start or last reset */
	int64_t started_ms;
	struct faults faults;
	LIST_HEAD(, held) held; /* requests that are kept waiting */
	struct record record;
	struct method_count counts[METHODS_MAX];
	struct samples press_to_answer, message_to_reply;
	uint64_t messages_in, presses_in, messages_out;
	struct buf out;          /* the answer being written */
	struct buf scratch;      /* a piece of it */
	struct discord *discord; /* NULL: not played */
};

struct bot *sim_add_bot(struct sim *s, const char *name, const char *token);
struct bot *sim_bot(struct sim *s, const char *name); /* NULL */
struct bot *sim_bot_by_token(struct sim *s, struct span token);

struct user *sim_user(struct sim *s, int64_t id); /* NULL */
/* Makes or renames a person. NULL or empty texts leave what is known; a new one is "User ID" by default. */
struct user *sim_put_user(struct sim *s, int64_t id, const char *first_name, const char *username,
                          const char *language_code);

struct chat *bot_chat(struct bot *b, int64_t chat_id); /* NULL: never opened */
/* A private chat when chat_id is the user's, else a group. */
struct chat *bot_open_chat(struct bot *b, int64_t chat_id, struct user *u, const char *title);

/* Takes over nothing: the texts are copied. Ids rise by one per bot. */
struct message *chat_add_message(struct chat *c, struct user *from);
struct message *chat_message(struct chat *c, int64_t id); /* NULL: unknown, forgotten or deleted */
struct message *chat_message_at(struct chat *c, size_t i);
/* Tells the page that a message, or the chat itself (NULL), changed. */
void chat_changed(struct chat *c, struct message *m);
void chat_note(struct chat *c, const char *kind, const char *text, int64_t message_id, const char *worker,
               int64_t waited_us);
void message_set(char **field, const char *value); /* frees the old text, copies the new one; NULL for none */

/* The person did something at `now`. A message waits for a reply from then on; a press does not. */
void chat_acted(struct chat *c, int64_t now_us, bool wants_reply);
/* The bot sent a message: the time since the oldest message that waits for a reply, -1 when none does. */
int64_t chat_replied(struct chat *c, int64_t now_us);

struct query *sim_add_query(struct sim *s, struct chat *c, struct user *u, int64_t message_id);
/* An open query that is not older than the limit; takes it off: it is answered once. */
bool sim_take_query(struct sim *s, struct bot *b, int64_t id, struct query *out);

/* Waiting page requests. ms: how long at most. */
void chat_wait(struct chat *c, struct httpd_request *r, int64_t after, int64_t ms);

/* Forgets people, chats, queries, updates, faults and the record; bots and webhooks stay, counters go on. */
void sim_reset(struct sim *s);
void sim_free(struct sim *s);

#endif
