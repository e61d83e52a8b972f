/* JSON in (a tree of cJSON's nodes, read with its functions) and JSON out (a writer onto a buf). */
#ifndef SHOAL_BASE_JSON_H
#define SHOAL_BASE_JSON_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "shoal/base/arena.h"
#include "shoal/base/err.h"
#include "shoal/base/str.h"

/* Parses one JSON value that must fill the text. The tree is in the arena, all of it: nothing that cJSON would free may
 * be done to it (cJSON_Delete, cJSON_Replace...; what is detached is gone for good).
 * Kept exact, other than by cJSON's own parser: integers of any length up to int64 (see json_i64), U+0000 and lone
 * surrogates in strings become U+FFFD, ill-formed UTF-8 and nesting beyond 200 are errors.
 * On error *why is a text in the arena that says what and where. */
cJSON *json_parse(struct arena *a, struct span text, const char **why) __attribute__((warn_unused_result));

/* Members of an object. A missing member, a wrong type and an obj that is NULL or no object are all
 * "not there": NULL or false, and *out untouched. Names are case-sensitive. */
cJSON *json_get(const cJSON *obj, const char *name);
cJSON *json_obj(const cJSON *obj, const char *name);
cJSON *json_arr(const cJSON *obj, const char *name);
const char *json_str(const cJSON *obj, const char *name);
bool json_bool(const cJSON *obj, const char *name, bool *out);
/* Integers as written (no fraction, no exponent), exact over all of int64: 1.0 and 1e5 are none. */
bool json_i64(const cJSON *obj, const char *name, int64_t *out);
/* Any number that a double can hold, rounded as usual. */
bool json_num(const cJSON *obj, const char *name, double *out);
/* The same for a value in hand. */
bool json_value_i64(const cJSON *value, int64_t *out);
/* Writes the value as JSON text again, with exact integers: never use cJSON_Print on a tree of json_parse. */
struct json_writer;
void json_put(struct json_writer *w, const cJSON *value);

/* Writer. Commas and quoting are its work; it fails stickily with its buf. Ill-formed UTF-8 becomes U+FFFD. */
struct json_writer {
	struct buf *out;
	bool comma;
};
void json_writer_init(struct json_writer *w, struct buf *out);
void json_begin_obj(struct json_writer *w);
void json_end_obj(struct json_writer *w);
void json_begin_arr(struct json_writer *w);
void json_end_arr(struct json_writer *w);
void json_key(struct json_writer *w, const char *name);
void json_put_span(struct json_writer *w, struct span s);
void json_put_str(struct json_writer *w, const char *s); /* NULL writes null */
void json_put_i64(struct json_writer *w, int64_t v);
void json_put_id(struct json_writer *w, int64_t v); /* as a string: platform ids in --json listings */
void json_put_num(struct json_writer *w, double v); /* not finite writes null */
void json_put_bool(struct json_writer *w, bool v);
void json_put_null(struct json_writer *w);
void json_put_raw(struct json_writer *w, struct span json); /* already JSON */

/* key and value at once */
void json_kv_str(struct json_writer *w, const char *name, const char *v);
void json_kv_i64(struct json_writer *w, const char *name, int64_t v);
void json_kv_id(struct json_writer *w, const char *name, int64_t v);
void json_kv_num(struct json_writer *w, const char *name, double v);
void json_kv_bool(struct json_writer *w, const char *name, bool v);

#endif
