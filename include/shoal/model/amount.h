/* Amounts of money: whole numbers of a currency's smallest unit, written as decimals. Never floating point. */
#ifndef SHOAL_MODEL_AMOUNT_H
#define SHOAL_MODEL_AMOUNT_H

#include <stdbool.h>
#include <stdint.h>

#include "shoal/base/arena.h"

/* The most that one trade, credit or debit may move. */
#define AMOUNT_MAX INT64_C(1000000000000000)

enum amount_fault {
	AMOUNT_GOOD,
	AMOUNT_UNREADABLE, /* no decimal number: digits, and a point with digits behind it where there is one */
	AMOUNT_ZERO,
	AMOUNT_TOO_FINE, /* more digits behind the point than the currency has */
	AMOUNT_TOO_LARGE /* over AMOUNT_MAX units */
};

/* A decimal number at all, whatever the currency: then the fault is AMOUNT_UNREADABLE in none. */
bool amount_readable(const char *text);
/* scale: the currency's digits behind the point. *out is set when all is good. */
enum amount_fault amount_parse(const char *text, int64_t scale, int64_t *out) __attribute__((warn_unused_result));

/* "12.50", "0.00000001", "-3.00": as many digits behind the point as it takes, two at least where the currency has so
 * many. */
char *amount_format(struct arena *a, int64_t amount, int64_t scale);

#endif
