/* What all bots do alike that talk in private chats only. bot: the name of the one that does it. */
#ifndef SHOAL_BOTS_COMMON_H
#define SHOAL_BOTS_COMMON_H

#include "shoal/model/bot.h"

/* A private chat has its person's id. */
int64_t common_person_id(const struct update *u);

/* The commit of something that a person did: what all of these begin with, $3 to $7. */
struct params *common_commit(const char *bot, const struct update *u, struct decision *d, const char *statement);
/* For what changes nothing else: somebody who writes to us has not blocked us. */
void common_note_unblocked(const char *bot, const struct update *u, const struct facts *f, struct decision *d);

/* A group: told once that the bot acts in private chats only. Loaded by group_load. */
void common_ask_group(const char *bot, const struct update *u, struct params *p);
void common_tell_group(const char *bot, const char *html, const struct update *u, const struct facts *f,
                       struct decision *d);

/* The person blocked the bot or let it in again, or the platform refused to deliver. */
void common_block(const char *bot, const struct update *u, const struct facts *f, struct decision *d);

#endif
