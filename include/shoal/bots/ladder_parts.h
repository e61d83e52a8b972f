/* Between the files of the ladder bot: what they share, and a function for each row of its table. */
#ifndef SHOAL_BOTS_LADDER_PARTS_H
#define SHOAL_BOTS_LADDER_PARTS_H

#include <stdbool.h>

#include "shoal/model/bot.h"

/* The words of buttons and of the form. */
#define LADDER_ACCEPT "terms_yes"
#define LADDER_SETUP "setup"
/* What the matcher finds due (lua/line_match.lua). */
#define LADDER_MATCH "match"
#define LADDER_OVER "line_over"
#define LADDER_BOARD "board"

enum { LADDER_NAME_MIN = 2, LADDER_NAME_MAX = 32, LADDER_PLACE_MAX = 64 };

/* What stands between a person and the commands of players: terms, setup. Says so, and what to do. */
bool ladder_may_play(const struct update *u, const struct facts *f, struct decision *d);

/* An option as it was typed, without blanks around it; "": not given. */
const char *ladder_typed(struct arena *a, const struct update *u, const char *name);
/* An answer with a text of somebody's, which is escaped, in the place of %s in `html`. */
struct reply *ladder_answer_about(struct decision *d, const struct update *u, const char *html, const char *about)
    __attribute__((format(printf, 3, 0)));

/* A text of somebody's as HTML: at most so many characters of it, on one line, as code. */
const char *ladder_quote(struct arena *a, const char *text, size_t units);

/* --- terms, setup, country */

void ladder_terms(const struct update *u, const struct facts *f, struct decision *d);
void ladder_accept(const struct update *u, const struct facts *f, struct decision *d);
void ladder_setup(const struct update *u, const struct facts *f, struct decision *d);
void ladder_country(const struct update *u, const struct facts *f, struct decision *d);

/* --- profile, leaderboard */

void ladder_ask_profile(const struct update *u, const struct facts *f, struct params *p);
void ladder_profile(const struct update *u, const struct facts *f, struct decision *d);
const char *ladder_board_key(const struct update *u, struct arena *a);
void ladder_ask_ranks(const struct update *u, const struct facts *f, struct params *p);
void ladder_board(const struct update *u, const struct facts *f, struct decision *d);

/* --- the line of those who wait, matches */

const char *ladder_number(struct arena *a, int64_t n);

/* Nobody waits for longer: the platform forgets by which token they can be told a minute later. */
#define LADDER_WAIT_MS (14 * INT64_C(60000))

/* What the line keeps of somebody, to tell them something later: hidden by their token while that is good, else in the
 * channel, calling them. Token and channel as they are kept; till: when their waiting ends. */
struct ladder_ear {
	int64_t person, till, channel;
	const char *token;
};
void ladder_tell(struct decision *d, const struct facts *f, const struct ladder_ear *e, const char *html);
/* The region that hosts a match of players from these two; "": neither is known. */
const char *ladder_host(const char *one, const char *other);

void ladder_ask_player(const struct update *u, const struct facts *f, struct params *p); /* $1: who acts */
void ladder_queue(const struct update *u, const struct facts *f, struct decision *d);
void ladder_leave(const struct update *u, const struct facts *f, struct decision *d);
void ladder_over(const struct update *u, const struct facts *f, struct decision *d);
void ladder_ask_match(const struct update *u, const struct facts *f, struct params *p);
void ladder_match(const struct update *u, const struct facts *f, struct decision *d);
void ladder_report(const struct update *u, const struct facts *f, struct decision *d);
void ladder_ask_resolved(const struct update *u, const struct facts *f, struct params *p);
void ladder_resolved(const struct update *u, const struct facts *f, struct decision *d);

#endif
