/* What may be given for what: on the command line, in an imported file, through the admin API. A rule returns NULL when
 * the value is fine, else a line in the arena that shows the value and says what is allowed. */
#ifndef SHOAL_STORE_RULES_H
#define SHOAL_STORE_RULES_H

#include <stdint.h>

#include "shoal/base/arena.h"
#include "shoal/base/shown.h"

enum {
	DESCRIPTION_UNITS = 1000, /* UTF-16 units, as Telegram counts */
	NAME_UNITS = 64,
	MESSAGE_UNITS = 4096, /* what Telegram takes as one message */
	PROMPT_UNITS = 32768,
	REPLIES_MAX = 200
};

const char *rule_code(struct arena *a, const char *value);
const char *rule_key(struct arena *a, const char *value); /* of a persona */
/* UTF-8 without control characters other than tab and line break, of least..most UTF-16 units, not only blanks where
 * least is not 0. `what` begins the sentence: "the name". */
const char *rule_text(struct arena *a, const char *what, const char *value, size_t least, size_t most);
const char *rule_max_uses(struct arena *a, const char *value, int64_t *out);
const char *rule_expires(struct arena *a, const char *value, int64_t *wall_ms);
/* Of those that can run; NULL is fine, too: --bot was not given. */
const char *rule_bot(struct arena *a, const char *value);
const char *rule_telegram_id(struct arena *a, const char *value, int64_t *out);
const char *rule_discord_id(struct arena *a, const char *value, int64_t *out);

#endif
