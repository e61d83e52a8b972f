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
	bool full; /* not from the cache: all places were taken when this worker last counted; false: not known */
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

/* A match of the ladder; of one that is about to be made, only who plays. */
struct fact_match {
	int64_t id;                 /* 0: there is none */
	int64_t player_1, player_2; /* 0: no player any more */
	const char *name_1, *name_2;
	const char *report_1, *report_2, *result; /* "1", "2", "draw"; result "conflict", too; NULL: none yet */
	int64_t channel_1, channel_2;             /* where they are told; 0: nowhere */
	int64_t mmr_1, mmr_2; /* now, or before a settled one; what player 1 would gain, or has, and player 2 lose: */
	int64_t if_1, if_2, if_draw;
};

/* What a player may choose, or a match may be played as, on or where. */
struct fact_choice {
	const char *kind; /* "race", "map", "region" */
	const char *code, *name;
	bool last;   /* chosen last time; of a map: vetoed */
	int64_t mmr; /* the player's with this race */
};

struct fact_choices {
	size_t n;
	const struct fact_choice *v; /* by kind, then by code */
};

/* The player who acts in the line of those who wait for an opponent. */
struct fact_line {
	const char *state; /* "waiting", "paired", "left", "over"; NULL: not known there */
	int64_t serial;    /* of the update that made it so */
};

/* A chat of a person with a persona. */
struct fact_chat {
	bool found;
	int64_t id, persona_id;
	int64_t turns; /* answers given so far: the next of `replies` is turns modulo their number */
};

struct fact_said {
	bool out; /* said by the persona */
	const char *text;
};

struct fact_history {
	size_t n;
	const struct fact_said *lines; /* oldest first */
};

/* Of the person, one for each currency that there is. Amounts are in its smallest unit. */
struct fact_wallet {
	const char *currency;
	int64_t scale; /* digits behind the point */
	int64_t available, held;
};

struct fact_wallets {
	size_t n;
	const struct fact_wallet *v; /* by currency */
};

/* The question about a new trade that is open with the person. */
struct fact_draft {
	const char *step; /* NULL: none */
	const char *amount, *currency, *terms;
	const char *mark; /* of the question's rendering */
};

/* One of the two people of a trade. */
struct fact_party {
	bool known;
	int64_t id, telegram_id; /* telegram_id 0: they were erased */
	const char *first_name, *language_code;
	bool blocked; /* as user.blocked */
};

/* The trade that a button or an invitation names. */
struct fact_trade {
	bool found;
	int64_t id, amount, scale;
	const char *public_id, *status, *currency;
	const char *terms;  /* NULL: none */
	int64_t expires_ms; /* 0: never */
	struct fact_party buyer;
	struct fact_party seller; /* of a pending trade: who opened its invitation */
	int64_t invitation_id;    /* 0: it has none */
	const char *invitation_token;
	int64_t invited; /* Telegram id of who opened it; 0: nobody yet */
};

/* A line of a list of trades. */
struct fact_listed {
	int64_t id, amount, scale;
	const char *public_id, *status, *currency;
	bool mine; /* the person is the buyer */
};

struct fact_listing {
	size_t n;
	const struct fact_listed *v; /* newest first */
};

/* A player of the ladder, with one of their ratings. */
struct fact_rating {
	int64_t uid;
	const char *name, *country, *region; /* "": not told yet; of country and region the names */
	bool set_up;
	const char *races, *vetoes; /* chosen last: names; "": none */
	const char *race;           /* its name; "": no rating yet */
	int64_t mmr, played, won, lost, drawn;
};

struct fact_ratings {
	size_t n;
	const struct fact_rating *v; /* by player */
};

/* A line of the leaderboard. */
struct fact_entry {
	int64_t place, mmr, played;
	const char *name, *country; /* NULL: not told */
	const char *race;           /* its name */
};

/* A page of the leaderboard, from the cache. */
struct fact_board {
	bool known;
	const char *unknown;                                /* the filter that means nothing; NULL: none */
	const char *race, *region, *country;                /* filters, as buttons name them; NULL: any */
	const char *race_name, *region_name, *country_name; /* of these */
	int64_t page, pages, total;
	size_t n;
	const struct fact_entry *v;
};

/* An entry of the asking player's on that leaderboard. */
struct fact_rank {
	const char *race; /* its name */
	int64_t mmr, place;
};

struct fact_ranks {
	size_t n;
	const struct fact_rank *v; /* the best first */
};

#define FACTS_CHANCE 32

/* What use_code() may have against a start code. */
#define CONFLICT_USED_UP "used_up" /* all its places are taken */
#define CONFLICT_CODE_GONE "code_gone"

struct facts {
	int64_t now_ms;                     /* wall clock; the database's, where the row tells it */
	char mark[UPDATE_MARK_LEN + 1];     /* for buttons rendered by this decision */
	unsigned char chance[FACTS_CHANCE]; /* from the kernel's generator, anew for every load */
	const char *bot_username;           /* on the platform, for links; NULL: it has not been told yet */
	const char *conflict; /* why we load again: CONFLICT_... or another word of a commit; NULL at first */
	/* Nothing was read of the person and their chats: they are presumed to be as command.presume says. In the rows
	 * of the commit that was decided on so: they were, and it is done. */
	bool presumed;
	struct fact_user user;
	struct fact_code code;
	struct fact_persona code_persona; /* of code.persona_id */
	struct fact_persona persona;      /* of `chat`, or the default one where there is no chat */
	struct fact_persona fallback;     /* the default persona: key `default`, else the lowest active id */
	struct fact_player player;        /* who acts; not found: no player yet */
	struct fact_match match;
	struct fact_choices choices;
	struct fact_line line;
	struct fact_chat chat;          /* the chat opened last */
	struct fact_chat code_chat;     /* the chat with code_persona, if there is one */
	struct fact_chat fallback_chat; /* the chat with fallback, if there is one */
	struct fact_history history;    /* of `chat` */
	const char *answer;             /* the responder's; NULL: not configured, or it failed */
	bool conversation_known;        /* a conversations row for this bot and chat */
	const char *conversation;       /* its state as JSON */
	struct fact_wallets wallets;
	struct fact_draft draft;
	struct fact_trade trade;
	struct fact_listing listing;
	struct fact_ratings ratings;
	struct fact_board board;
	struct fact_ranks ranks;
};

#endif
