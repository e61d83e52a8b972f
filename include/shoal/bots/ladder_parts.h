/* Between the files of the ladder bot: what they share, and a function for each row of its table. */
#ifndef SHOAL_BOTS_LADDER_PARTS_H
#define SHOAL_BOTS_LADDER_PARTS_H

#include <stdbool.h>

#include "shoal/model/bot.h"

/* The words of buttons and of the form. */
#define LADDER_ACCEPT "terms_yes"
#define LADDER_SETUP "setup"
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

#endif
