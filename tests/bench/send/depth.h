/* How many replies the stand-in has counted, over a connection that stays. */
#ifndef SHOAL_TESTS_BENCH_DEPTH_H
#define SHOAL_TESTS_BENCH_DEPTH_H

#include <stddef.h>

int depth_dial(int standin_port);
size_t depth_replies(int fd);

#endif
