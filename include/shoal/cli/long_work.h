/* Work of many steps: shows how far it is, on a terminal in place, else as a line every few seconds; stops between two
 * steps at Ctrl-C or SIGTERM. A second Ctrl-C ends the program as usual. */
#ifndef SHOAL_CLI_LONG_WORK_H
#define SHOAL_CLI_LONG_WORK_H

#include <stdbool.h>
#include <stdint.h>

struct long_work {
	const char *what; /* "retrying" */
	int64_t total;    /* 0: not known */
	int64_t done, shown_ms;
	bool terminal, shown;
};

/* Around several works and what lies between them, where that too is to end with a word of how far it came: the first
 * Ctrl-C or SIGTERM then only makes long_work_stopping true. */
void long_work_hold(void);
bool long_work_stopping(void);
void long_work_let_go(void);

void long_work_begin(struct long_work *w, const char *what, int64_t total);
/* So many more are done. False: it shall stop. */
bool long_work_step(struct long_work *w, int64_t more);
void long_work_end(struct long_work *w);

#endif
