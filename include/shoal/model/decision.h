/* What a bot decided: at most one commit, errands to Redis, replies. Built in the job's arena; the builders fail
 * stickily (decision.failed) and the worker checks once. */
#ifndef SHOAL_MODEL_DECISION_H
#define SHOAL_MODEL_DECISION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shoal/base/arena.h"
#include "shoal/base/err.h"
#include "shoal/base/str.h"

/* Parameters of a statement, in order, as text. */
#define PARAMS_MAX 22 /* more is a BUG() */
struct params {
	struct arena *arena;
	size_t n;
	struct span v[PARAMS_MAX]; /* ptr NULL: SQL NULL */
};
void params_i64(struct params *p, int64_t v);
void params_id(struct params *p, int64_t id);      /* 0: SQL NULL */
void params_text(struct params *p, const char *s); /* NULL: SQL NULL */
void params_bool(struct params *p, bool v);
void params_time(struct params *p, int64_t wall_ms); /* as timestamptz text */
void params_null(struct params *p);

/* The label `outcome` of shoal_updates_total, as far as a decision may set it. */
enum outcome { OUTCOME_DONE, OUTCOME_IGNORED };

enum reply_kind {
	REPLY_SEND,   /* a new message */
	REPLY_EDIT,   /* text and buttons of message_id */
	REPLY_DISARM, /* take the buttons off message_id */
	REPLY_ANSWER, /* to one update, by its token: in the place of what says that we are at it, or of the message
	                 whose button was pressed */
	REPLY_MORE,   /* another message after that, by the same token */
	REPLY_KIND_COUNT
};

enum button_style { BUTTON_PLAIN, BUTTON_MAIN, BUTTON_GOOD, BUTTON_BAD };
struct button {
	const char *label;
	enum button_style style; /* where the platform has any */
	bool off;                /* there, but cannot be pressed; the same */
	const char *url;         /* a link; or */
	const char *data;        /* callback data, complete */
};
struct button_row {
	size_t n;
	struct button *buttons;
};

struct reply {
	enum reply_kind kind;
	int64_t chat_id;    /* 0: REPLY_ANSWER; REPLY_MORE: where else it may be said, 0: nowhere */
	const char *token;  /* of these; else NULL */
	bool hidden;        /* REPLY_MORE: for the person alone; an answer is as the command's `first` had it */
	bool group;         /* for the flood budget */
	int64_t mention;    /* REPLY_SEND, and REPLY_MORE said elsewhere: who is called by it; 0: nobody */
	int64_t message_id; /* REPLY_EDIT, REPLY_DISARM */
	const char *html;   /* text with Telegram's HTML subset, escaped where it came from others */
	size_t nrows;
	struct button_row *rows;
	struct reply *next;
};

/* Something to be done in Redis once the commit is made, before the replies. Stored with the commit, and done again
 * after a crash, maybe long after: a second time it must change nothing, whatever has happened since. What there is,
 * and with which words: worker/errands.h. */
#define ERRAND_WORDS 12
struct errand {
	const char *what; /* "forget" */
	size_t n;
	const char *words[ERRAND_WORDS];
	struct errand *next;
};

struct decision {
	struct arena *arena;
	enum outcome outcome;
	const char *commit;   /* statement in sql/queries; its $1 and $2 are the idempotency key and the effects, which
	                         the worker fills in; NULL: nothing to write */
	struct params params; /* $3 and on */
	bool own_rows; /* the commit is a statement for many (store/sql.h) that locks no rows but the person's, the
	                  others after that of users: it may go with others of its kind */
	struct errand *errands; /* in order */
	struct errand **last_errand;
	struct reply *replies; /* in sending order */
	struct reply **last;
	enum err failed;
	const char *why;
};

void decision_init(struct decision *d, struct arena *a);
void decision_ignore(struct decision *d);
/* Begins the commit; the caller adds parameters to the result. */
struct params *decision_commit(struct decision *d, const char *statement);
/* Ends with NULL; more than ERRAND_WORDS words fail the decision. */
void decision_errand(struct decision *d, const char *what, ...) __attribute__((sentinel));
/* The commit changes what a cache holds under this key (SPEC 6), so that it must be forgotten before the answer is
 * seen.
 */
void decision_invalidate(struct decision *d, const char *cache, const char *key);
/* A message to a chat. html must have something to see; over 4,096 UTF-16 units, counted as the platform shows it (tags
 * not at all, an entity as one), fails the decision: cut what comes from people with text_fit, then escape it. */
struct reply *decision_send(struct decision *d, int64_t chat_id, const char *html);
struct reply *decision_edit(struct decision *d, int64_t chat_id, int64_t message_id, const char *html);
struct reply *decision_disarm(struct decision *d, int64_t chat_id, int64_t message_id);
/* The message begins with the person's name, and the platform calls just them. */
void reply_mention(struct reply *r, int64_t person);
/* token: update.token, or one that was kept. The platform forgets it after a quarter of an hour: then nobody sees this.
 */
struct reply *decision_answer(struct decision *d, const char *token, const char *html);
struct reply *decision_more(struct decision *d, const char *token, const char *html, bool hidden);
/* Of decision_more(): where the token is refused for good, it is said in this chat, calling that person. */
void reply_elsewhere(struct reply *r, int64_t chat_id, int64_t person);
/* A new row of buttons, then its buttons. Data is "verb[:arg]*:mark", 64 bytes at most, else the decision fails;
 * args end with NULL; neither they nor the mark may be empty or hold a colon. */
void reply_row(struct decision *d, struct reply *r);
void reply_button(struct decision *d, struct reply *r, const char *label, const char *mark, const char *verb, ...)
    __attribute__((sentinel));
/* How the last button looks. */
void reply_style(struct decision *d, struct reply *r, enum button_style style, bool off);
void reply_link(struct decision *d, struct reply *r, const char *label, const char *url);
void decision_fail(struct decision *d, const char *why);

/* Text for people, always into the arena. */
char *text_escape(struct arena *a, const char *s);                  /* & < > " for HTML */
char *text_fit(struct arena *a, const char *s, size_t utf16_units); /* cut at a character, with "…" when cut */
/* Words of others without what could make them look like ours: marks that turn the direction of what follows, control
 * characters; line breaks too unless `lines`. To be escaped, and best shown as code, where no client makes links. */
char *text_tame(struct arena *a, const char *s, bool lines);
bool text_blank(
    const char *s); /* NULL, empty, or nothing in it that has ink by itself: platforms refuse most of that */
/* Whether an IETF tag ("de-AT"; NULL: none) is of a language ("de"). */
bool text_is_language(const char *tag, const char *language);
size_t text_html_units(const char *html); /* UTF-16 units as shown: without tags, entities as one */

#endif
