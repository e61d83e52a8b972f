/* What ties together all that is said of one update, in all programs: a trace id. It travels as the W3C's traceparent
 * (https://www.w3.org/TR/trace-context/): "00-TRACE-SPAN-FLAGS", in lower-case hexadecimal digits. Of the flags only
 * "sampled" is known, and passed on. tracestate is not carried. */
#ifndef SHOAL_BASE_TRACE_H
#define SHOAL_BASE_TRACE_H

#include <stdbool.h>

#include "shoal/base/str.h"

#define TRACE_ID_LEN 32
#define TRACE_SPAN_LEN 16
#define TRACEPARENT_LEN 55

struct trace {
	char id[TRACE_ID_LEN + 1];
	char span[TRACE_SPAN_LEN + 1]; /* of whoever handed it on */
	bool sampled;
};

/* As it stands in a header or an entry. False: it is none, and *t is not touched: another version's is read as far as
 * version 00 goes; zeros alone are no id. ptr NULL is none. */
bool trace_read(struct trace *t, struct span traceparent) __attribute__((warn_unused_result));

/* A new one, by chance; sampled, since something is logged of it. */
void trace_new(struct trace *t);
/* What a request came with goes on, under a span id of our own; where it is no traceparent, a new one. NULL is none. */
void trace_continue(struct trace *t, const char *traceparent);
/* The same with an entry of the stream; where it carries none, one made of its key, so that it is the same whenever
 * and by whomever the entry is looked at. */
void trace_of_entry(struct trace *t, struct span traceparent, struct span key);

/* The same trace under a span id of our own, before it is handed on by who has not begun or continued it himself. */
struct trace trace_below(const struct trace *t);
/* "00-...": out holds TRACEPARENT_LEN + 1 bytes. */
void trace_text(const struct trace *t, char *out);

#endif
