/* The local stack of `shoal up`: everything that Shoal needs, in ./.shoal of the current directory.
 * argv[0] is the verb. They return the exit codes of the program: 0 done, 1 failed or refused, 2 wrong usage. */
#ifndef SHOAL_UP_UP_H
#define SHOAL_UP_UP_H

int verb_up(int argc, char **argv);    /* [--workers N]: runs until it is stopped */
int verb_down(int argc, char **argv);  /* stops the stack that runs in this directory and waits for its end */
int verb_reset(int argc, char **argv); /* [--yes]: removes .shoal */

#endif
