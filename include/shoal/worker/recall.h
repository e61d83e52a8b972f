/* The facts that come from the caches: at once where the worker's memory has them, else the job waits. Only load.c. */
#ifndef SHOAL_WORKER_RECALL_H
#define SHOAL_WORKER_RECALL_H

#include "shoal/worker/job.h"

/* code (NULL: none) as typed, or "#<id>"; its persona, and the default persona: facts code, code_persona, fallback. */
void recall_start(struct job *j, const char *code);
/* The fact persona. */
void recall_persona(struct job *j, int64_t id);
/* The fact player. */
void recall_player(struct job *j, int64_t uid);
/* The fact board. key: as of command.board; NULL, or what can be no key: none. */
void recall_board(struct job *j, const char *key);

#endif
