#include "shoal/worker/outlet.h"

#include <stddef.h>

#include "shoal/worker/job.h"
#include "shoal/worker/worker.h"

void outlet_init(struct outlet *o)
{
	*o = (struct outlet){.last = &o->first};
}

bool outlet_enter(struct job *j)
{
	struct outlet *o = &j->worker->outlet;
	if (!j->in_outlet && o->calls == OUTLET_CALLS) {
		j->in_line = NULL;
		*o->last = j;
		o->last = &j->in_line;
		job_begin(j);
		return false;
	}
	o->calls += !j->in_outlet;
	j->in_outlet = true;
	return true;
}

bool outlet_sit(struct job *j)
{
	struct outlet *o = &j->worker->outlet;
	unsigned most = ((unsigned)j->worker->conf.inflight + 3) / 4;
	if (!j->seated && o->seats < most) {
		j->seated = true;
		o->seats++;
	}
	return j->seated;
}

void outlet_stand(struct job *j)
{
	j->worker->outlet.seats -= j->seated;
	j->seated = false;
}

void outlet_leave(struct job *j, bool keep_seat)
{
	struct outlet *o = &j->worker->outlet;
	if (!keep_seat)
		outlet_stand(j);
	if (!j->in_outlet)
		return;
	j->in_outlet = false;
	o->calls--;
	struct job *next = o->first;
	if (!next)
		return;
	o->first = next->in_line;
	if (!o->first)
		o->last = &o->first;
	o->calls++;
	next->in_outlet = true;
	job_end(next);
}
