/* Checks what a bot sends against tables of what Discord takes, and tells what is wrong as Discord does: by path.
 * Members that no table names are let pass, as there. A null is as good as nothing where a member is not required. */
#ifndef SHOAL_SIM_DISCORD_CHECK_H
#define SHOAL_SIM_DISCORD_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "shoal/base/json.h"

enum dc_type {
	DC_ANY,
	DC_STRING, /* min..max characters (UTF-16 units, the stricter of two ways to count); max 0: any */
	DC_TEXT,   /* the same without the blanks around it */
	DC_INT,    /* min..max; max 0: any */
	DC_NUMBER,
	DC_BOOL,
	DC_SNOWFLAKE,
	DC_URL,    /* http or https; max characters */
	DC_OBJECT, /* as `of` */
	DC_LIST,   /* min..max elements, each as `of` */
};

struct dc_shape;

struct dc_field {
	const char *name;
	enum dc_type type;
	bool required;
	int64_t min, max;
	const struct dc_shape *of; /* NULL: any */
};

struct dc_check;

/* Of an object; or with fields NULL of a value of any kind, which is then for `more` alone. */
struct dc_shape {
	const struct dc_field *fields; /* ends with a name of NULL */
	/* What a table cannot say; may call the functions below. Only called for objects where there are fields. */
	void (*more)(struct dc_check *c, const cJSON *v);
};

struct dc_error {
	char *path, *code, *message;
};

struct dc_check {
	struct arena *a;
	char path[512]; /* "embeds/0/title" */
	size_t len;
	struct dc_error *errors;
	size_t n, cap;
};

struct dc_check *dc_check_new(struct arena *a);
struct span dc_trimmed(const char *s); /* without the blanks around it */
void dc_check_shape(struct dc_check *c, const struct dc_shape *shape, const cJSON *v);
/* Of the member `name` of what is being checked; NULL: of it as a whole. */
void dc_wrong(struct dc_check *c, const char *name, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void dc_missing(struct dc_check *c, const char *name);
/* Goes on: with more fields of the same object; below the name `at`; with each element of a list. */
void dc_check_fields(struct dc_check *c, const struct dc_field *fields, const cJSON *obj);
void dc_check_at(struct dc_check *c, const char *at, const struct dc_shape *shape, const cJSON *v);
void dc_check_each(struct dc_check *c, const char *name, const struct dc_shape *shape, const cJSON *list);
/* {"content":{"_errors":[...]}} */
void dc_check_write(struct dc_check *c, struct json_writer *w);
/* "content: Must be 2000 or fewer in length.; ..." in the arena. */
const char *dc_check_text(struct dc_check *c);

#endif
