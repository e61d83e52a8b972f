/* The way out of a worker: how many calls are on the wire at once, and how many jobs may stand still for the flood
 * budget. A job asks for the budget only when it can send at once, so that a limit learned meanwhile stops it; and jobs
 * that wait leave most of SHOAL_INFLIGHT to those that need not. */
#ifndef SHOAL_WORKER_OUTLET_H
#define SHOAL_WORKER_OUTLET_H

#include <stdbool.h>

#define OUTLET_CALLS 64 /* connections to the platform's host */

struct job;

struct outlet {
	struct job *first, **last; /* in line, oldest first */
	unsigned calls, seats;     /* taken */
};

void outlet_init(struct outlet *o);
/* True: may send. False: is in line, an operation of the job that ends when it may. */
bool outlet_enter(struct job *j);
/* A seat to wait in for more than a moment; false: all are taken. Once taken it is the job's until outlet_stand or
 * outlet_leave. */
bool outlet_sit(struct job *j);
/* Gives the seat back: the job is to send. */
void outlet_stand(struct job *j);
/* Frees the way for the next in line; the seat is kept where the job will wait. */
void outlet_leave(struct job *j, bool keep_seat);

#endif
