/* Faults on request: what the next calls that match shall suffer. */
#ifndef SHOAL_SIM_FAULTS_H
#define SHOAL_SIM_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

#include "shoal/base/arena.h"
#include "shoal/base/json.h"

enum fault_kind { FAULT_NONE, FAULT_DELAY, FAULT_429, FAULT_500, FAULT_RESET, FAULT_HANG, FAULT_400, FAULT_403 };

/* Whom a 429 of Discord is meant for; Telegram does not tell. */
enum fault_scope {
	SCOPE_USER,
	SCOPE_GLOBAL,
	SCOPE_SHARED,
	SCOPE_ADDRESS /* of the sender, by what stands before the API */
};

struct fault {
	struct fault *next;
	char *method, *bot; /* NULL: any */
	char *description;  /* NULL: the kind's own */
	bool any_chat;
	int64_t chat_id;
	enum fault_kind kind;
	bool after; /* the effect takes place first */
	enum fault_scope scope;
	int64_t ms;
	double retry_after_s; /* whole seconds on Telegram */
	int64_t left;         /* -1: no end */
	double probability;
	uint64_t hits;
};

struct faults {
	struct fault *first;
};

/* From the request's object; on error *why (in the arena) says what is wrong with it. */
bool faults_add(struct faults *f, const cJSON *spec, struct arena *a, const char **why);
/* The rule that this call suffers, counted down; NULL: none. Valid until the next change of the rules. */
const struct fault *faults_hit(struct faults *f, const char *method, const char *bot, int64_t chat_id);
void faults_clear(struct faults *f);
void faults_write(const struct faults *f, struct json_writer *w);

#endif
