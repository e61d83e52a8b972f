/* What of a static table is offered to somebody who fills in a field. */
#ifndef SHOAL_GATEWAY_SUGGEST_H
#define SHOAL_GATEWAY_SUGGEST_H

#include "shoal/base/arena.h"
#include "shoal/model/form.h"
#include "shoal/store/cache_value.h"
#include "shoal/wire/discord.h"

/* Rows that fit what is typed so far, best first, at most CHOICES_MAX: by their code, then by the beginning of the
 * name, of a word in it, by any part of it; case and the accents of Latin letters do not count. Of a field of several
 * codes it is the last one that is being typed; none fits where the others are no codes. typed "": the first rows. */
struct discord_choices suggest(const struct static_table *t, const struct form_field *f, const char *typed,
                               struct arena *a);
/* All rows, for a menu; more than CHOICES_MAX: none. */
struct discord_choices suggest_all(const struct static_table *t, struct arena *a);

#endif
