/* What a decision may know. Loaded by the worker as far as the command asked for it; the rest stays zero.
 * Time and chance are facts too. Texts live in the job's arena. */
#ifndef SHOAL_MODEL_FACTS_H
#define SHOAL_MODEL_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shoal/model/update.h"

struct fact_user {
	bool known; /* there is a row */
	int64_t id;
	bool age_verified, suspended;
	bool blocked;       /* this bot is blocked by the person, as far as we know */
	const char *source; /* acquisition_source; NULL: none yet */
};

/* A start code, from the cache (SPEC 6). */
struct fact_code {
	bool asked; /* the update named one */
	bool found;
	int64_t id, persona_id;
	const char *code;
	bool active;
	bool limited; /* has max_uses */
	int64_t max_uses;
	int64_t expires_ms; /* 0: never */
};

struct fact_persona {
	bool found;
	int64_t id;
	const char *key, *name, *greeting, *prompt; /* prompt may be NULL */
	size_t nreplies;
	const char *const *replies;
	bool active;
};

/* A player of the ladder, from the cache (SPEC 6). */
struct fact_player {
	bool found;
	int64_t uid;
	const char *name, *country, *region; /* NULL: not told yet */
	int64_t tos_ms, setup_ms;            /* when terms were accepted and setup was completed; 0: not yet */
};

/* A chat of a person with a persona. */
struct fact_chat {
	bool found;
	int64_t id, persona_id;
	int64_t turns; /* answers given so far: the next of `replies` is turns modulo their number */
};

struct fact_line {
	bool out; /* said by the persona */
	const char *text;
};

struct fact_history {
	size_t n;
	const struct fact_line *lines; /* oldest first */
};

struct facts {
	int64_t now_ms;                 /* wall clock */
	char mark[UPDATE_MARK_LEN + 1]; /* for buttons rendered by this decision */
	const char *conflict; /* reason word of the conflict that made us load again, e.g. "used_up"; NULL at first */
	struct fact_user user;
	struct fact_code code;
	struct fact_persona code_persona; /* of code.persona_id */
	struct fact_persona persona;      /* of `chat`, or the default one where there is no chat */
	struct fact_persona fallback;     /* the default persona: key `default`, else the lowest active id */
	struct fact_chat chat;            /* the chat opened last */
	struct fact_chat code_chat;       /* the chat with code_persona, if there is one */
	struct fact_chat fallback_chat;   /* the chat with fallback, if there is one */
	struct fact_history history;      /* of `chat` */
	const char *answer;               /* the responder's; NULL: not configured, or it failed */
	bool conversation_known;          /* a conversations row for this bot and chat */
	const char *conversation;         /* its state as JSON */
};

#endif
