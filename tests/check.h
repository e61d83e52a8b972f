/* The test programs' few macros. A program prints "ok NAME" or "not ok NAME" for every case and ends with 0 or 1. */
#ifndef SHOAL_TESTS_CHECK_H
#define SHOAL_TESTS_CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int check_failed_here, check_failed_all;

#ifdef SHOAL_LINT /* what is true of a test that has failed is of no interest to lint */
#define CHECK(cond) ((cond) ? (void)0 : abort())
#else
#define CHECK(cond)                                                                                                    \
	do {                                                                                                           \
		if (!(cond)) {                                                                                         \
			printf("# %s:%d: not true: %s\n", __FILE__, __LINE__, #cond);                                  \
			check_failed_here++;                                                                           \
		}                                                                                                      \
	} while (0)
#endif

#define CHECK_INT(got, want)                                                                                           \
	do {                                                                                                           \
		long long got_ = (long long)(got), want_ = (long long)(want);                                          \
		if (got_ != want_) {                                                                                   \
			printf("# %s:%d: %s is %lld, want %lld\n", __FILE__, __LINE__, #got, got_, want_);             \
			check_failed_here++;                                                                           \
		}                                                                                                      \
	} while (0)

#define CHECK_STR(got, want)                                                                                           \
	do {                                                                                                           \
		const char *got_ = (got), *want_ = (want);                                                             \
		if (got_ == NULL || want_ == NULL ? got_ != want_ : strcmp(got_, want_) != 0) {                        \
			printf("# %s:%d: %s is \"%s\", want \"%s\"\n", __FILE__, __LINE__, #got,                       \
			       got_ ? got_ : "(null)", want_ ? want_ : "(null)");                                      \
			check_failed_here++;                                                                           \
		}                                                                                                      \
	} while (0)

#define RUN(test)                                                                                                      \
	do {                                                                                                           \
		check_failed_here = 0;                                                                                 \
		test();                                                                                                \
		printf("%s %s\n", check_failed_here ? "not ok" : "ok", #test);                                         \
		fflush(stdout);                                                                                        \
		check_failed_all += check_failed_here;                                                                 \
	} while (0)

#define DONE() return check_failed_all ? 1 : 0

#endif
