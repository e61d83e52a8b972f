/* A change outside PostgreSQL is noted in admin_audit before it is answered. */
#ifndef SHOAL_ADMIN_NOTE_H
#define SHOAL_ADMIN_NOTE_H

#include "shoal/admin/visitor.h"

/* details: JSON. then comes in any case: what is done is done, also where it could not be noted, which is logged. */
typedef void note_fn(struct visitor *v, bool noted);
void note(struct visitor *v, const char *action, const char *target, const char *details, note_fn *then);

/* Answers that who, as of visitor_failed, did not do it, and notes it first where it may have been done all the same.
 */
void note_failed(struct visitor *v, enum err err, const char *who, const char *action, const char *target);

/* For `then`: v->json is inside the answer's object, which gets "noted" and ends; 200. */
void note_end(struct visitor *v, bool noted);

#endif
