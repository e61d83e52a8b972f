#include "shoal/model/bot.h"

#include <string.h>

/* Kinds that are worth something only as the act of a person. */
#define PERSONAL                                                                                                       \
	(UPDATE_COMMAND | UPDATE_TEXT | UPDATE_MEDIA | UPDATE_SERVICE | UPDATE_PRESS | UPDATE_SLASH | UPDATE_FORM |    \
	 UPDATE_SUGGEST)

static bool matches(const struct command *c, const struct update *u)
{
	return (c->kinds & (unsigned)u->kind) && (c->chats == 0 || (c->chats & (unsigned)u->chat)) &&
	       (!c->word || (u->word && strcmp(c->word, u->word) == 0));
}

const struct command *bot_command(const struct bot *b, const struct update *u)
{
	if ((u->kind & PERSONAL) && (u->from.id == 0 || u->from.is_bot))
		return NULL;
	for (size_t i = 0; i < b->ncommands; i++) {
		if (matches(&b->commands[i], u))
			return &b->commands[i];
	}
	return NULL;
}
