/* What the files of out.h share, and nobody else. */
#ifndef SHOAL_CLI_OUT_PARTS_H
#define SHOAL_CLI_OUT_PARTS_H

#include "shoal/base/arena.h"
#include "shoal/base/str.h"
#include "shoal/cli/out.h"

enum { OUT_MAX = 1 << 30 }; /* bytes of a listing */

struct out_cell {
	bool null;
	struct span text; /* OUT_TEXT, OUT_KEY, OUT_JSON, OUT_TIME */
	int64_t i;        /* OUT_INT, OUT_ID, OUT_BOOL */
	double num;
};

/* Appends s as one line, and nothing that a terminal would obey: names and texts come from strangers. */
void out_add_visible(struct buf *b, struct span s);

/* Appends JSON with that escaped which is in no need of it but which a terminal would obey. */
void out_add_json(struct buf *b, struct span json);

void out_put_table(struct out *o, struct buf *b);
void out_put_one(struct out *o, struct buf *b);

#endif
