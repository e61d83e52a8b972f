/* Printing the body of an update. */
#ifndef SHOAL_CLI_BODY_H
#define SHOAL_CLI_BODY_H

#include "shoal/store/body.h"

/* For people: JSON indented, else the text. On stdout; an exit code. */
int body_print(const struct body *b);

#endif
