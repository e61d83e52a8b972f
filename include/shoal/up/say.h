/* What the person at the terminal sees. On a terminal: ticks and one line that tells what is waited for; else plain
 * lines. All goes to stdout, problems to stderr. */
#ifndef SHOAL_UP_SAY_H
#define SHOAL_UP_SAY_H

#include <stdint.h>

void say_init(void);
void say_line(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void say_done(const char *fmt, ...) __attribute__((format(printf, 1, 2)));    /* with a tick */
void say_problem(const char *fmt, ...) __attribute__((format(printf, 1, 2))); /* "shoal up: ..." on stderr */
void say_text(const char *text);                                              /* as it is, on stderr */
void say_waiting(const char *text); /* replaces itself; NULL takes it away; nothing without a terminal */

#define SAY_S(ms) ((double)(ms) / 1000.0)

#endif
