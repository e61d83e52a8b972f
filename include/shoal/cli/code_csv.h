/* Start codes as CSV: `shoal code import` and `export`. */
#ifndef SHOAL_CLI_CODE_CSV_H
#define SHOAL_CLI_CODE_CSV_H

#include "shoal/cli/session.h"

int code_import(struct session *s);
int code_export(struct session *s);

#endif
