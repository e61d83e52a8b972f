#include "shoal/bots/registry.h"

#include "shoal/bots/escrow.h"
#include "shoal/bots/ladder.h"
#include "shoal/bots/persona.h"

const struct bot *const bots_all[] = {&bot_persona, &bot_escrow, &bot_ladder, NULL};

const struct bot *bots_find(struct span name)
{
	for (const struct bot *const *b = bots_all; *b; b++) {
		if (span_is(name, (*b)->name))
			return *b;
	}
	return NULL;
}
