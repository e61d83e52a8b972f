/* A bot is a const table of commands. A new command is one row and one function. */
#ifndef SHOAL_MODEL_BOT_H
#define SHOAL_MODEL_BOT_H

#include <stddef.h>

#include "shoal/model/decision.h"
#include "shoal/model/facts.h"
#include "shoal/model/form.h"
#include "shoal/model/update.h"

enum platform_id { PLATFORM_TELEGRAM, PLATFORM_DISCORD };

/* What the worker loads before it decides, besides the row of `load`. */
enum need {
	NEED_CODE = 1 << 0,    /* the start code that `code` names, and its persona: code, code_persona */
	NEED_PERSONA = 1 << 1, /* fallback before the SELECT, persona after it */
	NEED_ANSWER = 1 << 2,  /* the responder's answer, after the SELECT, where `wants_answer` says so */
	NEED_PLAYER = 1 << 3,  /* the player who acts, from the cache: player */
	NEED_BOARD = 1 << 4,   /* the page of the leaderboard that `board` names, from the cache: board */
	NEED_LINE = 1 << 5,    /* how they stand in the line of those who wait: line */
	NEED_LEAVE = 1 << 6,   /* the same, once they are taken out of it */
};

/* What a slash command, a form or a press is answered with at once, before any work. */
enum first {
	FIRST_PUBLIC,  /* that we are at it, for all to see; the answer will be so too. Of a press: its buttons end */
	FIRST_PRIVATE, /* the same, for the person alone */
	FIRST_FORM,    /* the command's form; the update goes no further */
};

struct command {
	const char *name; /* metrics label and log; [a-z_] */
	/* Trigger: the first row that matches decides. */
	unsigned kinds;   /* enum update_kind bits */
	unsigned chats;   /* enum chat_kind bits; 0: any, or none */
	const char *word; /* NULL: any */
	/* First response: text of the toast that answers a press at once, "" for a silent answer. NULL for other kinds.
	 */
	const char *toast;
	enum first first;
	const struct form *form; /* FIRST_FORM */
	/* How it stands in the platform's menu: what it does, its options. NULL: not there. */
	const char *about;
	size_t nfields;
	const struct form_field *fields;
	unsigned needs; /* enum need bits */
	/* Start code looked up in the cache: as typed, or "#<id>"; NULL result: none. May be NULL. */
	const char *(*code)(const struct update *u, struct arena *a);
	/* "RACE|REGION|COUNTRY|PAGE", each filter as it was said or empty; NULL result: none. */
	const char *(*board)(const struct update *u, struct arena *a);
	/* The one SELECT: its name in sql/queries and its parameters, which may depend on cached facts. NULL: none. */
	const char *load;
	const char *load_history; /* NEED_ANSWER with a responder configured: instead of `load`, same parameters, also
	                             the history */
	void (*ask)(const struct update *u, const struct facts *f, struct params *p);
	/* Whether, by what is known before the SELECT, `decide` can go without it for most who send this
	 * (facts.presumed). What it decides then must have a commit, by a statement that looks for itself: it writes
	 * only for those who are as presumed, and returns a row with `presumed` true for them, for all others the row
	 * of `load`, if there is one, on which `decide` decides once more. NULL: never. */
	bool (*presume)(const struct update *u, const struct facts *f);
	bool (*wants_answer)(const struct update *u, const struct facts *f);
	void (*decide)(const struct update *u, const struct facts *f, struct decision *d);
};

struct bot {
	const char *name; /* "persona" */
	enum platform_id platform;
	bool wants_name; /* facts.bot_username */
	size_t ncommands;
	const struct command *commands;
};

/* The row that handles u, or NULL: settled as ignored. Messages and presses of nobody (channels) or of other bots are
 * never handled. */
const struct command *bot_command(const struct bot *b, const struct update *u);

#endif
