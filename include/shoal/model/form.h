/* What a person fills in, where the platform has its own menu of commands and its own forms. Const tables; texts are
 * literals. */
#ifndef SHOAL_MODEL_FORM_H
#define SHOAL_MODEL_FORM_H

#include <stdbool.h>
#include <stddef.h>

#define FIELDS_MAX 25  /* options of a command */
#define CHOICES_MAX 25 /* of a field, or offered while one types */
#define FORM_FIELDS_MAX 5

enum field_kind { FIELD_TEXT, FIELD_NUMBER, FIELD_PERSON }; /* of a form: texts only */

struct choice {
	const char *label, *value;
};

struct form_field {
	const char *name;  /* of the option that comes back: [a-z_]{1,32} */
	const char *label; /* what is asked for: 100 characters, of a form's field 45 */
	enum field_kind kind;
	bool required;
	unsigned min, max; /* characters of a text; max 0: as many as the platform takes */
	/* What may be chosen: a few fixed ones; or, else, rows of a static table (SPEC 6): offered while one types, or
	 * in a form all of them, if they are few enough. Their codes come back. Both empty: anything may be typed. */
	size_t nchoices;
	const struct choice *choices;
	const char *table;
	bool several; /* of the table: any number of codes, with blanks between */
};

struct form {
	const char *verb;  /* the word of the update that comes back */
	const char *title; /* 45 characters */
	size_t nfields;
	const struct form_field *fields;
};

#endif
