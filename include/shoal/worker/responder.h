/* The persona's own words from an OpenAI-compatible chat-completions endpoint (SHOAL_RESPONDER_*). */
#ifndef SHOAL_WORKER_RESPONDER_H
#define SHOAL_WORKER_RESPONDER_H

#include <stdbool.h>

#include "shoal/base/arena.h"
#include "shoal/base/trace.h"
#include "shoal/model/facts.h"
#include "shoal/model/update.h"

struct worker;

/* Asks with the persona's prompt, the history and the text. answer: in the arena; NULL when the endpoint fails, is slow
 * or says nothing, which is logged and counted and no fault of the update. Called once, never inside this call. False:
 * not asked, because it fails just now, or because the question would be too long, which is logged.
 * trace: goes with the question as its header traceparent; lasts until fn, as the arena does. */
bool responder_ask(struct worker *w, const struct update *u, const struct facts *f, const struct trace *trace,
                   struct arena *a, void (*fn)(void *arg, const char *answer), void *arg);

#endif
