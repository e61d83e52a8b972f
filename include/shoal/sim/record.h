/* The record of API calls: the newest in memory, all of them in a file where one is asked for. */
#ifndef SHOAL_SIM_RECORD_H
#define SHOAL_SIM_RECORD_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "shoal/base/json.h"
#include "shoal/io/loop.h"

#define RECORD_MAX 200000
#define RECORD_BYTES_MAX (128u << 20)

struct record_entry {
	int64_t seq, at_ms; /* at_ms: wall clock of the call's arrival */
	int64_t took_us;
	const char *bot, *method, *via; /* live as long as the process */
	char *params;                   /* JSON object */
	char *description;              /* of the refusal, NULL when it was done */
	int status;                     /* as answered; 0: the connection was cut instead */
	bool applied;                   /* the effect took place, whatever was answered */
	int64_t chat_id, message_id;    /* 0: none */
	char worker[32];
};

struct record {
	struct record_entry *ring; /* RECORD_MAX */
	int64_t first, next;       /* sequence numbers kept: first <= seq < next */
	size_t bytes;
	FILE *file;
	bool file_failed;
	struct timer flush;
	struct buf line;
	struct loop *loop;
};

/* False with a line on stderr when the file cannot be opened. */
bool record_open(struct record *r, struct loop *l, const char *file);
void record_close(struct record *r);
/* Takes e->params and e->description over; gives it its number. */
void record_add(struct record *r, struct record_entry *e);
void record_clear(struct record *r); /* the memory; numbers go on */
const struct record_entry *record_get(const struct record *r, int64_t seq);
void record_write(struct json_writer *w, const struct record_entry *e);

#endif
