/* Callback data, as every platform brings it back: "word[:arg]*:mark". */
#ifndef SHOAL_WIRE_DATA_H
#define SHOAL_WIRE_DATA_H

#include "shoal/base/arena.h"
#include "shoal/model/update.h"

#define DATA_WORD_MAX 32

/* From u->data: word, args, mark. What is not of this form was not rendered by us: word stays NULL. */
void data_read(struct arena *a, struct update *u);

#endif
