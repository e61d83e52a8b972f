/* The end of a change outside PostgreSQL: it is noted in admin_audit, and answered. */
#ifndef SHOAL_ADMIN_NOTE_H
#define SHOAL_ADMIN_NOTE_H

#include "shoal/admin/visitor.h"

/* v->json is inside the answer's object, which gets "noted" and ends: what is done is done, also where it cannot be
 * noted. details: JSON. */
void note(struct visitor *v, const char *action, const char *target, const char *details);
/* The same with 204. */
void note_without_body(struct visitor *v, const char *action, const char *target, const char *details);

#endif
