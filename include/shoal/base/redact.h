/* Connection strings and URLs without what is secret in them: a password in the authority or by the name of "password",
 * the whole query of an HTTP URL, and in a libpq string every word that is no "keyword = value". */
#ifndef SHOAL_BASE_REDACT_H
#define SHOAL_BASE_REDACT_H

#include "shoal/base/arena.h"

/* A copy for logs, errors and listings, "***" standing for what is hidden. */
const char *redact(struct arena *a, const char *text);
/* Tells log_secret() of all that is hidden in it. */
void redact_tell(struct arena *a, const char *text);

#endif
